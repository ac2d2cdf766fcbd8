package contract_test

import (
	"context"
	"errors"
	"testing"

	"keyturn/internal/apiclient"
	"keyturn/internal/apiclient/okta"
	"keyturn/internal/sandbox"
	"keyturn/internal/secret"
)

// oktaOrg is an org to run the suite against.
type oktaOrg struct {
	client *okta.Client
	login  string // of the test user
	shared string // a client whose users may all be signed out; empty = none may
	calls  *spend
	ops    *seen
	local  bool // the sandbox: everything may be done
}

// TestOktaContractInTheSandbox runs the suite with every credential, and with both answers where the vendor leaves
// the answer open.
func TestOktaContractInTheSandbox(t *testing.T) {
	app := func(a sandbox.ServiceApp) *okta.ServiceApp {
		return &okta.ServiceApp{ClientID: a.ClientID, KeyID: a.KeyID, PrivateKey: secret.New(a.PrivateKey), Scopes: a.Scopes}
	}
	for name, tt := range map[string]struct {
		opt        sandbox.OktaOptions
		credential func(sandbox.Credentials, *okta.Options)
	}{
		"API token":        {credential: func(c sandbox.Credentials, o *okta.Options) { o.SSWS = secret.New(c.OktaAPIToken) }},
		"service app":      {credential: func(c sandbox.Credentials, o *okta.Options) { o.ServiceApp = app(c.OktaApp) }},
		"service app DPoP": {credential: func(c sandbox.Credentials, o *okta.Options) { o.ServiceApp = app(c.OktaDPoPApp) }},
		"other answers": {
			opt:        sandbox.OktaOptions{RepeatedDeleteOK: true, SuspendRevokesTokens: true, DeactivateNoContent: true},
			credential: func(c sandbox.Credentials, o *okta.Options) { o.SSWS = secret.New(c.OktaAPIToken) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			sb := sandbox.New(sandbox.Options{Okta: tt.opt})
			acme := sb.SeedAcme(30)
			calls := &spend{}
			o := okta.Options{BaseURL: sandbox.OktaURL(sandbox.InProcessURL), Wiring: apiclient.Wiring{Transport: sb.Transport(), Gate: calls}}
			tt.credential(sb.Credentials(), &o)
			c, err := okta.New(o)
			if err != nil {
				t.Fatal(err)
			}
			org := oktaOrg{client: c, login: acme.Leaver.Login, shared: acme.SharedClient, calls: calls, ops: &seen{}, local: true}
			oktaSuite(t, org)
			oktaLosses(t, sb, acme)
			if !tt.opt.SuspendRevokesTokens { // which leaves no single token to revoke
				org.ops.all(t, oktaOperations(o.ServiceApp != nil)...)
			}
		})
	}
}

// oktaLosses wants the leaver to have lost everything, and everybody else what they had with the shared client alone.
func oktaLosses(t *testing.T, sb *sandbox.Sandbox, acme sandbox.Acme) {
	t.Helper()
	if left := sb.Snapshot().Okta.TokensOf(acme.Leaver.OktaID); len(left) != 0 {
		t.Errorf("left of the leaver: %+v", left)
	}
	for _, p := range append(acme.Staff, acme.Traveller) {
		state, lost := sb.Snapshot().Okta, 0
		for _, client := range p.Clients {
			if client == acme.SharedClient {
				lost++
			}
		}
		if n := len(state.TokensOf(p.OktaID)); n != len(p.Tokens)-lost {
			t.Errorf("%s has %d tokens, had %d and %d may go", p.Login, n, len(p.Tokens), lost)
		}
	}
}

// oktaOperations are all that the client calls.
func oktaOperations(app bool) []string {
	all := []string{
		"okta.probeUsers", "okta.getUser", "okta.listUsers", "okta.suspendUser", "okta.unsuspendUser", "okta.deactivateUser",
		"okta.revokeUserSessions", "okta.listUserClients", "okta.listRefreshTokensForUserAndClient",
		"okta.getRefreshTokenForUserAndClient", "okta.revokeTokenForUserAndClient", "okta.revokeTokensForUserAndClient",
		"okta.listUserGrants", "okta.revokeUserGrants", "okta.listGrantsForUserAndClient", "okta.revokeGrantsForUserAndClient",
		"okta.listAuthorizationServers", "okta.listOAuth2ClientsForAuthorizationServer",
		"okta.listRefreshTokensForAuthorizationServerAndClient", "okta.getRefreshTokenForAuthorizationServerAndClient",
		"okta.revokeRefreshTokenForAuthorizationServerAndClient", "okta.revokeRefreshTokensForAuthorizationServerAndClient",
	}
	if app {
		all = append(all, "okta.token")
	}
	return all
}

// TestOktaContract runs the suite against a real org.
func TestOktaContract(t *testing.T) {
	e := environment(t)
	need(t, "a real Okta org", map[string]bool{
		"OKTA_BASE_URL": e.OktaBaseURL != "", "OKTA_USER": e.OktaUser != "",
		"OKTA_SSWS (or OKTA_CLIENT_ID, OKTA_KEY_ID, OKTA_PRIVATE_KEY and OKTA_SCOPES)": !e.OktaSSWS.IsZero() || e.OktaClientID != "",
	})
	calls := &spend{}
	o := okta.Options{BaseURL: e.OktaBaseURL, SSWS: e.OktaSSWS, Wiring: apiclient.Wiring{Gate: calls}}
	if e.OktaClientID != "" {
		o.ServiceApp = &okta.ServiceApp{ClientID: e.OktaClientID, KeyID: e.OktaKeyID, PrivateKey: e.OktaPrivateKey, Scopes: e.OktaScopes}
	}
	c, err := okta.New(o)
	if err != nil {
		t.Fatal(err)
	}
	oktaSuite(t, oktaOrg{client: c, login: e.OktaUser, shared: e.OktaClient, calls: calls, ops: &seen{}})
}

// oktaSuite is what an org must do.
func oktaSuite(t *testing.T, org oktaOrg) {
	ctx := org.ops.watch(t.Context())
	if err := org.client.Probe(ctx); err != nil {
		t.Fatalf("probe: %v", err)
	}
	user, err := org.client.GetUser(ctx, org.login)
	if err != nil || user.ID == "" || user.Status == "" {
		t.Fatalf("user %+v, %v", user, err)
	}
	t.Run("users", func(t *testing.T) { oktaUsers(t, ctx, org, user) })
	t.Run("what a user has", func(t *testing.T) { oktaHoldings(t, ctx, org, user) })
	t.Run("authorization servers", func(t *testing.T) { oktaServers(t, ctx, org) })
	t.Run("budget", func(t *testing.T) { oktaBudget(t, org) })
	t.Run("changes", func(t *testing.T) {
		if !org.local {
			need(t, "the test user, who is signed out everywhere", map[string]bool{"ALLOW_CHANGES=true": environment(t).AllowChanges})
		}
		oktaOffboard(t, ctx, org, user)
		t.Run("all users of a client", func(t *testing.T) { oktaSignOutAll(t, ctx, org) })
		t.Run("deactivate", func(t *testing.T) { oktaDeactivate(t, ctx, org, user) })
	})
}

// oktaUsers reads one person in every way, and somebody who is not there.
func oktaUsers(t *testing.T, ctx context.Context, org oktaOrg, user okta.User) {
	byID, err := org.client.GetUser(ctx, user.ID)
	if err != nil || byID.ID != user.ID || byID.Profile.Login != user.Profile.Login {
		t.Errorf("by id: %+v, %v", byID, err)
	}
	for field, value := range map[okta.UserField]string{
		okta.ByLogin: user.Profile.Login, okta.ByEmail: user.Profile.Email, okta.ByEmployeeNumber: user.Profile.EmployeeNumber,
	} {
		if value == "" {
			continue
		}
		found, err := org.client.FindUsers(ctx, field, value)
		mine := false
		for _, u := range found {
			mine = mine || u.ID == user.ID
		}
		if err != nil || !mine {
			t.Errorf("by %s: %d found, %v", field, len(found), err)
		}
	}
	for _, nobody := range []string{"nobody.of.keyturn@acme.example", "nobody/%2e%2e ü@acme.example", "00u0000000000000none"} {
		_, err := org.client.GetUser(ctx, nobody)
		missing(t, "user "+nobody, err)
	}
	if found, err := org.client.FindUsers(ctx, okta.ByEmployeeNumber, "keyturn-nobody"); err != nil || len(found) != 0 {
		t.Errorf("nobody: %+v, %v", found, err)
	}
}

func clientID(c okta.OAuthClient) string   { return c.ClientID }
func tokenID(tok okta.RefreshToken) string { return tok.ID }
func grantID(g okta.Grant) string          { return g.ID }
func serverID(s okta.AuthServer) string    { return s.ID }

// oktaHoldings reads the clients, tokens and grants of a person: page by page what is there at once.
func oktaHoldings(t *testing.T, ctx context.Context, org oktaOrg, user okta.User) {
	c := org.client
	one := okta.GrantOptions{Limit: 1, Expand: true}
	grants := take(t, "grants", 0, c.ListUserGrants(ctx, user.ID, okta.GrantOptions{}), grantID)
	same(t, "grants", take(t, "grants", 0, c.ListUserGrants(ctx, user.ID, one), grantID), grants, grantID)
	clients := take(t, "clients", 0, c.ListUserClients(ctx, user.ID), clientID)
	if org.local && (len(clients) == 0 || len(grants) == 0) {
		t.Fatal("the leaver has nothing")
	}
	for _, client := range clients {
		id := client.ClientID
		tokens := take(t, "tokens", 0, c.ListUserTokens(ctx, user.ID, id, okta.TokenOptions{}), tokenID)
		paged := take(t, "tokens", 0, c.ListUserTokens(ctx, user.ID, id, okta.TokenOptions{Limit: 1, Expand: true}), tokenID)
		same(t, "tokens", paged, tokens, tokenID)
		_ = take(t, "grants", 0, c.ListUserClientGrants(ctx, user.ID, id, one), grantID)
		for _, token := range paged {
			got, err := c.GetUserToken(ctx, user.ID, id, token.ID, true)
			if err != nil || got.ID != token.ID || got.UserID != user.ID || got.ClientID != id || !got.Live() || len(got.ScopeDetails) != len(token.ScopeDetails) {
				t.Errorf("token %+v, %v", got, err)
			}
		}
	}
	if _, err := apiclient.Collect(c.ListUserClients(ctx, "00u0000000000000none")); !apiclient.IsStatus(err, 404) {
		t.Errorf("clients of nobody: %v", err)
	}
}

// oktaServers reads the authorization servers, their clients and their tokens, of which it looks at a few only.
func oktaServers(t *testing.T, ctx context.Context, org oktaOrg) {
	c := org.client
	servers, err := apiclient.Collect(c.ListAuthServers(ctx))
	if errors.Is(err, okta.ErrNoAuthServers) {
		t.Skip("the org has no custom authorization servers")
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, server := range servers[:min(len(servers), 3)] {
		if server.ID == "" || server.Issuer == "" {
			t.Errorf("server %+v", server)
		}
		for _, client := range take(t, "clients", 3, c.ListAuthServerClients(ctx, server.ID), clientID) {
			list := func(o okta.TokenOptions, n int) []okta.RefreshToken {
				return take(t, "tokens", n, c.ListAuthServerTokens(ctx, server.ID, client.ClientID, o), tokenID)
			}
			few := list(okta.TokenOptions{Limit: 2, Expand: true}, 5)
			if len(few) < 5 {
				same(t, "tokens", few, list(okta.TokenOptions{}, 0), tokenID)
			}
			for _, token := range few {
				got, err := c.GetAuthServerToken(ctx, server.ID, client.ClientID, token.ID, false)
				if err != nil || got.ID != token.ID || got.UserID == "" || got.ClientID != client.ClientID || got.ExpiresAt.IsZero() {
					t.Errorf("token %+v, %v", got, err)
				}
			}
		}
	}
	_, err = apiclient.Collect(c.ListAuthServerTokens(ctx, okta.DefaultAuthServer, "0oa0000000000000none", okta.TokenOptions{}))
	missing(t, "client at the default server", err)
}

// oktaBudget wants every bucket that was spent to have told what is left.
func oktaBudget(t *testing.T, org oktaOrg) {
	for _, bucket := range []string{"/api/v1/users/{id}", "/api/v1/users"} {
		if b, ok := org.calls.told[bucket]; !ok || b.Limit <= 0 || b.Remaining < 0 || b.Reset <= 0 {
			t.Errorf("bucket %s: %+v", bucket, b)
		}
	}
}

// oktaOffboard takes everything from one person, and lets them in again at the end.
func oktaOffboard(t *testing.T, ctx context.Context, org oktaOrg, user okta.User) {
	c, id := org.client, user.ID
	if user.Status != okta.UserActive {
		t.Fatalf("the test user is %s: activate it first", user.Status)
	}
	before := take(t, "clients", 0, c.ListUserClients(ctx, id), clientID)
	call, err := c.SuspendUser(ctx, id)
	done(t, "suspend", call, err)
	_, err = c.SuspendUser(ctx, id)
	again(t, "suspend", err)
	if u, err := c.GetUser(ctx, id); err != nil || u.Status != okta.UserSuspended {
		t.Errorf("after the suspension: %+v, %v", u, err)
	}
	for _, o := range []okta.SessionOptions{{}, {ForgetDevices: true}} {
		call, err = c.RevokeUserSessions(ctx, id, o)
		done(t, "sessions", call, err)
	}
	for _, client := range before {
		oktaRevoke(t, ctx, c, id, client.ClientID)
	}
	call, err = c.RevokeUserGrants(ctx, id)
	done(t, "grants", call, err)
	call, err = c.RevokeUserSessions(ctx, id, okta.SessionOptions{OAuthTokens: true, ForgetDevices: true})
	done(t, "sessions and tokens", call, err)
	if left := take(t, "clients", 0, c.ListUserClients(ctx, id), clientID); len(left) != 0 {
		t.Errorf("left: %+v", left)
	}
	call, err = c.UnsuspendUser(ctx, id)
	done(t, "unsuspend", call, err)
	if u, err := c.GetUser(ctx, id); err != nil || u.Status != okta.UserActive {
		t.Errorf("let in again: %+v, %v", u, err)
	}
}

// oktaRevoke revokes what a person has with one client: one token at each of the two places, the rest, the consents.
func oktaRevoke(t *testing.T, ctx context.Context, c *okta.Client, user, client string) {
	tokens := take(t, "tokens", 0, c.ListUserTokens(ctx, user, client, okta.TokenOptions{}), tokenID)
	for i, token := range tokens[:min(len(tokens), 2)] {
		revoke := func() (string, error) { return c.RevokeUserToken(ctx, user, client, token.ID) }
		if i == 1 {
			server := serverOf(t, ctx, c, token)
			revoke = func() (string, error) { return c.RevokeAuthServerToken(ctx, server, client, token.ID) }
		}
		call, err := revoke()
		done(t, "token", call, err)
		_, err = revoke()
		again(t, "token", err)
	}
	call, err := c.RevokeUserTokens(ctx, user, client)
	done(t, "tokens", call, err)
	_, err = c.RevokeUserTokens(ctx, user, client)
	again(t, "tokens", err)
	if left := take(t, "tokens", 0, c.ListUserTokens(ctx, user, client, okta.TokenOptions{}), tokenID); len(left) != 0 {
		t.Errorf("left: %+v", left)
	}
	call, err = c.RevokeUserClientGrants(ctx, user, client)
	done(t, "grants of a client", call, err)
}

// serverOf finds the authorization server that issued a token.
func serverOf(t *testing.T, ctx context.Context, c *okta.Client, token okta.RefreshToken) string {
	t.Helper()
	for _, s := range take(t, "servers", 0, c.ListAuthServers(ctx), serverID) {
		if s.Issuer == token.Issuer {
			return s.ID
		}
	}
	t.Fatalf("no server issues %s", token.Issuer)
	return ""
}

// oktaSignOutAll revokes all tokens of a client at the default server, and reads that they are gone.
func oktaSignOutAll(t *testing.T, ctx context.Context, org oktaOrg) {
	need(t, "all users of a client at the default server", map[string]bool{"OKTA_CLIENT": org.shared != ""})
	c := org.client
	for range 2 { // also when there are none
		call, err := c.RevokeAuthServerTokensOfAllUsers(ctx, okta.DefaultAuthServer, org.shared)
		done(t, "tokens of all users", call, err)
	}
	left, err := apiclient.Collect(c.ListAuthServerTokens(ctx, okta.DefaultAuthServer, org.shared, okta.TokenOptions{}))
	for _, token := range left {
		if token.Live() {
			t.Errorf("left: %+v", token)
		}
	}
	if err != nil {
		t.Error(err)
	}
	_, err = c.RevokeAuthServerToken(ctx, okta.DefaultAuthServer, org.shared, "oar0000000000000none")
	again(t, "token that never was", err)
}

// oktaDeactivate cannot be undone.
func oktaDeactivate(t *testing.T, ctx context.Context, org oktaOrg, user okta.User) {
	if !org.local {
		t.Skip("a deactivation cannot be undone: it is done in the sandbox alone")
	}
	call, err := org.client.DeactivateUser(ctx, user.ID, false)
	done(t, "deactivate", call, err)
	_, err = org.client.DeactivateUser(ctx, user.ID, false)
	again(t, "deactivate", err)
	if u, err := org.client.GetUser(ctx, user.ID); err != nil || u.Status != okta.UserDeprovisioned {
		t.Errorf("after the deactivation: %+v, %v", u, err)
	}
}
