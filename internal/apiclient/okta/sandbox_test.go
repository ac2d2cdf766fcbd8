package okta_test

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

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

func withSSWS(c sandbox.Credentials, o *okta.Options) { o.SSWS = secret.New(c.OktaAPIToken) }

func withDPoP(c sandbox.Credentials, o *okta.Options) {
	a := c.OktaDPoPApp
	o.ServiceApp = &okta.ServiceApp{ClientID: a.ClientID, KeyID: a.KeyID, PrivateKey: secret.New(a.PrivateKey), Scopes: a.Scopes}
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
	sb, acme, c := org(t, sandbox.Options{}, withDPoP)
	for range 2 {
		if _, err := c.RevokeUserGrants(t.Context(), acme.Leaver.OktaID); err != nil {
			t.Fatal(err)
		}
		sb.ExpireTokens()
	}
}

// TestListingWhileTokensGo reads page by page while tokens are revoked and others are issued: whoever stays is given
// exactly once, and nobody twice.
func TestListingWhileTokensGo(t *testing.T) {
	sb, acme, c := org(t, sandbox.Options{JournalSize: 1, Limits: map[string]sandbox.Limit{
		sandbox.BucketOktaOther: {Requests: 1_000_000, Window: time.Minute},
	}}, withSSWS)
	server := sb.AuthServers()[0].ID
	rapid.Check(t, func(rt *rapid.T) {
		client := sb.AddOAuthClient(sandbox.OAuthClientSpec{Name: "Expense Robot"})
		stays, given := map[string]bool{}, map[string]bool{}
		for _, p := range acme.Staff[:rapid.IntRange(0, 15).Draw(rt, "tokens")] {
			stays[sb.AddRefreshToken(p.OktaID, client, server)] = true
		}
		shift := func() {
			left := sb.Snapshot().Okta.TokensOfClient(client)
			switch i := rapid.IntRange(-1, 2*len(left)).Draw(rt, "token that goes"); {
			case i < 0:
				sb.AddRefreshToken(acme.Leaver.OktaID, client, server)
			case i < len(left):
				delete(stays, left[i].ID)
				if _, err := c.RevokeAuthServerToken(t.Context(), server, client, left[i].ID); err != nil {
					rt.Fatal(err)
				}
			}
		}
		options := okta.TokenOptions{Limit: rapid.IntRange(1, 5).Draw(rt, "page")}
		for token, err := range c.ListAuthServerTokens(t.Context(), server, client, options) {
			if err != nil || given[token.ID] {
				rt.Fatalf("%s given twice: %v, %v", token.ID, given[token.ID], err)
			}
			given[token.ID] = true
			shift()
		}
		for id := range stays {
			if !given[id] {
				rt.Fatalf("%s stayed and was not given", id)
			}
		}
	})
}
