package okta_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"keyturn/internal/apiclient"
	"keyturn/internal/apiclient/okta"
	"keyturn/internal/sandbox"
	"keyturn/internal/secret"
)

// org is a simulated Okta org with the sample company, and a client of it.
func org(t *testing.T, opt sandbox.Options, credential func(c sandbox.Credentials, o *okta.Options)) (*sandbox.Sandbox, sandbox.Acme, *okta.Client) {
	t.Helper()
	sb := sandbox.New(opt)
	acme := sb.SeedAcme(30)
	o := okta.Options{BaseURL: sandbox.OktaURL(sandbox.InProcessURL), Wiring: apiclient.Wiring{Transport: sb.Transport()}}
	credential(sb.Credentials(), &o)
	c, err := okta.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return sb, acme, c
}

func serviceApp(a sandbox.ServiceApp) *okta.ServiceApp {
	return &okta.ServiceApp{ClientID: a.ClientID, KeyID: a.KeyID, PrivateKey: secret.New(a.PrivateKey), Scopes: a.Scopes}
}

func withSSWS(c sandbox.Credentials, o *okta.Options) { o.SSWS = secret.New(c.OktaAPIToken) }

var credentials = map[string]func(c sandbox.Credentials, o *okta.Options){
	"API token":        withSSWS,
	"service app":      func(c sandbox.Credentials, o *okta.Options) { o.ServiceApp = serviceApp(c.OktaApp) },
	"service app DPoP": func(c sandbox.Credentials, o *okta.Options) { o.ServiceApp = serviceApp(c.OktaDPoPApp) },
}

// TestOffboardingInTheSandbox takes everything from one person with each credential, and nothing from anybody else.
func TestOffboardingInTheSandbox(t *testing.T) {
	for name, credential := range credentials {
		t.Run(name, func(t *testing.T) {
			sb, acme, c := org(t, sandbox.Options{}, credential)
			ctx, leaver := t.Context(), acme.Leaver
			if err := c.Probe(ctx); err != nil {
				t.Fatal(err)
			}
			user, err := c.GetUser(ctx, leaver.Login)
			if err != nil || user.ID != leaver.OktaID || user.Status != okta.UserActive {
				t.Fatalf("%+v, %v", user, err)
			}
			found, err := c.FindUsers(ctx, okta.ByEmployeeNumber, leaver.EmployeeNumber)
			if err != nil || len(found) != 1 || found[0].ID != user.ID {
				t.Fatalf("%+v, %v", found, err)
			}
			if id, err := c.SuspendUser(ctx, user.ID); err != nil || id == "" {
				t.Fatal(id, err)
			}
			if _, err := c.SuspendUser(ctx, user.ID); apiclient.CauseOf(err) != apiclient.AlreadyDone {
				t.Errorf("suspended twice: %v", err)
			}
			if _, err := c.RevokeUserSessions(ctx, user.ID, okta.SessionOptions{}); err != nil {
				t.Fatal(err)
			}
			revokeAll(t, c, user.ID)
			if _, err := c.RevokeUserGrants(ctx, user.ID); err != nil {
				t.Fatal(err)
			}
			if left, err := apiclient.Collect(c.ListUserClients(ctx, user.ID)); err != nil || len(left) != 0 {
				t.Errorf("left %+v, %v", left, err)
			}
			if left := sb.Snapshot().Okta.TokensOf(user.ID); len(left) != 0 {
				t.Errorf("left %+v", left)
			}
			for _, p := range append(acme.Staff, acme.Traveller) {
				if len(sb.Snapshot().Okta.TokensOf(p.OktaID)) != len(p.Tokens) {
					t.Errorf("%s lost something", p.Login)
				}
			}
		})
	}
}

func revokeAll(t *testing.T, c *okta.Client, userID string) {
	t.Helper()
	clients, err := apiclient.Collect(c.ListUserClients(t.Context(), userID))
	if err != nil || len(clients) == 0 {
		t.Fatal(clients, err)
	}
	for _, client := range clients {
		tokens, err := apiclient.Collect(c.ListUserTokens(t.Context(), userID, client.ClientID, okta.TokenOptions{Limit: 1, Expand: true}))
		if err != nil || len(tokens) == 0 || len(tokens[0].ScopeDetails) == 0 {
			t.Fatalf("%+v, %v", tokens, err)
		}
		if got, err := c.GetUserToken(t.Context(), userID, client.ClientID, tokens[0].ID, false); err != nil || !got.Live() || got.UserID != userID {
			t.Fatalf("%+v, %v", got, err)
		}
		if _, err := c.RevokeUserToken(t.Context(), userID, client.ClientID, tokens[0].ID); err != nil {
			t.Fatal(err)
		}
		if _, err := c.RevokeUserToken(t.Context(), userID, client.ClientID, tokens[0].ID); err != nil && apiclient.CauseOf(err) != apiclient.AlreadyDone {
			t.Errorf("revoked twice: %v", err)
		}
		if _, err := c.RevokeUserTokens(t.Context(), userID, client.ClientID); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAuthServersInTheSandbox signs all users of a client out, reading page by page.
func TestAuthServersInTheSandbox(t *testing.T) {
	sb, acme, c := org(t, sandbox.Options{}, withSSWS)
	ctx := t.Context()
	servers, err := apiclient.Collect(c.ListAuthServers(ctx))
	if err != nil || len(servers) != 3 {
		t.Fatalf("%+v, %v", servers, err)
	}
	clients, err := apiclient.Collect(c.ListAuthServerClients(ctx, okta.DefaultAuthServer))
	if err != nil || len(clients) == 0 {
		t.Fatalf("%+v, %v", clients, err)
	}
	users := map[string]bool{}
	for token, err := range c.ListAuthServerTokens(ctx, okta.DefaultAuthServer, acme.SharedClient, okta.TokenOptions{Limit: 7}) {
		if err != nil || !token.Live() || token.ClientID != acme.SharedClient || token.ExpiresAt.IsZero() {
			t.Fatalf("%+v, %v", token, err)
		}
		users[token.UserID] = true
		if _, err := c.GetAuthServerToken(ctx, okta.DefaultAuthServer, acme.SharedClient, token.ID, false); err != nil {
			t.Fatal(err)
		}
	}
	if len(users) < len(acme.Staff) {
		t.Errorf("%d users, want %d", len(users), len(acme.Staff))
	}
	if _, err := c.RevokeAuthServerTokensOfAllUsers(ctx, okta.DefaultAuthServer, acme.SharedClient); err != nil {
		t.Fatal(err)
	}
	if left := sb.Snapshot().Okta.TokensOfClient(acme.SharedClient); len(left) != 0 {
		t.Errorf("%d left", len(left))
	}
	if _, err := c.RevokeAuthServerToken(ctx, okta.DefaultAuthServer, acme.SharedClient, "oarnone"); apiclient.CauseOf(err) != apiclient.AlreadyDone {
		t.Errorf("error %v", err)
	}
	if _, err := c.GetUser(ctx, "nobody@acme.example"); !apiclient.IsStatus(err, http.StatusNotFound) || apiclient.CauseOf(err) != apiclient.Permanent {
		t.Errorf("error %v", err)
	}
}

func TestOrgWithoutAuthServers(t *testing.T) {
	_, _, c := org(t, sandbox.Options{Okta: sandbox.OktaOptions{NoAPIAccessManagement: true}}, withSSWS)
	_, err := apiclient.Collect(c.ListAuthServers(t.Context()))
	if !errors.Is(err, okta.ErrNoAuthServers) {
		t.Errorf("error %v", err)
	}
}

func TestLimitsOfTheSandbox(t *testing.T) {
	_, acme, c := org(t, sandbox.Options{
		Limits: map[string]sandbox.Limit{sandbox.BucketOktaGetUser: {Requests: 5, Window: time.Minute}},
	}, withSSWS)
	for range 6 {
		_, err := c.GetUser(t.Context(), acme.Traveller.OktaID)
		if err == nil {
			continue
		}
		e, ok := errors.AsType[*apiclient.Error](err)
		if !ok || e.Cause != apiclient.Later || e.RetryAfter <= 0 || e.Code != "E0000047" {
			t.Errorf("error %+v", err)
		}
		return
	}
	t.Error("the sixth call of five met no limit")
}

func TestFaultsOfTheSandbox(t *testing.T) {
	for kind, want := range map[string]apiclient.Cause{
		sandbox.KindCut: apiclient.Transient, sandbox.KindEffectThenTimeout: apiclient.Transient,
	} {
		sb, acme, c := org(t, sandbox.Options{}, withSSWS)
		if _, err := sb.Fault(sandbox.Fault{Method: "DELETE", Kind: kind}); err != nil {
			t.Fatal(err)
		}
		if _, err := c.RevokeUserGrants(t.Context(), acme.Leaver.OktaID); err == nil || apiclient.CauseOf(err) != want {
			t.Errorf("%s: error %v", kind, err)
		}
	}
	// Tokens that end early are no fault that anybody sees.
	sb, acme, c := org(t, sandbox.Options{}, credentials["service app DPoP"])
	for range 2 {
		if _, err := c.RevokeUserGrants(t.Context(), acme.Leaver.OktaID); err != nil {
			t.Fatal(err)
		}
		sb.ExpireTokens()
	}
}
