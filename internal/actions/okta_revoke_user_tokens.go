package actions

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"keyturn/internal/apiclient"
	"keyturn/internal/apiclient/okta"
	"keyturn/internal/ledger"
)

// accessTokenLife is the longest that an access token can live at Okta: the policies of its authorization servers
// allow 5 minutes to 24 hours (vendor page revoke-tokens). Where it is checked without asking Okta it is good until
// then, revoked or not.
const accessTokenLife = 24 * time.Hour

// accessTokens is the residual of a revocation at Okta that is looked at now: the access tokens of whom or what.
func accessTokens(whose string, now time.Time) ledger.Residual {
	return ledger.Residual{
		What:  "access tokens " + whose + ", where they are checked without asking Okta",
		Until: now.Add(accessTokenLife).UTC().Truncate(time.Second),
	}
}

// oktaRevokeUserTokens brings about that one person has no refresh token and no grant left, and nobody else loses
// any: per client of that person, that person's tokens. The call that names only client and server would sign out
// every user. Before it the person's sessions are ended with all their OAuth tokens, in one call that also reaches
// access tokens which came without a refresh token (vendor page of revokeUserSessions): what a browser session could
// make new while the tokens are revoked one client after the other is not made.
//
// When the person's own listings show nothing more, the listings of the authorization servers are swept for tokens
// with the person's id: whether the person's listing covers every server is not documented.
type oktaRevokeUserTokens struct {
	user     oktaUser
	all      Clients
	sessions bool
	grants   bool
	sweep    string
	clients  map[string]bool // those that had tokens or grants, now or in an earlier observation
}

// pinClient begins the pins of the clients that had the person's tokens: a listing forgets them once they are revoked.
const pinClient = "client."

func defineOktaRevokeUserTokens() definition {
	return definition{
		KindInfo: KindInfo{
			Name: "okta.revoke_user_tokens", Provider: "okta",
			Parameters: []Parameter{
				userParameter,
				{Name: "sessions", Form: Flag,
					About: "while the person has tokens, first end the sessions at Okta with their OAuth tokens: true (default) or false"},
				{Name: "grants", Form: Flag,
					About: "also revoke the consents, without which a sign-in asks again: true (default) or false"},
				{Name: "sweep", Words: []string{"all", "clients", "none"},
					About: `which listings of the authorization servers to search for what is left: "all" (default), ` +
						`"clients" (only those clients that the person had) or "none"`},
			},
		},
		build: func(p parameters, c Clients, pins map[string]string) (Kind, error) {
			u, err := newOktaUser(p, c, pins)
			if err != nil {
				return nil, err
			}
			k := &oktaRevokeUserTokens{user: u, all: c, sessions: true, grants: true, clients: map[string]bool{}}
			for name, id := range pins {
				if strings.HasPrefix(name, pinClient) {
					k.clients[id] = true
				}
			}
			if err := p.into("sessions", &k.sessions); err != nil {
				return nil, err
			}
			if err := p.into("grants", &k.grants); err != nil {
				return nil, err
			}
			k.sweep, err = p.choice("sweep", "all", "clients", "none")
			return k, err
		},
	}
}

// Observe implements Kind.
func (k *oktaRevokeUserTokens) Observe(ctx context.Context) (Observation, error) {
	u, err := k.user.find(ctx)
	if err != nil {
		return Observation{}, err
	}
	obs := Observation{Seen: u.seen, Pins: u.pins}
	if !u.gone {
		if err := k.own(ctx, u.ID, &obs); err != nil {
			return obs, err
		}
	}
	if len(obs.Needed) == 0 {
		if err := k.sweepServers(ctx, u.ID, &obs); err != nil {
			return obs, err
		}
	}
	for id := range k.clients {
		obs.Pins[pinClient+id] = id
	}
	if len(k.clients) > 0 {
		obs.Residual = []ledger.Residual{accessTokens(fmt.Sprintf("of %s from %d clients", u.ID, len(k.clients)), k.all.now())}
	}
	return obs, nil
}

// own looks at the person's own listings.
func (k *oktaRevokeUserTokens) own(ctx context.Context, id string, obs *Observation) error {
	listed, err := apiclient.Collect(k.user.client.ListUserClients(ctx, id))
	if err != nil {
		return err
	}
	for _, c := range listed {
		k.clients[c.ClientID] = true
	}
	obs.Seen = append(obs.Seen, ledger.Fact{What: "clients with tokens or grants of " + id, Value: fmt.Sprint(len(listed))})
	live := 0
	for _, client := range slices.Sorted(maps.Keys(k.clients)) {
		n, err := k.client(ctx, id, client, obs)
		if err != nil {
			return err
		}
		live += n
	}
	if live > 0 && k.sessions {
		obs.Needed = slices.Insert(obs.Needed, 0, Change{
			Call: "okta.revokeUserSessions", Target: id, Apply: func(ctx context.Context) (string, error) { return k.endSessions(ctx, id) },
		})
	}
	return nil
}

// endSessions ends the person's sessions with their tokens. The calls after it revoke the tokens all the same, and the
// listings prove it: an org that refuses this one keeps nothing from its end.
func (k *oktaRevokeUserTokens) endSessions(ctx context.Context, id string) (string, error) {
	request, err := k.user.client.RevokeUserSessions(ctx, id, okta.SessionOptions{OAuthTokens: true})
	if e, ok := errors.AsType[*apiclient.Error](err); ok && e.Cause == apiclient.Permanent {
		passed := *e
		passed.Cause = apiclient.AlreadyDone
		return request, &passed
	}
	return request, err
}

// client counts the person's live tokens and grants of one client, and gives the number of tokens. A client that is not
// there has none.
func (k *oktaRevokeUserTokens) client(ctx context.Context, id, client string, obs *Observation) (int, error) {
	c := k.user.client
	tokens, err := count(c.ListUserTokens(ctx, id, client, okta.TokenOptions{}), okta.RefreshToken.Live)
	if err != nil {
		return 0, err
	}
	at := id + "/" + client
	obs.Seen = append(obs.Seen, ledger.Fact{What: "refresh tokens of " + at, Value: fmt.Sprint(tokens)})
	if tokens > 0 {
		obs.Needed = append(obs.Needed, Change{
			Call: "okta.revokeTokensForUserAndClient", Target: at,
			Apply: func(ctx context.Context) (string, error) { return c.RevokeUserTokens(ctx, id, client) },
		})
	}
	if !k.grants {
		return tokens, nil
	}
	grants, err := count(c.ListUserClientGrants(ctx, id, client, okta.GrantOptions{}), okta.Grant.Live)
	if err != nil {
		return 0, err
	}
	obs.Seen = append(obs.Seen, ledger.Fact{What: "grants of " + at, Value: fmt.Sprint(grants)})
	if grants > 0 {
		obs.Needed = append(obs.Needed, Change{
			Call: "okta.revokeGrantsForUserAndClient", Target: at,
			Apply: func(ctx context.Context) (string, error) { return c.RevokeUserClientGrants(ctx, id, client) },
		})
	}
	return tokens, nil
}

// sweepServers searches the listings of the authorization servers for tokens of the person.
func (k *oktaRevokeUserTokens) sweepServers(ctx context.Context, id string, obs *Observation) error {
	if k.sweep == "none" {
		return nil
	}
	only := k.clients
	if k.sweep == "all" {
		only = nil
	}
	swept, err := k.all.Sweeps.servers(ctx, k.user.client, only)
	if err != nil {
		return err
	}
	obs.Seen = append(obs.Seen, swept.seen...)
	left := swept.tokens[id]
	obs.Seen = append(obs.Seen, ledger.Fact{What: "refresh tokens of " + id + " in these listings", Value: fmt.Sprint(len(left))})
	for _, t := range left {
		k.clients[t.client] = true
		obs.Needed = append(obs.Needed, Change{
			Call: "okta.revokeRefreshTokenForAuthorizationServerAndClient", Target: t.server + "/" + t.client + "/" + t.id,
			Apply: func(ctx context.Context) (string, error) {
				return k.user.client.RevokeAuthServerToken(ctx, t.server, t.client, t.id)
			},
		})
	}
	return nil
}
