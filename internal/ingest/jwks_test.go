package ingest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"keyturn/internal/config"
)

// keyServer is an issuer's JWKS address that counts who asks.
type keyServer struct {
	*httptest.Server
	asked  atomic.Int64
	mu     sync.Mutex
	answer http.HandlerFunc
}

func serveKeys(t testing.TB, answer http.HandlerFunc) *keyServer {
	s := &keyServer{answer: answer}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked.Add(1)
		s.mu.Lock()
		answer := s.answer
		s.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *keyServer) now(answer http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

func document(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(text)) }
}

// clock is a clock that a test moves.
type clock struct{ nanos atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.nanos.Store(noon.UnixNano())
	return c
}

func (c *clock) now() time.Time       { return time.Unix(0, c.nanos.Load()).UTC() }
func (c *clock) pass(d time.Duration) { c.nanos.Add(int64(d)) }

// jwk is the public half of a key, as an issuer publishes it.
func jwk(t testing.TB, id, alg string, key crypto.Signer) string {
	t.Helper()
	b, err := json.Marshal(jose.JSONWebKey{Key: key.Public(), KeyID: id, Algorithm: alg, Use: "sig"})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func jwkSet(keys ...string) string { return `{"keys":[` + strings.Join(keys, ",") + `]}` }

// signers are one key of each kind, made once for all tests.
var signers = sync.OnceValue(func() map[string]crypto.Signer {
	must := func(s crypto.Signer, err error) crypto.Signer {
		if err != nil {
			panic(err)
		}
		return s
	}
	list := map[string]crypto.Signer{
		"rsa":   must(rsa.GenerateKey(rand.Reader, 2048)),
		"small": must(rsa.GenerateKey(rand.Reader, 1024)),
		"other": must(rsa.GenerateKey(rand.Reader, 2048)),
	}
	for name, curve := range map[string]elliptic.Curve{"p256": elliptic.P256(), "p384": elliptic.P384(), "p521": elliptic.P521()} {
		list[name] = must(ecdsa.GenerateKey(curve, rand.Reader))
	}
	_, private := ed25519Key(3)
	list["ed25519"] = private
	return list
})

func keysAt(url string, c *clock) *keySet {
	s := newKeySet(url)
	s.now = c.now
	return s
}

func TestKeysAreKept(t *testing.T) {
	key := signers()["p256"]
	srv := serveKeys(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=600")
		_, _ = w.Write([]byte(jwkSet(jwk(t, "a", "ES256", key))))
	})
	c := newClock()
	s := keysAt(srv.URL, c)
	for range 100 {
		if keys, err := s.find("a"); err != nil || len(keys) != 1 {
			t.Fatal(keys, err)
		}
	}
	if n := srv.asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
	c.pass(11 * time.Minute)
	srv.now(document(jwkSet(jwk(t, "b", "ES256", key))))
	if _, err := s.find("a"); !errors.Is(err, errUnknownKey) {
		t.Errorf("a key that the issuer took back: %v", err)
	}
	if _, err := s.find("b"); err != nil {
		t.Error(err)
	}
}

// TestForgedKeyIDs: however many ids are made up, the issuer is asked twice a minute, and its keys stay usable.
func TestForgedKeyIDs(t *testing.T) {
	key := signers()["p256"]
	srv := serveKeys(t, document(jwkSet(jwk(t, "a", "ES256", key))))
	c := newClock()
	s := keysAt(srv.URL, c)
	for minute := range 3 {
		var wg sync.WaitGroup
		for worker := range 8 {
			wg.Go(func() {
				for i := range 500 {
					if _, err := s.find(fmt.Sprint("forged-", worker, "-", i)); err == nil {
						t.Error("a forged id is known")
					}
					if _, err := s.find("a"); err != nil && minute > 0 {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		if n := srv.asked.Load(); n != int64(minute+1) {
			t.Errorf("minute %d: asked %d times", minute, n)
		}
		c.pass(31 * time.Second)
	}
	if len(s.keys) != 1 {
		t.Errorf("%d keys are kept", len(s.keys))
	}
	// A key that is new is found as soon as the issuer may be asked again.
	srv.now(document(jwkSet(jwk(t, "a", "ES256", key), jwk(t, "new", "ES256", key))))
	if _, err := s.find("new"); err != nil {
		t.Errorf("a new key: %v", err)
	}
	if _, err := s.find("newer"); !errors.Is(err, errNoKeys) {
		t.Errorf("nobody can tell yet: %v", err)
	}
	c.pass(31 * time.Second)
	if _, err := s.find("newer"); !errors.Is(err, errUnknownKey) {
		t.Errorf("now it is known to be none: %v", err)
	}
}

func TestIssuerThatIsAway(t *testing.T) {
	key := signers()["p256"]
	away := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }
	srv := serveKeys(t, away)
	c := newClock()
	s := keysAt(srv.URL, c)
	for range 5 {
		if _, err := s.find("a"); !errors.Is(err, errNoKeys) {
			t.Errorf("never had: %v", err)
		}
	}
	if n := srv.asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
	srv.now(document(jwkSet(jwk(t, "a", "ES256", key))))
	c.pass(fetchEvery)
	if _, err := s.find("a"); err != nil {
		t.Fatal(err)
	}
	for name, answer := range map[string]http.HandlerFunc{
		"status":    away,
		"redirect":  func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) },
		"not JSON":  document("<html>"),
		"no keys":   document(`{"keys":[]}`),
		"no set":    document(`{}`),
		"too large": document(`{"keys":[` + strings.Repeat(" ", maxKeySet) + jwk(t, "b", "ES256", key) + `]}`),
		"nothing":   document(""),
	} {
		srv.now(answer)
		c.pass(2 * time.Hour)
		if _, err := s.find("a"); err != nil {
			t.Errorf("%s: a key that was had is gone: %v", name, err)
		}
	}
	c.pass(26 * time.Hour)
	if _, err := s.find("a"); !errors.Is(err, errNoKeys) {
		t.Errorf("after more than a day: %v", err)
	}
}

// TestKeysOneByOne: a key that nobody here knows spoils none of the others, and what must not verify is left out.
func TestKeysOneByOne(t *testing.T) {
	all := signers()
	private, err := json.Marshal(jose.JSONWebKey{Key: all["p256"], KeyID: "private"})
	if err != nil {
		t.Fatal(err)
	}
	encryption := strings.Replace(jwk(t, "enc", "", all["p256"]), `"sig"`, `"enc"`, 1)
	set := jwkSet(`{"kty":"EC","crv":"secp256k1","kid":"k1","x":"AA","y":"AA"}`, `{"kty":"AKP","alg":"ML-DSA-44","kid":"pq","pub":"AA"}`,
		`{"kty":"oct","kid":"secret","k":"c2VjcmV0LXNlY3JldC1zZWNyZXQ"}`, `7`, string(private), encryption, jwk(t, "small", "RS256", all["small"]),
		jwk(t, "rsa", "RS256", all["rsa"]), jwk(t, "ed", "EdDSA", all["ed25519"]), jwk(t, "twice", "", all["p256"]), jwk(t, "twice", "", all["p384"]))
	keys, err := parseKeys([]byte(set))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, k := range keys {
		got = append(got, k.KeyID)
	}
	if strings.Join(got, " ") != "rsa ed twice twice" {
		t.Errorf("kept %v", got)
	}
	many := make([]string, 200)
	for i := range many {
		many[i] = jwk(t, strconv.Itoa(i), "", all["p256"])
	}
	if keys, err := parseKeys([]byte(jwkSet(many...))); err != nil || len(keys) != maxKeys {
		t.Errorf("%d keys, %v", len(keys), err)
	}
}

func TestKeysOfAFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "keys.json")
	s := newKeySet(name)
	if _, err := s.find("a"); !errors.Is(err, errNoKeys) {
		t.Errorf("no file: %v", err)
	}
	write := func(text string, at time.Time) {
		t.Helper()
		if err := errors.Join(os.WriteFile(name, []byte(text), 0o600), os.Chtimes(name, at, at)); err != nil {
			t.Fatal(err)
		}
	}
	key := signers()["p256"]
	write(jwkSet(jwk(t, "a", "", key)), noon)
	if _, err := s.find("a"); err != nil {
		t.Error(err)
	}
	if _, err := s.find("b"); !errors.Is(err, errUnknownKey) {
		t.Error(err)
	}
	write(jwkSet(jwk(t, "b", "", key)), noon.Add(time.Second))
	if _, err := s.find("b"); err != nil {
		t.Errorf("the file has changed: %v", err)
	}
	if _, err := s.find("a"); !errors.Is(err, errUnknownKey) {
		t.Error(err)
	}
	write("{", noon.Add(2*time.Second))
	if _, err := s.find("b"); err != nil {
		t.Errorf("a file that is half written: %v", err)
	}
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	if _, err := s.find("b"); err != nil {
		t.Errorf("a file that is gone: %v", err)
	}
}

func TestFreshness(t *testing.T) {
	for header, want := range map[string]time.Duration{
		"": freshByItself, "max-age=600": 10 * time.Minute, `public, Max-Age="900"`: 15 * time.Minute, "max-age=1": freshAtLeast,
		"max-age=99999999": freshAtMost, "no-store": freshAtLeast, "no-cache, max-age=9000": freshAtLeast, "max-age=-1": freshByItself, "max-age=x": freshByItself,
	} {
		if got := freshness(header); got != want {
			t.Errorf("%q: %s", header, got)
		}
	}
}

// TestFewWaitForTheIssuer: whoever waits holds a place, and there are not many.
func TestFewWaitForTheIssuer(t *testing.T) {
	release := make(chan struct{})
	entered := make(chan struct{})
	srv := serveKeys(t, func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-release
		_, _ = w.Write([]byte(jwkSet(jwk(t, "a", "", signers()["p256"]))))
	})
	s := keysAt(srv.URL, newClock())
	var good, later atomic.Int64
	var wg sync.WaitGroup
	find := func() {
		if _, err := s.find("a"); err == nil {
			good.Add(1)
		} else if errors.Is(err, errNoKeys) {
			later.Add(1)
		}
	}
	wg.Go(find)
	<-entered
	for range 2 * maxWaiting {
		wg.Go(find)
	}
	until(t, "those who do not wait", func() bool { return later.Load() == maxWaiting })
	close(release)
	wg.Wait()
	if good.Load() != maxWaiting+1 {
		t.Errorf("%d have the key", good.Load())
	}
}

// TestKeysOutliveTheirSource: sources that are replaced hand on the keys that were had, and verifiers of one address
// share them.
func TestKeysOutliveTheirSource(t *testing.T) {
	srv := serveKeys(t, document(jwkSet(jwk(t, "ES256", "ES256", signers()["p256"]))))
	spec := setSpec(t)
	spec.Verify.SetJWS.JWKS = srv.URL
	bearer := SourceSpec{Name: "cloud", Preset: "cloudevents", Verify: VerifySpec{AnyOf: []VerifySpec{tokenSpecs()["header"], {OIDCBearer: &config.OIDCBearer{
		Issuer: sampleIssuer, Audience: []string{sampleAudience}, JWKS: srv.URL, Algs: []string{"ES256"}}}}}}
	f := open(t, Options{Now: func() time.Time { return noon }}, spec)
	d := setDelivery(token(t, "ES256", "ES256", "secevent+jwt", signers()["p256"], setClaims(nil)))
	believed := func(name string) {
		t.Helper()
		if _, err := (*f.handle.sources.Load())[name].verifier.Verify(d); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	believed("idp")
	srv.now(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	var list []*Source
	for _, spec := range []SourceSpec{bearer, spec} {
		s, err := NewSource(spec)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, s)
	}
	if err := f.handle.Replace(list); err != nil {
		t.Fatal(err)
	}
	believed("idp")
	d.Header = http.Header{"Authorization": {"Bearer " + token(t, "ES256", "ES256", "JWT", signers()["p256"], map[string]any{
		"iss": sampleIssuer, "aud": sampleAudience, "exp": noon.Add(time.Hour).Unix()})}}
	believed("cloud")
	if n := srv.asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
}
