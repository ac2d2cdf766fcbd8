package actions

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"keyturn/internal/apiclient"
	"keyturn/internal/apiclient/okta"
	"keyturn/internal/ledger"
)

// sweptToken is a live refresh token that a sweep found.
type sweptToken struct{ server, client, id string }

// sweep is what the listings of the authorization servers hold.
type sweep struct {
	seen     []ledger.Fact
	tokens   map[string][]sweptToken // live ones, by user id
	listings int                     // of clients at servers
	live     int                     // tokens of anybody
}

// sweepAll sweeps every custom authorization server, together with all others who ask for that: one listing of a
// client holds the tokens of everybody.
func sweepAll(ctx context.Context, s share, c *okta.Client) (sweep, error) {
	return fresh(ctx, s, "all servers", func(ctx context.Context) (sweep, error) { return sweepSome(ctx, share{}, c, nil) })
}

// sweepSome sweeps every custom authorization server; only limits it to some clients, nil is all.
func sweepSome(ctx context.Context, s share, c *okta.Client, only map[string]bool) (sweep, error) {
	out := sweep{tokens: map[string][]sweptToken{}}
	servers, err := fresh(ctx, s, "servers", func(ctx context.Context) ([]okta.AuthServer, error) {
		return apiclient.Collect(c.ListAuthServers(ctx))
	})
	if errors.Is(err, okta.ErrNoAuthServers) {
		out.seen = []ledger.Fact{{What: "custom authorization servers", Value: "none in this org (E0000015)"}}
		return out, nil
	}
	if err == nil && len(servers) == 0 {
		// An org without the feature says so (E0000015), and one with it begins with a server named default: who sees
		// none at all may just not be allowed to.
		err = advise(errors.New("the org lists no authorization server, so that a sweep of them proves nothing"),
			"give the credential the right to see every authorization server, then redrive; where the org has none, set sweep: none in the playbook")
	}
	if err != nil {
		return out, err
	}
	for _, server := range servers {
		if err := out.read(ctx, s, c, server.ID, only); err != nil {
			return out, err
		}
	}
	out.seen = []ledger.Fact{
		{What: "custom authorization servers swept", Value: fmt.Sprint(len(servers))},
		{What: "listings of clients there", Value: fmt.Sprintf("%d, with %d live refresh tokens of anybody", out.listings, out.live)},
	}
	return out, nil
}

// read takes the listings of one server over. A server that is not there any more has none.
func (s *sweep) read(ctx context.Context, with share, c *okta.Client, server string, only map[string]bool) error {
	listed, err := fresh(ctx, with, server, func(ctx context.Context) ([]okta.OAuthClient, error) {
		return apiclient.Collect(c.ListAuthServerClients(ctx, server))
	})
	if err != nil && !missing(err) {
		return err
	}
	for _, client := range listed {
		if only != nil && !only[client.ClientID] {
			continue
		}
		found, err := fresh(ctx, with, server+" "+client.ClientID, func(ctx context.Context) ([]okta.RefreshToken, error) {
			return liveTokens(ctx, c, server, client.ClientID)
		})
		if err != nil {
			return err
		}
		s.add(server, client.ClientID, found)
	}
	return nil
}

// add takes one listing over.
func (s *sweep) add(server, client string, found []okta.RefreshToken) {
	s.listings++
	s.live += len(found)
	for _, t := range found {
		s.tokens[t.UserID] = append(s.tokens[t.UserID], sweptToken{server, client, t.ID})
	}
}

// liveTokens reads the live tokens of one client at one server. A client that is not there has none.
func liveTokens(ctx context.Context, c *okta.Client, server, client string) ([]okta.RefreshToken, error) {
	live, err := apiclient.Gather(func(yield func(okta.RefreshToken, error) bool) {
		for t, err := range c.ListAuthServerTokens(ctx, server, client, okta.TokenOptions{}) {
			if (err != nil || t.Live()) && !yield(t, err) {
				return
			}
		}
	})
	if missing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return live, nil
}

// count counts what is live in a listing. A listing of what is not there (404) is empty.
func count[T any](items iter.Seq2[T, error], live func(T) bool) (int, error) {
	n := 0
	for item, err := range items {
		if err != nil {
			if missing(err) {
				return 0, nil
			}
			return 0, err
		}
		if live(item) {
			n++
		}
	}
	return n, nil
}
