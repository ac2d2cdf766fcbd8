package okta_test

import (
	"errors"
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
