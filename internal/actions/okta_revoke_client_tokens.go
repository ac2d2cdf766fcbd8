package actions

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"keyturn/internal/apiclient"
	"keyturn/internal/apiclient/okta"
	"keyturn/internal/ledger"
)

// oktaRevokeClientTokens brings about that nobody has a refresh token of one client, on one authorization server or
// on every custom one. It signs out every user of the client: it is for clients that are compromised, and how many
// people that concerns stands in the ledger before the first call.
type oktaRevokeClientTokens struct {
	all     Clients
	client  string
	server  string            // empty = every one
	servers map[string]string // pins: those that knew the client
}

// pinServer begins the pins of the authorization servers that knew the client.
const pinServer = "server."

func defineOktaRevokeClientTokens() definition {
	return definition{
		KindInfo: KindInfo{
			Name: "okta.revoke_client_tokens", Provider: "okta",
			Parameters: []Parameter{
				{Name: "client_id", Required: true, About: "the OAuth client, all of whose users are signed out"},
				{Name: "authorization_server", About: "id of a custom authorization server; not given or empty = every one"},
			},
		},
		build: func(p parameters, c Clients, pins map[string]string) (Kind, error) {
			k := &oktaRevokeClientTokens{all: c, servers: map[string]string{}}
			if err := p.into("client_id", &k.client); err != nil {
				return nil, err
			}
			if strings.TrimSpace(k.client) == "" {
				return nil, errors.New("with.client_id: empty")
			}
			for name, id := range pins {
				if strings.HasPrefix(name, pinServer) {
					k.servers[name] = id
				}
			}
			return k, p.into("authorization_server", &k.server)
		},
	}
}

// Observe implements Kind. The positive control is that a listing answers at all: for a client that Okta does not
// know it is 404, where one without tokens has an empty listing.
func (k *oktaRevokeClientTokens) Observe(ctx context.Context) (Observation, error) {
	servers, err := k.targets(ctx)
	if err != nil {
		return Observation{}, err
	}
	obs := Observation{Pins: map[string]string{}}
	users := map[string]bool{}
	for _, server := range servers {
		if err := k.look(ctx, server, users, &obs); err != nil {
			return obs, err
		}
	}
	if len(obs.Pins) == 0 && len(k.servers) == 0 {
		return obs, permanent("okta.revokeClientTokens", advised{
			error:  fmt.Errorf("no authorization server knows the client %s", k.client),
			advice: "check the client id; tokens of the org's own authorization server cannot be listed or revoked by this call",
		})
	}
	obs.Seen = append(obs.Seen,
		ledger.Fact{What: "users with live refresh tokens of " + k.client, Value: fmt.Sprint(len(users))},
		ledger.Fact{What: "tokens of the org's own authorization server", Value: "in no listing, not reached by this call"})
	obs.Residual = []ledger.Residual{accessTokens("of "+k.client, k.all.now())}
	return obs, nil
}

// targets gives the servers to look at: those that knew the client and all that there are now, or the one asked for.
func (k *oktaRevokeClientTokens) targets(ctx context.Context) ([]string, error) {
	if k.server != "" {
		return []string{k.server}, nil
	}
	listed, err := apiclient.Collect(k.all.Okta.ListAuthServers(ctx))
	if errors.Is(err, okta.ErrNoAuthServers) {
		return nil, permanent("okta.revokeClientTokens", advised{
			error:  okta.ErrNoAuthServers,
			advice: "revoke the client's tokens at the org's own authorization server by hand",
		})
	}
	var ids []string
	for _, s := range listed {
		ids = append(ids, s.ID)
	}
	for _, id := range k.servers { // a listing may lag behind, and a server may be gone
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return slices.Compact(ids), err
}

// look counts the live tokens of the client at one server, and the users who hold them.
func (k *oktaRevokeClientTokens) look(ctx context.Context, server string, users map[string]bool, obs *Observation) error {
	n, here := 0, map[string]bool{}
	for t, err := range k.all.Okta.ListAuthServerTokens(ctx, server, k.client, okta.TokenOptions{}) {
		if missing(err) {
			obs.Seen = append(obs.Seen, ledger.Fact{What: "client " + k.client + " at " + server, Value: "not known there (404)"})
			return nil
		}
		if err != nil {
			return err
		}
		if t.Live() {
			n++
			here[t.UserID], users[t.UserID] = true, true
		}
	}
	obs.Pins[pinServer+server] = server
	obs.Seen = append(obs.Seen, ledger.Fact{
		What: "refresh tokens of " + k.client + " at " + server, Value: fmt.Sprintf("%d of %d users", n, len(here)),
	})
	if n > 0 {
		obs.Needed = append(obs.Needed, Change{
			Call: "okta.revokeRefreshTokensForAuthorizationServerAndClient", Target: server + "/" + k.client,
			Apply: func(ctx context.Context) (string, error) {
				return k.all.Okta.RevokeAuthServerTokensOfAllUsers(ctx, server, k.client)
			},
		})
	}
	return nil
}
