package transmit_test

import (
	"net/http"
	"slices"
	"testing"

	"keyturn/internal/apiclient"
	"keyturn/internal/apiclient/transmit"
	"keyturn/internal/sandbox"
	"keyturn/internal/secret"
)

func sandboxApp(t *testing.T) (*sandbox.Sandbox, *transmit.Client) {
	t.Helper()
	sb := sandbox.New(sandbox.Options{})
	key := sb.Credentials().Mosaic
	c, err := transmit.New(transmit.Options{
		BaseURL: sandbox.MosaicURL(sandbox.InProcessURL), TokenURL: sandbox.MosaicTokenURL(sandbox.InProcessURL),
		ClientID: key.ClientID, ClientSecret: secret.New(key.ClientSecret),
		Wiring: apiclient.Wiring{Transport: sb.Transport()},
	})
	if err != nil {
		t.Fatal(err)
	}
	return sb, c
}

// TestClientsInTheSandbox leads a client of each protocol through its life.
func TestClientsInTheSandbox(t *testing.T) {
	sb, c := sandboxApp(t)
	ctx := t.Context()
	if err := c.Probe(ctx); err != nil {
		t.Fatal(err)
	}
	before, err := c.ListClients(ctx)
	if err != nil || len(before) != 1 {
		t.Fatalf("%d, %v", len(before), err)
	}
	full := fullOIDC()
	full.DefaultUserInfoClaims = nil // not beside sync_id_token_claims_to_userinfo
	oidc, _, err := c.CreateOIDC(ctx, full)
	if err != nil || oidc.ClientSecret.IsZero() || oidc.Protocol != transmit.OIDC || !slices.Equal(oidc.RedirectURIs, full.RedirectURIs) {
		t.Fatalf("%+v, %v", oidc, err)
	}
	saml, _, err := c.CreateSAML(ctx, transmit.SAMLClient{
		Common: transmit.Common{Name: "Payroll"}, SAMLFields: transmit.SAMLFields{SPEntityID: "urn:acme:payroll", SPACSURL: "https://acme.example/acs"},
	})
	if err != nil || saml.Protocol != transmit.SAML || saml.SPEntityID != "urn:acme:payroll" {
		t.Fatalf("%+v, %v", saml, err)
	}
	updated, _, err := c.UpdateClient(ctx, oidc.ClientID, transmit.Update{Common: transmit.Common{Description: "new"}})
	if err != nil || updated.Description != "new" || !slices.Equal(updated.RedirectURIs, full.RedirectURIs) {
		t.Fatalf("%+v, %v", updated, err)
	}
	if set, _, err := c.SetResources(ctx, oidc.ClientID, []string{"r1", "r2"}); err != nil || !slices.Equal(set.Resources, []string{"r1", "r2"}) {
		t.Fatalf("%+v, %v", set, err)
	}
	if got, err := c.GetClient(ctx, oidc.ClientID); err != nil || got.Name != full.Name || !got.ClientSecret.Equal(oidc.ClientSecret) {
		t.Fatalf("%+v, %v", got, err)
	}
	if _, err := c.DeleteClient(ctx, oidc.ClientID); err != nil {
		t.Fatal(err)
	}
	if _, err := c.DeleteClient(ctx, oidc.ClientID); apiclient.CauseOf(err) != apiclient.AlreadyDone {
		t.Errorf("deleted twice: %v", err)
	}
	if _, err := c.GetClient(ctx, oidc.ClientID); !apiclient.IsStatus(err, http.StatusNotFound) {
		t.Errorf("error %v", err)
	}
	sb.ExpireTokens()
	if _, err := c.DeleteAllClients(ctx); err != nil {
		t.Fatal(err)
	}
	// The credential is gone with them: the connection is at fault from now on, and no action.
	sb.ExpireTokens()
	if _, err := c.ListClients(ctx); apiclient.CauseOf(err) != apiclient.Denied {
		t.Errorf("error %v", err)
	}
}
