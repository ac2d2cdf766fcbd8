package okta_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"keyturn/internal/apiclient"
	"keyturn/internal/apiclient/okta"
	"keyturn/internal/secret"
)

// TestServiceApp signs in as a service app, is refused once, and signs in again with a new assertion. All copies of
// the client share the token.
func TestServiceApp(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	jwk, _ := json.Marshal(jose.JSONWebKey{Key: key, KeyID: "k1", Algorithm: "ES256"})
	issued, calls := map[string]bool{}, 0
	var srv *httptest.Server
	srv = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/oauth2/v1/token" {
			if calls++; r.Header.Get("Authorization") != fmt.Sprint("Bearer t", len(issued)) || calls == 3 {
				fault(401, "E0000011").write(w)
				return
			}
			canned{status: 204}.write(w)
			return
		}
		_ = r.ParseForm()
		jws, err := jose.ParseSignedCompact(r.PostForm.Get("client_assertion"), []jose.SignatureAlgorithm{jose.ES256})
		if err != nil || jws.Signatures[0].Header.KeyID != "k1" {
			t.Errorf("assertion %v", err)
			return
		}
		payload, err := jws.Verify(key.Public())
		var claims struct{ Iss, Sub, Aud, Jti string }
		_ = json.Unmarshal(payload, &claims)
		if err != nil || claims.Iss != "0oa1" || claims.Sub != "0oa1" || claims.Aud != srv.URL+"/oauth2/v1/token" || issued[claims.Jti] {
			t.Errorf("%v, claims %+v", err, claims)
		}
		issued[claims.Jti] = true
		if got := r.PostForm.Get("scope"); got != "okta.users.manage okta.users.read" {
			t.Errorf("scope %q", got)
		}
		canned{status: 200, body: fmt.Sprintf(`{"token_type":"Bearer","expires_in":3600,"access_token":"t%d","scope":"x"}`, len(issued))}.write(w)
	}))
	defer srv.Close()
	c, err := okta.New(okta.Options{BaseURL: srv.URL, ServiceApp: &okta.ServiceApp{
		ClientID: "0oa1", PrivateKey: secret.New(string(jwk)), Scopes: []string{"okta.users.manage", "okta.users.read"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []*okta.Client{c, c.WithGate(&gate{}), c.WithGate(&gate{})} {
		if _, err := c.RevokeUserGrants(t.Context(), "00u1"); err != nil {
			t.Fatal(err)
		}
	}
	if calls != 4 || len(issued) != 2 {
		t.Errorf("%d calls with %d tokens, want 4 with 2", calls, len(issued))
	}
}

// TestRefusedServiceApp cannot sign in at all: no action is at fault.
func TestRefusedServiceApp(t *testing.T) {
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	jwk, _ := json.Marshal(jose.JSONWebKey{Key: key, KeyID: "k1"})
	c, err := okta.New(okta.Options{
		BaseURL:    "https://acme.okta.example",
		ServiceApp: &okta.ServiceApp{ClientID: "0oa1", PrivateKey: secret.New(string(jwk)), Scopes: []string{"s"}},
		Wiring: apiclient.Wiring{Transport: roundTrip(func(r *http.Request) canned {
			return canned{status: 401, body: `{"error":"invalid_client","error_description":"` + mark + `"}`}
		})},
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.SuspendUser(t.Context(), "00u1")
	if apiclient.CauseOf(err) != apiclient.Denied || err.Error() !=
		"okta.token: 401 invalid_client: denied: the token endpoint refuses the credential (request req-1)" {
		t.Errorf("error %v", err)
	}
}
