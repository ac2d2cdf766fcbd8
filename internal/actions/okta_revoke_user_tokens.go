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
// any. First the person's sessions are ended with all their OAuth tokens, in one call that also reaches access tokens
// which came without a refresh token (vendor page of revokeUserSessions): what a browser session could make new while
// tokens are revoked one client after the other is not made. Whether that call reaches every authorization server is
// not documented: of the clients that are still listed after it, that person's tokens are revoked client by client. The
// call that names only client and server would sign out every user.
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
	ended    bool            // the sessions were ended in this attempt, or Okta will not have it: what is left is left after that
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
	return lookTwice(ctx, k.user.forget, k.look)
}

// look reads everything once, but for a user who was read before.
func (k *oktaRevokeUserTokens) look(ctx context.Context) (Observation, error) {
	u, err := k.user.control(ctx)
	if err != nil {
		return Observation{}, err
	}
	obs := Observation{Seen: u.seen, Pins: maps.Clone(u.pins)}
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

// own looks at the person's own listings: of the clients with tokens or grants, of the grants, and, of each client that
// is still listed, of the tokens. One live token is enough to know that the sessions have to be ended with their tokens;
// only what outlives that is revoked client by client.
func (k *oktaRevokeUserTokens) own(ctx context.Context, id string, obs *Observation) error {
	listed, err := apiclient.Collect(k.user.client.ListUserClients(ctx, id))
	if err != nil {
		return err
	}
	for _, c := range listed {
		k.clients[c.ClientID] = true
	}
	obs.Seen = append(obs.Seen, ledger.Fact{What: "clients with tokens or grants of " + id, Value: fmt.Sprint(len(listed))})
	slices.SortFunc(listed, func(a, b okta.OAuthClient) int { return strings.Compare(a.ClientID, b.ClientID) })
	for _, c := range listed {
		live, err := k.tokens(ctx, id, c.ClientID, obs)
		if err != nil {
			return err
		}
		if live && k.sessions && !k.ended {
			obs.Needed = []Change{{
				Call: "okta.revokeUserSessions", Target: id, Apply: func(ctx context.Context) (string, error) { return k.endSessions(ctx, id) },
			}}
			break
		}
	}
	return k.consents(ctx, id, obs)
}

// endSessions ends the person's sessions with their tokens. What a listing shows after it is revoked client by client:
// an org that refuses this call keeps nothing from its end.
func (k *oktaRevokeUserTokens) endSessions(ctx context.Context, id string) (string, error) {
	request, err := k.user.client.RevokeUserSessions(ctx, id, okta.SessionOptions{OAuthTokens: true})
	e, ok := errors.AsType[*apiclient.Error](err)
	if ok && e.Cause == apiclient.Permanent {
		passed := *e
		passed.Cause = apiclient.AlreadyDone
		err = &passed
	}
	k.ended = k.ended || err == nil || apiclient.CauseOf(err) == apiclient.AlreadyDone
	return request, err
}

// tokens counts the person's live tokens of one client. A client that is not there has none.
func (k *oktaRevokeUserTokens) tokens(ctx context.Context, id, client string, obs *Observation) (live bool, err error) {
	c := k.user.client
	n, err := count(c.ListUserTokens(ctx, id, client, okta.TokenOptions{}), okta.RefreshToken.Live)
	if err != nil {
		return false, err
	}
	at := id + "/" + client
	obs.Seen = append(obs.Seen, ledger.Fact{What: "refresh tokens of " + at, Value: fmt.Sprint(n)})
	if n > 0 {
		obs.Needed = append(obs.Needed, Change{
			Call: "okta.revokeTokensForUserAndClient", Target: at,
			Apply: func(ctx context.Context) (string, error) { return c.RevokeUserTokens(ctx, id, client) },
		})
	}
	return n > 0, nil
}

// consents counts the person's grants, to all clients at once.
func (k *oktaRevokeUserTokens) consents(ctx context.Context, id string, obs *Observation) error {
	if !k.grants {
		return nil
	}
	c := k.user.client
	n, err := count(c.ListUserGrants(ctx, id, okta.GrantOptions{}), okta.Grant.Live)
	if err != nil {
		return err
	}
	obs.Seen = append(obs.Seen, ledger.Fact{What: "grants of " + id, Value: fmt.Sprint(n)})
	if n > 0 {
		obs.Needed = append(obs.Needed, Change{
			Call: "okta.revokeUserGrants", Target: id,
			Apply: func(ctx context.Context) (string, error) { return c.RevokeUserGrants(ctx, id) },
		})
	}
	return nil
}

// sweepServers searches the listings of the authorization servers for tokens of the person.
func (k *oktaRevokeUserTokens) sweepServers(ctx context.Context, id string, obs *Observation) error {
	if k.sweep == "none" {
		return nil
	}
	var swept sweep
	var err error
	if k.sweep == "all" {
		swept, err = sweepAll(ctx, k.all.share(), k.user.client)
	} else {
		swept, err = sweepSome(ctx, k.all.share(), k.user.client, k.clients)
	}
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
