package contract_test

import (
	"context"
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"keyturn/internal/apiclient"
	"keyturn/internal/apiclient/transmit"
	"keyturn/internal/sandbox"
	"keyturn/internal/secret"
)

// mosaicApp is an application to run the suite against.
type mosaicApp struct {
	client *transmit.Client
	own    string   // the client that the connection uses
	roles  []string // of the clients that are created
	ops    *seen
	local  bool // the sandbox: everything may be done
}

// TestMosaicContractInTheSandbox runs the suite with both answers where the vendor leaves the answer open.
func TestMosaicContractInTheSandbox(t *testing.T) {
	for name, opt := range map[string]sandbox.MosaicOptions{"secrets are shown": {}, "secrets are masked": {MaskSecrets: true}} {
		t.Run(name, func(t *testing.T) {
			sb := sandbox.New(sandbox.Options{Mosaic: opt})
			key := sb.Credentials().Mosaic
			c, err := transmit.New(transmit.Options{
				BaseURL: sandbox.MosaicURL(sandbox.InProcessURL), TokenURL: sandbox.MosaicTokenURL(sandbox.InProcessURL),
				ClientID: key.ClientID, ClientSecret: secret.New(key.ClientSecret), Wiring: apiclient.Wiring{Transport: sb.Transport()},
			})
			if err != nil {
				t.Fatal(err)
			}
			app := mosaicApp{client: c, own: key.ClientID, roles: []string{"role1"}, ops: &seen{}, local: true}
			mosaicSuite(t, app)
			mosaicDeleteAll(t, app, sb.ExpireTokens)
			app.ops.all(t, "transmit.probe", "transmit.token", "transmit.getAll", "transmit.getClientById", "transmit.createClient",
				"transmit.updateClient", "transmit.updateResourcesOfClient", "transmit.deleteClient", "transmit.deleteClients")
		})
	}
}

// TestMosaicContract runs the suite against a real application.
func TestMosaicContract(t *testing.T) {
	e := environment(t)
	need(t, "a real Mosaic application", map[string]bool{
		"MOSAIC_BASE_URL": e.MosaicBaseURL != "", "MOSAIC_TOKEN_URL": e.MosaicTokenURL != "",
		"MOSAIC_CLIENT_ID": e.MosaicClientID != "", "MOSAIC_CLIENT_SECRET": !e.MosaicClientSecret.IsZero(),
	})
	c, err := transmit.New(transmit.Options{
		BaseURL: e.MosaicBaseURL, TokenURL: e.MosaicTokenURL, ClientID: e.MosaicClientID, ClientSecret: e.MosaicClientSecret,
	})
	if err != nil {
		t.Fatal(err)
	}
	mosaicSuite(t, mosaicApp{client: c, own: e.MosaicClientID, roles: e.MosaicRoleIDs, ops: &seen{}})
}

// mosaicSuite is what an application must do.
func mosaicSuite(t *testing.T, app mosaicApp) {
	ctx := app.ops.watch(t.Context())
	if err := app.client.Probe(ctx); err != nil {
		t.Fatalf("probe: %v", err)
	}
	t.Run("reads", func(t *testing.T) { mosaicReads(t, ctx, app) })
	t.Run("changes", func(t *testing.T) {
		if !app.local {
			need(t, "clients that are created and deleted again", map[string]bool{
				"ALLOW_CHANGES=true": environment(t).AllowChanges, "MOSAIC_ROLE_IDS": len(app.roles) > 0,
			})
		}
		t.Run("OpenID Connect", func(t *testing.T) { mosaicOIDC(t, ctx, app) })
		t.Run("SAML", func(t *testing.T) { mosaicSAML(t, ctx, app) })
	})
}

// mosaicReads reads the connection's own client, and one that is not there.
func mosaicReads(t *testing.T, ctx context.Context, app mosaicApp) {
	all, err := app.client.ListClients(ctx)
	i := slices.IndexFunc(all, func(c transmit.AppClient) bool { return c.ClientID == app.own })
	if err != nil || i < 0 {
		t.Fatalf("%d clients without the connection's own, %v", len(all), err)
	}
	own, err := app.client.GetClient(ctx, app.own)
	if err != nil || own.ClientID != app.own || own.Name != all[i].Name || own.CreatedAt.IsZero() || own.ClientSecret.IsZero() {
		t.Errorf("own client %+v, %v", own, err)
	}
	_, err = app.client.GetClient(ctx, "00000000-0000-4000-8000-000000000000")
	missing(t, "client", err)
}

// full has every field that needs nothing else to exist.
func full(app mosaicApp) transmit.OIDCClient {
	yes, no := true, false
	return transmit.OIDCClient{
		Common: transmit.Common{
			Name: "Keyturn contract " + uuid.NewString(), Description: "[contract] made and deleted by a test",
			DefaultCustomClaims: []string{"email", "groups"}, ShortCookiesSameSiteType: "lax",
		},
		OIDCFields: transmit.OIDCFields{
			RedirectURIs: []string{"https://contract.acme.example/callback"}, ClientType: transmit.Web, ResponseTypes: []string{"code"},
			PKCE: transmit.PKCEAlongside, SupportedPrompts: []string{"login"}, SessionExpiration: 3600, EnforcePAR: &no,
			RoleIDs: app.roles, FAPIVersionCompliancy: &no,
			DeviceAuthorization: &transmit.DeviceAuthorization{
				ApprovalURI: "https://acme.example/a", SuccessURI: "https://acme.example/s", InputURI: "https://acme.example/i",
			},
			CIBAAuthorization: &transmit.CIBAAuthorization{Enabled: yes, LoginURI: "https://acme.example/l"},
			TokenExpiration:   &transmit.TokenExpiration{AccessTokenTTL: 600, RefreshTokenTTL: 86400, MaxRefreshRotate: 86400},
		},
	}
}

// mosaicOIDC leads a client of OpenID Connect through its life.
func mosaicOIDC(t *testing.T, ctx context.Context, app mosaicApp) {
	c, want := app.client, full(app)
	created, _, err := c.CreateOIDC(ctx, want)
	if err != nil || created.ClientID == "" || created.ClientSecret.IsZero() || created.Protocol != transmit.OIDC {
		t.Fatalf("created %+v, %v", created, err)
	}
	id := created.ClientID
	t.Cleanup(func() { _, _ = c.DeleteClient(context.WithoutCancel(ctx), id) })
	shown := want
	shown.RoleIDs = nil // in no reply
	got, err := c.GetClient(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	got.Resources, got.TokenEndpointAuthMethod = nil, "" // the API's own defaults
	if diff := cmp.Diff(shown, transmit.OIDCClient{Common: got.Common, OIDCFields: got.OIDCFields}); diff != "" {
		t.Errorf("what was created is not what was asked for:\n%s", diff)
	}
	updated, _, err := c.UpdateClient(ctx, id, transmit.Update{Common: transmit.Common{Description: "[contract] changed"}})
	if err != nil || updated.Description != "[contract] changed" || updated.Name != want.Name || !slices.Equal(updated.RedirectURIs, want.RedirectURIs) {
		t.Errorf("updated %+v, %v", updated, err)
	}
	mosaicEnums(t, ctx, c, id)
	resources := []string{}
	if app.local {
		resources = []string{"r1", "r2"} // a real one takes only those that exist
	}
	for range 2 {
		set, _, err := c.SetResources(ctx, id, resources)
		if err != nil || !slices.Equal(set.Resources, resources) {
			t.Errorf("resources %v, %v", set.Resources, err)
		}
	}
	if _, err := c.DeleteClient(ctx, id); err != nil {
		t.Fatal(err)
	}
	_, err = c.DeleteClient(ctx, id)
	again(t, "delete", err)
	if _, err = c.GetClient(ctx, id); !apiclient.IsStatus(err, http.StatusNotFound) {
		t.Errorf("deleted: %v", err)
	}
}

// mosaicEnums sends every documented value of every enumeration, and reads each back.
func mosaicEnums(t *testing.T, ctx context.Context, c *transmit.Client, id string) {
	var updates []transmit.Update
	of := func(f transmit.OIDCFields) { updates = append(updates, transmit.Update{OIDCFields: f}) }
	for _, v := range []string{transmit.Native, transmit.Web} {
		of(transmit.OIDCFields{ClientType: v})
	}
	for _, v := range []string{transmit.PKCEInstead, transmit.PKCEAllowed, transmit.PKCEAlongside} {
		of(transmit.OIDCFields{PKCE: v})
	}
	for _, v := range []string{"client_secret_basic", "self_signed_tls_client_auth", "tls_client_auth", "none", "private_key_jwt"} {
		of(transmit.OIDCFields{TokenEndpointAuthMethod: v})
	}
	of(transmit.OIDCFields{ResponseTypes: []string{"code", "id_token"}})
	of(transmit.OIDCFields{SupportedPrompts: []string{"login", "consent", "none"}})
	for _, v := range []string{"none", "lax"} {
		updates = append(updates, transmit.Update{Common: transmit.Common{ShortCookiesSameSiteType: v}})
	}
	updates = append(updates, transmit.Update{Common: transmit.Common{DefaultCustomClaims: []string{
		"tid", "fname", "lname", "mname", "email", "email_verified", "phone_number", "phone_number_verified", "groups", "new_user",
		"birthday", "language", "city", "address", "country", "street_address", "address_type", "webauthn", "roles", "ts_roles",
		"role_values", "ts_permissions", "permissions", "approval_data", "custom_group_data", "username", "secondary_phone_numbers",
		"secondary_emails", "picture", "created_at", "last_auth", "auth_time", "external_account_id", "external_user_id", "app_name",
		"custom_data", "custom_app_data",
	}}})
	for _, u := range updates {
		got, _, err := c.UpdateClient(ctx, id, u)
		same := got.ClientType == u.ClientType || got.PKCE == u.PKCE && u.PKCE != "" ||
			got.TokenEndpointAuthMethod == u.TokenEndpointAuthMethod && u.TokenEndpointAuthMethod != "" ||
			u.ResponseTypes != nil && slices.Equal(got.ResponseTypes, u.ResponseTypes) ||
			u.SupportedPrompts != nil && slices.Equal(got.SupportedPrompts, u.SupportedPrompts) ||
			got.ShortCookiesSameSiteType == u.ShortCookiesSameSiteType && u.ShortCookiesSameSiteType != "" ||
			u.DefaultCustomClaims != nil && slices.Equal(got.DefaultCustomClaims, u.DefaultCustomClaims)
		if err != nil || !same {
			t.Errorf("sent %+v, got %+v, %v", u, got, err)
		}
	}
}

// mosaicSAML makes a client of SAML and deletes it.
func mosaicSAML(t *testing.T, ctx context.Context, app mosaicApp) {
	no, entity := false, "urn:keyturn:contract:"+uuid.NewString()
	want := transmit.SAMLClient{
		Common: transmit.Common{Name: "Keyturn contract " + entity, Description: "[contract] made and deleted by a test"},
		SAMLFields: transmit.SAMLFields{
			SPEntityID: entity, SPACSURL: "https://contract.acme.example/acs", SPNameIDType: "email", SignAssertion: &no, UseCentralizedLogin: &no,
		},
	}
	created, _, err := app.client.CreateSAML(ctx, want)
	if err != nil || created.Protocol != transmit.SAML || created.SPEntityID != entity || created.SPACSURL != want.SPACSURL {
		t.Fatalf("created %+v, %v", created, err)
	}
	t.Cleanup(func() { _, _ = app.client.DeleteClient(context.WithoutCancel(ctx), created.ClientID) })
	if app.local { // which identifiers collide elsewhere is not documented
		if _, _, err = app.client.CreateSAML(ctx, want); apiclient.CauseOf(err) != apiclient.AlreadyDone {
			t.Errorf("the same entity again: %v", err)
		}
	}
	for _, v := range []string{"secondaryEmail", "username", "phoneNumber", "externalUserId", "email"} {
		got, _, err := app.client.UpdateClient(ctx, created.ClientID, transmit.Update{SAMLFields: transmit.SAMLFields{SPNameIDType: v}})
		if err != nil || got.SPNameIDType != v {
			t.Errorf("name id type %s: %+v, %v", v, got, err)
		}
	}
	if _, err := app.client.DeleteClient(ctx, created.ClientID); err != nil {
		t.Error(err)
	}
}

// mosaicDeleteAll is done in the sandbox alone: the credential of the connection is gone with all others, which is the
// connection's fault from then on, and no action's.
func mosaicDeleteAll(t *testing.T, app mosaicApp, endTokens func()) {
	ctx := app.ops.watch(t.Context())
	endTokens()
	if _, err := app.client.DeleteAllClients(ctx); err != nil {
		t.Fatal(err)
	}
	endTokens()
	if _, err := app.client.ListClients(ctx); apiclient.CauseOf(err) != apiclient.Denied {
		t.Errorf("without a client: %v", err)
	}
}
