package actions

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"keyturn/internal/apiclient"
	"keyturn/internal/apiclient/okta"
	"keyturn/internal/ledger"
)

// oktaRevokeToken brings about that one refresh token of one client cannot be used. It never touches another: the only
// call that it makes names the token.
//
// A token that is revoked and one that never was read the same at Okta (404). So the first look must find it, and
// fixes the authorization server that knows it; from then on 404 means gone.
type oktaRevokeToken struct {
	all      Clients
	token    string // its id, not the token
	client   string
	server   string // given, or fixed by an earlier observation; empty = search every one
	fixed    bool
	notFound string // what it means that no authorization server knows the token at the first look
}

// pinTokenServer is the pin of the authorization server that knew the token.
const pinTokenServer = "server"

func defineOktaRevokeToken() definition {
	return definition{
		KindInfo: KindInfo{
			Name: "okta.revoke_token", Provider: "okta",
			Parameters: []Parameter{
				{Name: "token_id", Required: true, About: "id of the refresh token (not the token itself)"},
				{Name: "client_id", Required: true, About: "the OAuth client that it was issued for"},
				{Name: "authorization_server", About: "id of a custom authorization server; not given or empty = every one is asked"},
				{Name: "not_found", Words: []string{"fail", "holds"},
					About: `no server knows the token, and none was seen to: "fail" (default), as an id may be wrong, or "holds"`},
			},
		},
		build: func(p parameters, c Clients, pins map[string]string) (_ Kind, err error) {
			k := &oktaRevokeToken{all: c}
			for name, to := range map[string]*string{"token_id": &k.token, "client_id": &k.client, "authorization_server": &k.server} {
				if err = p.into(name, to); err != nil {
					return nil, err
				}
				if *to = strings.TrimSpace(*to); *to == "" && name != "authorization_server" {
					return nil, fmt.Errorf("with.%s: empty", name)
				}
			}
			if pinned := pins[pinTokenServer]; pinned != "" {
				k.server, k.fixed = pinned, true
			}
			k.notFound, err = p.choice("not_found", "fail", "holds")
			return k, err
		},
	}
}

// Observe implements Kind.
func (k *oktaRevokeToken) Observe(ctx context.Context) (Observation, error) {
	obs := Observation{}
	servers, err := k.targets(ctx)
	if err != nil {
		return obs, err
	}
	for _, server := range servers {
		found, err := k.look(ctx, server, &obs)
		if err != nil {
			return obs, err
		}
		if found {
			k.server, k.fixed = server, true
			break
		}
	}
	if k.fixed {
		obs.Pins = map[string]string{pinTokenServer: k.server}
		obs.Residual = []ledger.Residual{accessTokens("issued with refresh token "+k.token, k.all.now())}
		if len(obs.Needed) == 0 {
			_, err = k.control(ctx, k.server, &obs)
		}
		return obs, err
	}
	return obs, k.unknown(ctx, servers, &obs)
}

// targets gives the servers to look at.
func (k *oktaRevokeToken) targets(ctx context.Context) ([]string, error) {
	if k.server != "" {
		return []string{k.server}, nil
	}
	listed, err := apiclient.Collect(k.all.Okta.ListAuthServers(ctx))
	if errors.Is(err, okta.ErrNoAuthServers) {
		return nil, permanent("okta.revokeToken", advised{
			error:  okta.ErrNoAuthServers,
			advice: "revoke the token at the org's own authorization server by hand",
		})
	}
	var ids []string
	for _, s := range listed {
		ids = append(ids, s.ID)
	}
	return ids, err
}

// look reads the token at one server.
func (k *oktaRevokeToken) look(ctx context.Context, server string, obs *Observation) (found bool, err error) {
	at := "refresh token " + k.token + " at " + server
	t, err := k.all.Okta.GetAuthServerToken(ctx, server, k.client, k.token, false)
	switch {
	case missing(err):
		value := "not there (404)"
		if k.fixed {
			value = "gone (404)"
		}
		obs.Seen = append(obs.Seen, ledger.Fact{What: at, Value: value})
		return false, nil
	case err != nil:
		return false, err
	case t.ID != k.token, t.ClientID != "" && t.ClientID != k.client:
		return false, permanent("okta.getRefreshToken", errors.New("the reply is about another token"))
	}
	obs.Seen = append(obs.Seen, ledger.Fact{What: at, Value: t.Status}, ledger.Fact{What: "user of refresh token " + k.token, Value: t.UserID})
	if t.Live() {
		obs.Needed = []Change{{
			Call: "okta.revokeRefreshTokenForAuthorizationServerAndClient", Target: server + "/" + k.client + "/" + k.token,
			Apply: func(ctx context.Context) (string, error) {
				return k.all.Okta.RevokeAuthServerToken(ctx, server, k.client, k.token)
			},
		}}
	}
	return true, nil
}

// control shows that a server answers about the client at all: its listing can be read, so that a 404 for the token
// speaks of the token. One item is enough.
func (k *oktaRevokeToken) control(ctx context.Context, server string, obs *Observation) (known bool, err error) {
	what := "listing of " + k.client + " at " + server
	for _, err := range k.all.Okta.ListAuthServerTokens(ctx, server, k.client, okta.TokenOptions{Limit: 1}) {
		if missing(err) {
			obs.Seen = append(obs.Seen, ledger.Fact{What: what, Value: "the client is not known there (404)"})
			return false, nil
		}
		if err != nil {
			return false, err
		}
		break
	}
	obs.Seen = append(obs.Seen, ledger.Fact{What: what, Value: "answers"})
	return true, nil
}

// unknown decides what it means that no server knows the token and that none was seen to. That the client is known is
// the least that must hold.
func (k *oktaRevokeToken) unknown(ctx context.Context, servers []string, obs *Observation) error {
	known := false
	for _, server := range servers {
		here, err := k.control(ctx, server, obs)
		if err != nil {
			return err
		}
		known = known || here
	}
	switch {
	case !known:
		return advise(fmt.Errorf("no authorization server that was asked knows the client %s", k.client),
			"check client_id and authorization_server; tokens of the org's own authorization server cannot be revoked by this call")
	case k.notFound == "holds":
		return nil
	}
	return advise(fmt.Errorf("the client %s has no refresh token %s", k.client, k.token),
		"check token_id; if the token was revoked or ran out before, drop this, or set not_found: holds in the playbook")
}
