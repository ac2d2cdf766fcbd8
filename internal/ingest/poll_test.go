package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"keyturn/internal/config"
	"keyturn/internal/secret"
)

// transmitter is an issuer whose tokens are fetched (RFC 8936): it keeps each until it is acknowledged or refused.
type transmitter struct {
	*httptest.Server
	mu      sync.Mutex
	sets    map[string]string
	refused map[string]*SETError
	acked   []string
	asked   int
	fail    func(w http.ResponseWriter) bool
}

func newTransmitter(t testing.TB, sets map[string]string) *transmitter {
	tr := &transmitter{sets: sets, refused: map[string]*SETError{}}
	tr.Server = httptest.NewServer(tr)
	t.Cleanup(tr.Close)
	return tr
}

func (tr *transmitter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.asked++
	if r.Header.Get("Authorization") != "Bearer "+canaryOne || r.Method != http.MethodPost {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if tr.fail != nil && tr.fail(w) {
		return
	}
	var req pollRequest
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	for _, id := range req.Ack {
		tr.acked = append(tr.acked, id)
		delete(tr.sets, id)
	}
	for id, e := range req.Errors {
		tr.refused[id] = e
		delete(tr.sets, id)
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"sets": tr.sets})
}

// left is what the transmitter still holds.
func (tr *transmitter) left() int {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return len(tr.sets)
}

func (tr *transmitter) requests() int {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return tr.asked
}

// pulled is a source of the preset ssf that fetches its tokens.
func pulled(t testing.TB, url string) SourceSpec {
	t.Helper()
	dir := t.TempDir()
	text := fmt.Sprintf(`sources:
  idp:
    preset: ssf
    verify: {set_jws: {issuer: %q, audience: [%q], jwks: %q, algs: [ES256]}}
    poll: {url: %q, token: "${env:TOKEN}", interval: 1s, wait: none}
`, sampleIssuer, sampleAudience, keyFile(t), url)
	if err := os.WriteFile(filepath.Join(dir, config.SourcesFile), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	list, err := config.ReadSources(dir, config.Resolver{LookupEnv: func(string) (string, bool) { return canaryOne, true }})
	if err != nil {
		t.Fatal(err)
	}
	spec := Configured(list[0])
	spec.Poll.Interval = 5 * time.Millisecond
	return spec
}

func goodSet(t testing.TB, id string) string {
	t.Helper()
	return token(t, "ES256", "ES256", "secevent+jwt", signers()["p256"], setClaims(map[string]any{"jti": id}))
}

// polling runs the handler's pollers until the test ends.
func polling(t *testing.T, f *face) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f.handle.Poll(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func TestPoll(t *testing.T) {
	unsigned := goodSet(t, "bad")
	tr := newTransmitter(t, map[string]string{
		"a": goodSet(t, "a"), "b": goodSet(t, "b"), "bad": unsigned[:len(unsigned)-4] + "AAAA", "misnamed": goodSet(t, "other"),
		"foreign": token(t, "ES256", "ES256", "secevent+jwt", signers()["p256"], setClaims(map[string]any{"iss": "x", "jti": "foreign"})),
		"unknown": token(t, "ES256", "ES256", "secevent+jwt", signers()["p256"], setClaims(map[string]any{"jti": "unknown", "events": map[string]any{"https://acme.example/x": map[string]any{}}})),
		"check":   token(t, "ES256", "ES256", "secevent+jwt", signers()["p256"], setClaims(map[string]any{"jti": "check", "events": map[string]any{ssfVerificationEvent: map[string]any{"state": "s"}}})),
	})
	f := open(t, Options{Now: func() time.Time { return noon }}, pulled(t, tr.URL))
	stop := polling(t, f)
	until(t, "nothing is left", func() bool { return tr.left() == 0 })
	stop()
	if n := len(f.store.stored()); n != 2 {
		t.Errorf("stored %d events", n)
	}
	if got := len(tr.acked); got != 4 {
		t.Errorf("acknowledged %v", tr.acked)
	}
	for id, code := range map[string]string{"bad": "authentication_failed", "misnamed": "invalid_request", "foreign": "invalid_issuer"} {
		if e := tr.refused[id]; e == nil || e.Code != code || e.Description == "" {
			t.Errorf("%s: %+v, want %s", id, e, code)
		}
	}
	if strings.Contains(f.logs.String(), "canary") {
		t.Error("the token is in the log")
	}
}

// TestPollAcknowledgesWhatIsStored: a token whose event is not on disk stays with the transmitter, and its repeat is the
// same case.
func TestPollAcknowledgesWhatIsStored(t *testing.T) {
	tr := newTransmitter(t, map[string]string{"a": goodSet(t, "a"), "b": goodSet(t, "b")})
	f := open(t, Options{Now: func() time.Time { return noon }}, pulled(t, tr.URL))
	var mu sync.Mutex
	away := 0
	f.store.fail = func(int) error {
		mu.Lock()
		defer mu.Unlock()
		if away++; away < 6 {
			if tr.left() != 2 {
				t.Error("acknowledged while nothing is stored")
			}
			return errors.New("away")
		}
		return nil
	}
	stop := polling(t, f)
	until(t, "nothing is left", func() bool { return tr.left() == 0 })
	stop()
	cases := map[string]bool{}
	for _, e := range f.store.stored() {
		cases[e.Case()] = true
	}
	if len(cases) != 2 {
		t.Errorf("%d cases", len(cases))
	}
}

// TestPollOfATransmitterThatFails: it is asked less and less, and never more often than it wants.
func TestPollOfATransmitterThatFails(t *testing.T) {
	for name, fail := range map[string]func(w http.ResponseWriter) bool{
		"status":   func(w http.ResponseWriter) bool { w.WriteHeader(http.StatusBadGateway); return true },
		"not JSON": func(w http.ResponseWriter) bool { _, _ = w.Write([]byte("<html>" + canaryOne)); return true },
		"redirect": func(w http.ResponseWriter) bool {
			w.Header().Set("Location", "http://127.0.0.1:1/?"+canaryOne)
			w.WriteHeader(http.StatusFound)
			return true
		},
		"redirect to nowhere": func(w http.ResponseWriter) bool {
			w.Header().Set("Location", "http://a b/?"+canaryOne)
			w.WriteHeader(http.StatusFound)
			return true
		},
	} {
		tr := newTransmitter(t, map[string]string{"a": goodSet(t, "a")})
		tr.fail = fail
		f := open(t, Options{Now: func() time.Time { return noon }}, pulled(t, tr.URL))
		stop := polling(t, f)
		until(t, name+": some requests", func() bool { return tr.requests() >= 3 })
		tr.mu.Lock()
		tr.fail = nil
		tr.mu.Unlock()
		until(t, name+": nothing is left", func() bool { return tr.left() == 0 })
		stop()
		if strings.Contains(f.logs.String(), "canary") || !strings.Contains(f.logs.String(), `"msg":"poll"`) {
			t.Errorf("%s: %s", name, f.logs)
		}
	}
	p := &poller{Poll: config.Poll{Interval: time.Second}}
	for failed, most := range map[int]time.Duration{1: time.Second, 2: 2 * time.Second, 5: 16 * time.Second, 100: pollSlowest} {
		p.failed = failed
		if wait := p.backoff(0); wait < most/2 || wait > most {
			t.Errorf("after %d: %s", failed, wait)
		}
	}
	if wait := p.backoff(30 * time.Minute); wait != 30*time.Minute {
		t.Errorf("asked again after %s", wait)
	}
}

// TestPollFollowsTheSources: a source that is gone is not asked any more, and a new one is.
func TestPollFollowsTheSources(t *testing.T) {
	one, two := newTransmitter(t, map[string]string{}), newTransmitter(t, map[string]string{"a": goodSet(t, "a")})
	f := open(t, Options{Now: func() time.Time { return noon }}, pulled(t, one.URL))
	polling(t, f)
	until(t, "the first", func() bool { return one.requests() > 0 })
	s, err := NewSource(pulled(t, two.URL))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.handle.Replace([]*Source{s}); err != nil {
		t.Fatal(err)
	}
	until(t, "the second", func() bool { return two.left() == 0 })
	// The first one's last request may be under way: after two of the second there is none any more.
	at := two.requests()
	until(t, "two more", func() bool { return two.requests() > at+2 })
	before := one.requests()
	at = two.requests()
	until(t, "two more", func() bool { return two.requests() > at+2 })
	if one.requests() != before {
		t.Error("the first is still asked")
	}
}

func TestPollNeedsAToken(t *testing.T) {
	spec := hrSpec()
	spec.Poll = &config.Poll{URL: "https://idp.acme.example", Token: secret.New(canaryOne)}
	if _, err := NewSource(spec); err == nil || !strings.Contains(err.Error(), "set_jws") {
		t.Error(err)
	}
}
