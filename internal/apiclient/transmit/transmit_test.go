package transmit_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"keyturn/internal/apiclient"
	"keyturn/internal/apiclient/transmit"
	"keyturn/internal/secret"
)

const (
	date = "Fri, 21 Nov 2025 10:00:00 GMT"
	mark = "hunter2-mark" // stands in credentials and bodies, and must stand in no error
)

// app serves tokens and hands all else to h.
type app struct {
	*transmit.Client
	now    time.Time
	tokens int
}

func newApp(t *testing.T, h http.HandlerFunc) *app {
	t.Helper()
	a := &app{now: time.Now()}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", date)
		w.Header().Set("Cf-Ray", "ray-1")
		if r.URL.Path != "/oidc/token" {
			h(w, r)
			return
		}
		a.tokens++
		b, _ := io.ReadAll(r.Body)
		if want := "client_id=app1&client_secret=" + mark + "&grant_type=client_credentials"; string(b) != want {
			t.Errorf("token call %s", b)
		}
		_, _ = fmt.Fprintf(w, `{"access_token":"t%d","token_type":"Bearer","expires_in":3600,"scope":""}`, a.tokens)
	}))
	t.Cleanup(srv.Close)
	c, err := transmit.New(transmit.Options{
		BaseURL: srv.URL + "/cis", TokenURL: srv.URL + "/oidc/token", ClientID: "app1", ClientSecret: secret.New(mark),
		Wiring: apiclient.Wiring{Now: func() time.Time { return a.now }, Rand: func() float64 { return 0.5 }},
	})
	if err != nil {
		t.Fatal(err)
	}
	a.Client = c
	return a
}

func second[T any](_ T, err error) error { return err }

func third[T any](_ T, requestID string, err error) error {
	if err == nil && requestID != "ray-1" {
		return errors.New("no request id")
	}
	return err
}

type gate struct{ log []string }

func (g *gate) Admit(_ context.Context, bucket string) error {
	g.log = append(g.log, bucket)
	return nil
}

func (g *gate) Learn(_ string, b apiclient.Budget) {
	g.log = append(g.log, fmt.Sprint(b.Limit, b.Remaining))
}

func TestOperations(t *testing.T) {
	ctx, no := t.Context(), false
	const one = `{"client_id":"c1"}`
	tests := []struct {
		call        func(c *transmit.Client) error
		reply, want string
	}{
		{func(c *transmit.Client) error { return third(c.CreateOIDC(ctx, fullOIDC())) }, one, "POST /v1/clients " + fullJSON},
		{func(c *transmit.Client) error {
			return third(c.CreateSAML(ctx, transmit.SAMLClient{Common: transmit.Common{Name: "n"}, SAMLFields: transmit.SAMLFields{
				SPEntityID: "urn:acme", SPACSURL: "https://acme.example/acs", OptionalACSURL: json.RawMessage(`["https://acme.example/acs2"]`),
				SPNameIDType: "email", SignAssertion: &no, UseCentralizedLogin: &no}}))
		}, one, `POST /v1/clients {"authentication_protocol":"saml","name":"n","sp_entity_id":"urn:acme","sp_acs_url":"https://acme.example/acs",` +
			`"optional_acs_url":["https://acme.example/acs2"],"sp_name_id_type":"email","sign_assertion":false,"use_centralized_login":false}`},
		{func(c *transmit.Client) error { return second(c.ListClients(ctx)) }, `[` + one + `]`, "GET /v1/clients"},
		{func(c *transmit.Client) error { return second(c.GetClient(ctx, "c1/ü")) }, one, "GET /v1/clients/c1%2F%C3%BC"},
		{func(c *transmit.Client) error {
			return third(c.UpdateClient(ctx, "c1", transmit.Update{OIDCFields: transmit.OIDCFields{RedirectURIs: []string{}, EnforcePAR: &no}}))
		}, one, `PUT /v1/clients/c1 {"redirect_uris":[],"enforce_par":false}`},
		{func(c *transmit.Client) error { return second(c.DeleteClient(ctx, "c1")) }, ``, "DELETE /v1/clients/c1"},
		{func(c *transmit.Client) error { return second(c.DeleteAllClients(ctx)) }, ``, "DELETE /v1/clients"},
		{func(c *transmit.Client) error { return third(c.SetResources(ctx, "c1", nil)) }, one, `PUT /v1/clients/c1/resources {"resource_ids":[]}`},
		{func(c *transmit.Client) error { return third(c.SetResources(ctx, "c1", []string{"r1"})) }, one, `PUT /v1/clients/c1/resources {"resource_ids":["r1"]}`},
	}
	for _, tt := range tests {
		t.Run(tt.want, func(t *testing.T) {
			got, g := "", &gate{}
			c := newApp(t, func(w http.ResponseWriter, r *http.Request) {
				b, _ := io.ReadAll(r.Body)
				got = strings.TrimSpace(r.Method + " " + strings.TrimPrefix(r.RequestURI, "/cis") + " " + string(b))
				if r.Header.Get("Authorization") != "Bearer t1" {
					t.Errorf("headers %v", r.Header)
				}
				if tt.reply == "" {
					w.WriteHeader(204)
				}
				_, _ = io.WriteString(w, tt.reply)
			})
			err := tt.call(c.WithGate(g))
			if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
				t.Error(err, diff)
			}
			if diff := cmp.Diff([]string{"/v1/clients", "-1 -1"}, g.log); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// fullOIDC has every documented field.
func fullOIDC() transmit.OIDCClient {
	yes := true
	return transmit.OIDCClient{
		Common: transmit.Common{
			Name: "n", Description: "d", Resources: []string{"r1"}, ClientGroupID: "g1",
			DefaultCustomClaims: []string{"email"}, ShortCookiesSameSiteType: "lax",
		},
		OIDCFields: transmit.OIDCFields{
			RedirectURIs: []string{"https://acme.example/cb"}, ClientType: transmit.Web, ResponseTypes: []string{"code"},
			TokenEndpointAuthMethod: "none", PKCE: transmit.PKCEInstead, SupportedPrompts: []string{"login"}, SessionExpiration: 60,
			EnforcePAR: &yes, RoleIDs: []string{"role1"}, FAPIVersionCompliancy: &yes,
			DeviceAuthorization: &transmit.DeviceAuthorization{ApprovalURI: "a", SuccessURI: "s", InputURI: "i"},
			CIBAAuthorization:   &transmit.CIBAAuthorization{Enabled: true, LoginURI: "l"},
			TokenExpiration:     &transmit.TokenExpiration{AccessTokenTTL: 1, RefreshTokenTTL: 2, MaxRefreshRotate: 3},
			AuthenticationConfiguration: &transmit.AuthenticationConfiguration{
				Method: "private_key_jwt", JWKS: json.RawMessage(`{"keys":[]}`), IsMTLSCertTokenBound: &yes,
			},
			IDTokenEncryption: json.RawMessage(`{}`), IsThirdParty: &yes, AllowedScopes: []string{"openid"},
			ConsentURI: "c", ConsentValidityPeriod: 5, DefaultUserInfoClaims: []string{"email"}, SyncIDTokenClaimsToUserinfo: &yes,
		},
	}
}

const fullJSON = `{"authentication_protocol":"oidc","name":"n","description":"d","resources":["r1"],"client_group_id":"g1",` +
	`"default_custom_claims":["email"],"short_cookies_samesite_type":"lax","redirect_uris":["https://acme.example/cb"],"client_type":"web",` +
	`"response_types":["code"],"token_endpoint_auth_method":"none","pkce":"enforcePkceInsteadOfClientCredentials","supported_prompts":["login"],` +
	`"session_expiration":60,"enforce_par":true,"role_ids":["role1"],"fapi_version_compliancy":true,` +
	`"device_authorization":{"enabled":false,"approval_uri":"a","success_uri":"s","input_uri":"i"},"ciba_authorization":{"enabled":true,"login_uri":"l"},` +
	`"token_expiration":{"access_token_ttl":1,"refresh_token_ttl":2,"max_refresh_rotate":3},` +
	`"authentication_configuration":{"method":"private_key_jwt","jwks":{"keys":[]},"isMtlsCertTokenBound":true},"id_token_encryption":{},` +
	`"is_third_party":true,"allowed_scopes":["openid"],"consent_uri":"c","consent_validity_period":5,"default_user_info_claims":["email"],` +
	`"sync_id_token_claims_to_userinfo":true}`

func TestCallsThatAreRefused(t *testing.T) {
	c := newApp(t, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("%s %s was sent", r.Method, r.RequestURI) })
	ctx := t.Context()
	device := fullOIDC()
	device.DeviceAuthorization = &transmit.DeviceAuthorization{ApprovalURI: "a"}
	for name, err := range map[string]error{
		"no id":            second(c.DeleteClient(ctx, "")), // would be all clients
		"dot":              second(c.DeleteClient(ctx, ".")),
		"no name":          third(c.CreateOIDC(ctx, transmit.OIDCClient{})),
		"no redirect":      third(c.CreateOIDC(ctx, transmit.OIDCClient{Common: transmit.Common{Name: "n"}})),
		"half a device":    third(c.CreateOIDC(ctx, device)),
		"no entity":        third(c.CreateSAML(ctx, transmit.SAMLClient{Common: transmit.Common{Name: "n"}})),
		"update of none":   third(c.UpdateClient(ctx, "", transmit.Update{})),
		"resource of none": third(c.SetResources(ctx, "", nil)),
	} {
		if err == nil || apiclient.CauseOf(err) != apiclient.Permanent {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestSecretsStayHidden(t *testing.T) {
	body := `{"app_id":"a","tenant_id":"t","client_id":"c1","client_secret":"` + mark + `","name":"n","resources":["r"],
		"created_at":"2019-08-24T14:15:22Z","authentication_protocol":"oidc","pkce":"somethingNew","unknown":{"x":1},"device_authorization":null}`
	c := newApp(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/cis/v1/clients" {
			body = "[" + body + "]"
		}
		_, _ = io.WriteString(w, body)
	})
	got, err := c.GetClient(t.Context(), "c1")
	if err != nil || got.ClientSecret.Reveal() != mark || got.Name != "n" || got.PKCE != "somethingNew" || got.CreatedAt.Year() != 2019 {
		t.Fatalf("%+v, %v", got, err)
	}
	list, err := c.ListClients(t.Context())
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	b, _ := json.Marshal(got)
	for _, s := range []string{string(b), fmt.Sprintf("%v %+v %#v %+v", got, got, &got, list)} {
		if strings.Contains(s, mark) {
			t.Errorf("the mark stands in %s", s)
		}
	}
}

func TestRoleOnItsWay(t *testing.T) {
	status := 403
	a := newApp(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "GET" { // the probe
			_, _ = io.WriteString(w, `[]`)
			return
		}
		w.WriteHeader(status)
	})
	try := func(want apiclient.Cause, wait time.Duration, tokens int) {
		t.Helper()
		_, err := a.DeleteClient(t.Context(), "c1")
		e, ok := errors.AsType[*apiclient.Error](err)
		if !ok || e.Cause != want || e.RetryAfter != wait || a.tokens != tokens {
			t.Fatalf("error %+v with %d tokens", err, a.tokens)
		}
	}
	try(apiclient.Later, 5*time.Minute, 1)
	a.now = a.now.Add(2 * time.Minute)
	try(apiclient.Later, 3*time.Minute, 1)
	a.now = a.now.Add(3 * time.Minute)
	try(apiclient.Later, time.Second, 1) // the token in hand may be of before the role
	a.now = a.now.Add(time.Second)
	try(apiclient.Permanent, 0, 2)
	status = 204
	if _, err := a.DeleteClient(t.Context(), "c1"); err != nil {
		t.Fatal(err)
	}
	status = 403
	try(apiclient.Later, 5*time.Minute, 2)
}

// TestAForbiddenTargetWaitsOnce: that the same operation works upon others does not have it wait for ever, and many that are
// forbidden cost one token.
func TestAForbiddenTargetWaitsOnce(t *testing.T) {
	a := newApp(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == "GET": // the probe
			_, _ = io.WriteString(w, `[]`)
		case strings.Contains(r.URL.Path, "/mine"):
			_, _ = io.WriteString(w, `{"client_id":"mine"}`)
		default:
			w.WriteHeader(http.StatusForbidden)
		}
	})
	for minute := range 30 {
		for i := range 5 {
			_, _, err := a.SetResources(t.Context(), fmt.Sprint("theirs", i), nil)
			e, ok := errors.AsType[*apiclient.Error](err)
			if want := map[bool]apiclient.Cause{true: apiclient.Later, false: apiclient.Permanent}[minute <= 5]; !ok || e.Cause != want {
				t.Fatalf("minute %d: error %+v, want %s", minute, err, want)
			}
			if _, _, err := a.SetResources(t.Context(), "mine", nil); err != nil {
				t.Fatal(err)
			}
		}
		a.now = a.now.Add(time.Minute)
	}
	if a.tokens > 2 {
		t.Errorf("%d tokens were fetched", a.tokens)
	}
}

// TestARoleThatComesLate: a call that waited for its role is made with a token that was fetched after the wait, not with one
// that others fetched during it.
func TestARoleThatComesLate(t *testing.T) {
	var given time.Time
	var a *app
	issued := map[string]time.Time{}
	a = newApp(t, func(w http.ResponseWriter, r *http.Request) {
		token := r.Header.Get("Authorization")
		if _, ok := issued[token]; !ok {
			issued[token] = a.now
		}
		if r.Method == "DELETE" && issued[token].Before(given.Add(4*time.Minute)) {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		_, _ = io.WriteString(w, `[]`)
	})
	given = a.now
	for end := a.now.Add(10 * time.Minute); ; {
		_, err := a.DeleteClient(t.Context(), "c1")
		if err == nil {
			break
		}
		e, ok := errors.AsType[*apiclient.Error](err)
		if !ok || e.Cause != apiclient.Later || a.now.After(end) {
			t.Fatalf("after %s: %v", a.now.Sub(given), err)
		}
		for left := e.RetryAfter; left > 0; left -= time.Minute { // others go on meanwhile
			a.now = a.now.Add(min(left, time.Minute))
			if err := a.Probe(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
}
