package sandbox_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"keyturn/internal/sandbox"
)

// clock is a clock that stands until it is moved.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// bench is a listening sandbox with a caller.
type bench struct {
	*sandbox.Server
	t     *testing.T
	clock *clock
	creds sandbox.Credentials
}

func start(t *testing.T, opt sandbox.Options) *bench {
	t.Helper()
	c := newClock()
	if opt.Now == nil {
		opt.Now = c.Now
	}
	s, err := sandbox.Start(opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return &bench{Server: s, t: t, clock: c, creds: s.Credentials()}
}

// answer is a response with its body read.
type answer struct {
	*http.Response
	body []byte
}

// into decodes the body.
func (a answer) into(t *testing.T, v any) {
	t.Helper()
	if err := json.Unmarshal(a.body, v); err != nil {
		t.Fatalf("decode %q: %v", a.body, err)
	}
}

// try sends a request; headers come as name, value.
func (b *bench) try(method, path, body string, headers ...string) (answer, error) {
	b.t.Helper()
	if strings.HasPrefix(path, "/") {
		path = b.URL + path
	}
	req, err := http.NewRequestWithContext(b.t.Context(), method, path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	return answer{resp, got}, err
}

// do sends a request and wants a status.
func (b *bench) do(want int, method, path, body string, headers ...string) answer {
	b.t.Helper()
	a, err := b.try(method, path, body, headers...)
	if err != nil {
		b.t.Fatalf("%s %s: %v", method, path, err)
	}
	if a.StatusCode != want {
		b.t.Fatalf("%s %s: status %d, want %d: %s", method, path, a.StatusCode, want, a.body)
	}
	return a
}

// okta calls with the API token.
func (b *bench) okta(want int, method, path string) answer {
	b.t.Helper()
	return b.do(want, method, path, "", "Authorization", "SSWS "+b.creds.OktaAPIToken)
}

// asaToken gets a bearer token.
func (b *bench) asaToken(key sandbox.ASAKey) string {
	b.t.Helper()
	in, err := json.Marshal(map[string]string{"key_id": key.KeyID, "key_secret": key.KeySecret})
	if err != nil {
		b.t.Fatal(err)
	}
	a := b.do(200, "POST", "/asa/v1/teams/acme/service_token", string(in), "Content-Type", "application/json")
	var out struct {
		Token   string    `json:"bearer_token"`
		Expires time.Time `json:"expires_at"`
		Team    string    `json:"team_name"`
	}
	a.into(b.t, &out)
	if out.Team != "acme" || !out.Expires.After(b.clock.Now()) {
		b.t.Fatalf("service token answer: team %q, expires %v", out.Team, out.Expires)
	}
	return out.Token
}

// mosaicToken gets an access token.
func (b *bench) mosaicToken(key sandbox.MosaicKey) string {
	b.t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {key.ClientID}, "client_secret": {key.ClientSecret}}
	a := b.do(200, "POST", "/mosaic/oidc/token", form.Encode(), "Content-Type", "application/x-www-form-urlencoded")
	var out struct {
		Token string `json:"access_token"`
	}
	a.into(b.t, &out)
	return out.Token
}

// signer reads a generated key.
func signer(t *testing.T, app sandbox.ServiceApp) crypto.Signer {
	t.Helper()
	block, _ := pem.Decode([]byte(app.PrivateKey))
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return key.(crypto.Signer)
}

// assertion is a client assertion with claims to override.
func (b *bench) assertion(app sandbox.ServiceApp, override map[string]any) string {
	b.t.Helper()
	claims := map[string]any{
		"iss": app.ClientID, "sub": app.ClientID, "aud": b.URL + "/okta/oauth2/v1/token",
		"exp": b.clock.Now().Add(5 * time.Minute).Unix(), "iat": b.clock.Now().Unix(), "jti": rand.Text(),
	}
	for k, v := range override {
		claims[k] = v
	}
	key := jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: signer(b.t, app), KeyID: app.KeyID}}
	s, err := jose.NewSigner(key, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	raw, err := jwt.Signed(s).Claims(claims).Serialize()
	if err != nil {
		b.t.Fatal(err)
	}
	return raw
}

// tokenForm is the body of a token request.
func tokenForm(assertion, scope string) string {
	return url.Values{
		"grant_type": {"client_credentials"}, "scope": {scope}, "client_assertion": {assertion},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
	}.Encode()
}

// askToken calls the token endpoint.
func (b *bench) askToken(want int, form string, headers ...string) answer {
	b.t.Helper()
	headers = append(headers, "Content-Type", "application/x-www-form-urlencoded")
	return b.do(want, "POST", "/okta/oauth2/v1/token", form, headers...)
}

// dpopKey makes proofs.
type dpopKey struct {
	t     *testing.T
	key   *ecdsa.PrivateKey
	clock *clock
}

func newDPoPKey(b *bench) *dpopKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.t.Fatal(err)
	}
	return &dpopKey{b.t, key, b.clock}
}

func (k *dpopKey) proof(method, target, nonce, token string, override ...string) string {
	k.t.Helper()
	claims := map[string]any{"htm": method, "htu": target, "iat": k.clock.Now().Unix(), "jti": rand.Text()}
	if nonce != "" {
		claims["nonce"] = nonce
	}
	if token != "" {
		sum := sha256.Sum256([]byte(token))
		claims["ath"] = base64.RawURLEncoding.EncodeToString(sum[:])
	}
	for i := 0; i < len(override); i += 2 {
		claims[override[i]] = override[i+1]
	}
	opts := (&jose.SignerOptions{EmbedJWK: true}).WithType("dpop+jwt")
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: k.key}, opts)
	if err != nil {
		k.t.Fatal(err)
	}
	raw, err := jwt.Signed(s).Claims(claims).Serialize()
	if err != nil {
		k.t.Fatal(err)
	}
	return raw
}

// links are the Link lines by relation. Each relation must have its own line.
func links(t *testing.T, a answer) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, line := range a.Header.Values("Link") {
		target, rel, ok := strings.Cut(line, ">; rel=")
		if !ok || strings.Contains(line, ",") {
			t.Fatalf("Link line %q", line)
		}
		out[strings.Trim(rel, `"`)] = strings.TrimPrefix(target, "<")
	}
	return out
}

// errorCode is the code of an Okta error.
func errorCode(t *testing.T, a answer) string {
	t.Helper()
	var e struct {
		Code   string           `json:"errorCode"`
		Link   string           `json:"errorLink"`
		ID     string           `json:"errorId"`
		Causes *json.RawMessage `json:"errorCauses"`
	}
	a.into(t, &e)
	if e.Link != e.Code || e.ID == "" || e.Causes == nil {
		t.Fatalf("incomplete error object: %s", a.body)
	}
	return e.Code
}

// ids are the ids of a JSON list of objects.
func ids(t *testing.T, list []byte, key string) []string {
	t.Helper()
	var rows []map[string]any
	if err := json.NewDecoder(bytes.NewReader(list)).Decode(&rows); err != nil {
		t.Fatalf("decode %q: %v", list, err)
	}
	out := []string{}
	for _, r := range rows {
		out = append(out, r[key].(string))
	}
	return out
}
