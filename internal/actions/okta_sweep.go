package actions

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"

	"keyturn/internal/apiclient"
	"keyturn/internal/apiclient/okta"
	"keyturn/internal/ledger"
)

// Sweeps share the verification of a connection: the listing of an authorization server's tokens of one client holds
// the tokens of all users, so that one reading, begun after the last of several revocations, serves all that wait for
// it. The zero value is ready; a nil one shares nothing. It is safe for concurrent use.
type Sweeps struct {
	mu  sync.Mutex
	now map[string]*reading // by what is read; only those under way
}

// reading is one reading of a listing, and the one after it.
type reading struct {
	led   bool          // somebody reads
	done  chan struct{} // closed when it is over
	value any
	err   error
	good  bool     // it came to an end; false = its reader left
	next  *reading // for those who came after this one began
}

// fresh gives what read reads, from a reading that began after the caller came: the caller's own, or another's. A
// reader reads in its own call; when it leaves before the end, one of the others reads.
func fresh[T any](ctx context.Context, s *Sweeps, key string, read func(context.Context) (T, error)) (T, error) {
	if s == nil {
		return read(ctx)
	}
	for {
		mine, leads, err := s.join(ctx, key)
		if err == nil && !leads {
			err = mine.wait(ctx)
		}
		if err != nil {
			var zero T
			return zero, err
		}
		if leads {
			return lead(ctx, s, key, mine, read)
		}
		if mine.good {
			v, _ := mine.value.(T)
			return v, mine.err
		}
	}
}

// join finds the reading for a caller who comes now, and says whether the caller is the one who reads.
func (s *Sweeps) join(ctx context.Context, key string) (*reading, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now == nil {
		s.now = map[string]*reading{}
	}
	mine := s.now[key]
	if mine == nil {
		mine = &reading{done: make(chan struct{})}
		s.now[key] = mine
	}
	if mine.led {
		// It began before the caller came: it may have passed what the caller must see. The next one will not have.
		if mine.next == nil {
			mine.next = &reading{done: make(chan struct{})}
		}
		before := mine
		mine = mine.next
		s.mu.Unlock()
		err := before.wait(ctx)
		s.mu.Lock()
		if err != nil {
			return nil, false, err
		}
	}
	leads := !mine.led
	mine.led = true
	return mine, leads, nil
}

// wait waits for the reading to be over.
func (r *reading) wait(ctx context.Context) error {
	select {
	case <-r.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// lead reads for all who wait for mine. It leaves the way free also when read panics.
func lead[T any](ctx context.Context, s *Sweeps, key string, mine *reading, read func(context.Context) (T, error)) (T, error) {
	defer func() {
		s.mu.Lock()
		if s.now[key] = mine.next; mine.next == nil {
			delete(s.now, key)
		}
		s.mu.Unlock()
		close(mine.done)
	}()
	v, err := read(ctx)
	if ctx.Err() == nil {
		mine.value, mine.err, mine.good = v, err, true
	}
	return v, err
}

// sweptToken is a live refresh token that a sweep found.
type sweptToken struct{ server, client, id string }

// sweep is what the listings of the authorization servers hold.
type sweep struct {
	seen     []ledger.Fact
	tokens   map[string][]sweptToken // live ones, by user id
	listings int                     // of clients at servers
	live     int                     // tokens of anybody
}

// servers sweeps every custom authorization server; only limits it to some clients, nil is all.
func (s *Sweeps) servers(ctx context.Context, c *okta.Client, only map[string]bool) (sweep, error) {
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
		listed, err := fresh(ctx, s, server.ID, func(ctx context.Context) ([]okta.OAuthClient, error) {
			return apiclient.Collect(c.ListAuthServerClients(ctx, server.ID))
		})
		if err != nil && !missing(err) {
			return out, err
		}
		for _, client := range listed {
			if only != nil && !only[client.ClientID] {
				continue
			}
			found, err := s.tokens(ctx, c, server.ID, client.ClientID)
			if err != nil {
				return out, err
			}
			out.add(server.ID, client.ClientID, found)
		}
	}
	out.seen = []ledger.Fact{
		{What: "custom authorization servers swept", Value: fmt.Sprint(len(servers))},
		{What: "listings of clients there", Value: fmt.Sprintf("%d, with %d live refresh tokens of anybody", out.listings, out.live)},
	}
	return out, nil
}

// add takes one listing over.
func (s *sweep) add(server, client string, found []okta.RefreshToken) {
	s.listings++
	s.live += len(found)
	for _, t := range found {
		s.tokens[t.UserID] = append(s.tokens[t.UserID], sweptToken{server, client, t.ID})
	}
}

// tokens reads the live tokens of one client at one server. A client that is not there has none.
func (s *Sweeps) tokens(ctx context.Context, c *okta.Client, server, client string) ([]okta.RefreshToken, error) {
	return fresh(ctx, s, server+" "+client, func(ctx context.Context) ([]okta.RefreshToken, error) {
		var live []okta.RefreshToken
		for t, err := range c.ListAuthServerTokens(ctx, server, client, okta.TokenOptions{}) {
			if err != nil {
				if missing(err) {
					return nil, nil
				}
				return nil, err
			}
			if t.Live() {
				live = append(live, t)
			}
		}
		return live, nil
	})
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
