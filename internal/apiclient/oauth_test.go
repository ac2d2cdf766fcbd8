package apiclient_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"keyturn/internal/apiclient"
	"keyturn/internal/secret"
)

// pemKey writes a private key as PKCS #8.
func pemKey(t *testing.T, key any) secret.Value {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return secret.New(string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
}

func ecKey(t *testing.T, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestSigningKeys(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p256, p384, p521 := ecKey(t, elliptic.P256()), ecKey(t, elliptic.P384()), ecKey(t, elliptic.P521())
	sec1, _ := x509.MarshalECPrivateKey(p256)
	jwk, _ := json.Marshal(jose.JSONWebKey{Key: rsaKey, KeyID: "from-jwk", Algorithm: "RS384"})
	block := func(kind string, der []byte) secret.Value {
		return secret.New(string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})))
	}
	tests := map[string]struct {
		key      secret.Value
		kid, alg string
		public   any
		wantKid  string
		wantAlg  jose.SignatureAlgorithm
	}{
		"RSA":         {pemKey(t, rsaKey), "k1", "", rsaKey.Public(), "k1", jose.RS256},
		"RSA 512":     {pemKey(t, rsaKey), "k1", "RS512", rsaKey.Public(), "k1", jose.RS512},
		"PKCS #1":     {block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey)), "", "", rsaKey.Public(), "", jose.RS256},
		"JWK":         {secret.New(string(jwk)), "", "", rsaKey.Public(), "from-jwk", jose.RS384},
		"JWK renamed": {secret.New(string(jwk)), "k2", "RS256", rsaKey.Public(), "k2", jose.RS256},
		"P-256":       {pemKey(t, p256), "k1", "", p256.Public(), "k1", jose.ES256},
		"SEC 1":       {block("EC PRIVATE KEY", sec1), "k1", "ES256", p256.Public(), "k1", jose.ES256},
		"P-384":       {pemKey(t, p384), "k1", "", p384.Public(), "k1", jose.ES384},
		"P-521":       {pemKey(t, p521), "k1", "", p521.Public(), "k1", jose.ES512},
	}
	now := time.Unix(1763719200, 0)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			key, err := apiclient.ParseSigningKey(tt.key, tt.kid, tt.alg)
			if err != nil {
				t.Fatal(err)
			}
			jtis := map[any]bool{}
			for range 2 {
				s, err := key.Assert("0oa1", "https://acme.example/oauth2/v1/token", now)
				if err != nil {
					t.Fatal(err)
				}
				jws, err := jose.ParseSignedCompact(s, []jose.SignatureAlgorithm{tt.wantAlg})
				if err != nil || jws.Signatures[0].Header.KeyID != tt.wantKid {
					t.Fatalf("%v, kid %q", err, jws.Signatures[0].Header.KeyID)
				}
				payload, err := jws.Verify(tt.public)
				if err != nil {
					t.Fatal(err)
				}
				var c map[string]any
				_ = json.Unmarshal(payload, &c)
				if c["iss"] != "0oa1" || c["sub"] != "0oa1" || c["aud"] != "https://acme.example/oauth2/v1/token" ||
					c["iat"] != 1763719200.0 || c["exp"] != 1763719500.0 {
					t.Errorf("claims %v", c)
				}
				jtis[c["jti"]] = true
			}
			if len(jtis) != 2 {
				t.Error("the same jti twice")
			}
		})
	}
}

func TestSigningKeysRefused(t *testing.T) {
	p256 := ecKey(t, elliptic.P256())
	public, _ := json.Marshal(jose.JSONWebKey{Key: p256.Public()})
	for name, tt := range map[string]struct {
		key secret.Value
		alg string
	}{
		"nothing":     {secret.Value{}, ""},
		"hunter2":     {secret.New("hunter2-mark"), ""},
		"broken PEM":  {secret.New("-----BEGIN PRIVATE KEY-----\naHVudGVyMi1tYXJr\n-----END PRIVATE KEY-----\n"), ""},
		"broken JWK":  {secret.New(`{"kty":"hunter2-mark"}`), ""},
		"public JWK":  {secret.New(string(public)), ""},
		"wrong curve": {pemKey(t, p256), "ES384"},
		"wrong kind":  {pemKey(t, p256), "RS256"},
		"symmetric":   {secret.New(`{"kty":"oct","k":"aHVudGVyMi1tYXJr"}`), "HS256"},
	} {
		if _, err := apiclient.ParseSigningKey(tt.key, "k", tt.alg); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// credentials makes the client-credentials source of a token endpoint in this process.
func credentials(handler http.HandlerFunc) *apiclient.ClientCredentials {
	return &apiclient.ClientCredentials{
		Op: "x.token", TokenURL: &url.URL{Scheme: "https", Host: "api.example", Path: "/oauth2/v1/token"},
		ClientID: "0oa1", Secret: secret.New("hunter2-mark"), Early: time.Minute,
		Wiring: apiclient.Wiring{Transport: handlerTransport{handler}}.Filled(),
		Budget: func(r apiclient.Response) apiclient.Budget {
			return apiclient.Budget{Wait: apiclient.RetryAfter(r.Header)}
		},
	}
}

func TestClientCredentials(t *testing.T) {
	cc := credentials(func(w http.ResponseWriter, r *http.Request) {
		want := url.Values{"grant_type": {"client_credentials"}, "client_id": {"0oa1"}, "client_secret": {"hunter2-mark"}, "scope": {"a b"}}
		if _ = r.ParseForm(); r.PostForm.Encode() != want.Encode() || r.Method != "POST" || r.URL.RawQuery != "" {
			t.Errorf("%s %s", r.Method, r.PostForm.Encode())
		}
		_, _ = io.WriteString(w, `{"access_token":"t","token_type":"bearer","expires_in":3600,"scope":"a b"}`)
	})
	cc.Scopes = []string{"a", "b"}
	token, err := cc.Fetch(t.Context())
	if life := time.Until(token.Expires); err != nil || token.Scheme != "Bearer" || token.Value.Reveal() != "t" ||
		life > time.Hour || life < 59*time.Minute {
		t.Errorf("token %+v, %v", token, err)
	}
}

func TestTokenEndpointErrors(t *testing.T) {
	tests := []struct {
		status int
		body   string
		want   apiclient.Cause
		code   string
	}{
		{400, `{"error":"invalid_scope","error_description":"hunter2-mark"}`, apiclient.Denied, "invalid_scope"},
		{401, `{"error":"invalid_client","error_description":"hunter2-mark"}`, apiclient.Denied, "invalid_client"},
		{401, `{"errorCode":"E0000011","errorSummary":"hunter2-mark"}`, apiclient.Denied, "E0000011"},
		{403, `hunter2-mark`, apiclient.Denied, ""},
		{404, `<html>hunter2-mark`, apiclient.Denied, ""},
		{400, `{"error":{"hunter2-mark":1}}`, apiclient.Denied, ""},
		{400, `{"error":"wrong secret hunter2"}`, apiclient.Denied, ""},
		{400, `{"error":"aHVudGVyMg/hunter2+"}`, apiclient.Denied, ""},
		{400, `{"error":"temporarily_unavailable"}`, apiclient.Transient, "temporarily_unavailable"},
		{429, ``, apiclient.Later, ""},
		{503, ``, apiclient.Later, ""},
		{500, `hunter2-mark`, apiclient.Transient, ""},
		{408, ``, apiclient.Transient, ""},
		{302, ``, apiclient.Transient, ""},
		{200, `hunter2-mark`, apiclient.Transient, ""},
		{200, `{}`, apiclient.Transient, ""},
		{200, `{"access_token":"hunter2-mark","token_type":"mac"}`, apiclient.Transient, ""},
		{200, "{\"access_token\":\"hunter2\\nmark\"}", apiclient.Transient, ""},
	}
	for _, tt := range tests {
		cc := credentials(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "3")
			w.WriteHeader(tt.status)
			_, _ = io.WriteString(w, tt.body)
		})
		_, err := cc.Fetch(t.Context())
		e := mustCause(t, err, tt.want)
		if e.Code != tt.code || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%d %s: error %v", tt.status, tt.body, err)
		}
		if tt.want == apiclient.Later && e.RetryAfter != 3*time.Second {
			t.Errorf("%d: retry after %v", tt.status, e.RetryAfter)
		}
	}
}

// FuzzTokenReply: whatever a token endpoint answers, it is a token that a header can hold, or a short error that
// repeats no text.
func FuzzTokenReply(f *testing.F) {
	f.Add(200, `{"access_token":"t","token_type":"Bearer","expires_in":3600}`)
	f.Add(200, `{"access_token":"t\r\nX: y","token_type":"DPoP","expires_in":-1e300}`)
	f.Add(400, `{"error":"invalid_client","error_description":"x"}`)
	f.Add(400, `{"error":["x"],"errorCode":"some text"}`)
	f.Add(503, `<html>`)
	f.Fuzz(func(t *testing.T, status int, body string) {
		if status < 200 || status > 599 {
			return
		}
		cc := credentials(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		})
		token, err := cc.Fetch(t.Context())
		if err == nil {
			if life := time.Until(token.Expires); !apiclient.HeaderSafe(token.Value.Reveal()) || !token.Expires.IsZero() && (life < -time.Minute || life > 24*time.Hour) {
				t.Errorf("%d %q gives a token until %v", status, body, token.Expires)
			}
			return
		}
		e, ok := errors.AsType[*apiclient.Error](err)
		if !ok || len(err.Error()) > 250 || strings.ContainsFunc(e.Code, func(r rune) bool { return r <= ' ' || r > '~' }) {
			t.Errorf("%d %q: error %v", status, body, err)
		}
	})
}

// proof reads and verifies a DPoP header.
func proof(t *testing.T, r *http.Request) map[string]any {
	t.Helper()
	jws, err := jose.ParseSignedCompact(r.Header.Get("DPoP"), []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	h := jws.Signatures[0].Header
	if h.JSONWebKey == nil || !h.JSONWebKey.IsPublic() || h.ExtraHeaders[jose.HeaderType] != "dpop+jwt" {
		t.Fatalf("header %+v", h)
	}
	payload, err := jws.Verify(h.JSONWebKey)
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	_ = json.Unmarshal(payload, &claims)
	return claims
}

// TestDPoP plays an org that demands DPoP: the dance at the token endpoint, and a proof bound to the token on each call.
func TestDPoP(t *testing.T) {
	assertions, jtis, calls := map[string]bool{}, map[any]bool{}, 0
	refuse := func(w http.ResponseWriter, code string) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = fmt.Fprintf(w, `{"error":%q,"error_description":"hunter2-mark"}`, code)
	}
	var client *apiclient.Client
	handler := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/base/users" {
			c := proof(t, r)
			hash := sha256.Sum256([]byte("the-token"))
			if c["htm"] != "GET" || c["htu"] != "http://api.example/base/users" || jtis[c["jti"]] ||
				c["ath"] != base64.RawURLEncoding.EncodeToString(hash[:]) || r.Header.Get("Authorization") != "DPoP the-token" {
				t.Errorf("proof %v, %s", c, r.Header.Get("Authorization"))
			}
			jtis[c["jti"]] = true
			_, _ = io.WriteString(w, `{}`)
			return
		}
		calls++
		_ = r.ParseForm()
		if a := r.PostForm.Get("client_assertion"); a == "" || assertions[a] || r.PostForm.Has("client_secret") ||
			r.PostForm.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" {
			t.Errorf("form %v", r.PostForm)
		} else {
			assertions[a] = true
		}
		if r.Header.Get("DPoP") == "" {
			refuse(w, "invalid_dpop_proof")
			return
		}
		c := proof(t, r)
		if c["htm"] != "POST" || c["htu"] != "https://api.example/oauth2/v1/token" || jtis[c["jti"]] || c["ath"] != nil {
			t.Errorf("proof %v", c)
		}
		jtis[c["jti"]] = true
		if c["nonce"] != "n1" {
			w.Header().Set("dpop-nonce", "n1")
			refuse(w, "use_dpop_nonce")
			return
		}
		_, _ = io.WriteString(w, `{"access_token":"the-token","token_type":"DPoP","expires_in":3600}`)
	}
	cc := credentials(handler)
	var err error
	if cc.Key, err = apiclient.ParseSigningKey(pemKey(t, ecKey(t, elliptic.P256())), "k1", ""); err != nil {
		t.Fatal(err)
	}
	if cc.DPoP, err = apiclient.NewDPoP(time.Now); err != nil {
		t.Fatal(err)
	}
	client = inProcess(handlerTransport{handler})
	tokens := cc.Tokens()
	client.Auth = tokens
	for range 2 {
		if _, err := client.Do(t.Context(), apiclient.Request{Op: "x.get", Path: []string{"users"}, Query: url.Values{"q": {"1"}}}); err != nil {
			t.Fatal(err)
		}
	}
	if calls != 3 {
		t.Errorf("%d calls for the first token, want 3", calls)
	}
	tokens.Discard()
	if _, err := client.Do(t.Context(), apiclient.Request{Op: "x.get", Path: []string{"users"}}); err != nil || calls != 4 {
		t.Errorf("%v after %d calls, want 4: what the server wants is known by now", err, calls)
	}
}

func TestDPoPGivesUpOnAServerThatIsNeverContent(t *testing.T) {
	calls := 0
	cc := credentials(func(w http.ResponseWriter, _ *http.Request) {
		calls++
		w.Header().Set("DPoP-Nonce", fmt.Sprint("n", calls))
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"error":"use_dpop_nonce"}`)
	})
	cc.DPoP, _ = apiclient.NewDPoP(time.Now)
	_, err := cc.Fetch(t.Context())
	if mustCause(t, err, apiclient.Denied); calls != 3 {
		t.Errorf("%d calls, want 3", calls)
	}
}
