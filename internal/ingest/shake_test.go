package ingest

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unsafe"
)

const shakes = `
    handshakes:
      - header_echo: {header: X-Challenge, key: verification}
      - query_echo: {parameter: validationToken}
      - web_hook_origin: {origins: [events.acme.example]}
      - accept_ping: {when: "has(body.ping)"}
      - accept_ping: {when: "has(body.hello)", unverified: the sender says hello before it has a key}
      - capture_token: {when: "has(body.token)", token: body.token}
`

// shake asks without a signature.
func (f *face) shake(method, query, body string, headers ...string) reply {
	f.t.Helper()
	req, err := http.NewRequest(method, f.url+"/hooks/hr"+query, strings.NewReader(body))
	if err != nil {
		f.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	return f.do(req)
}

// TestHandshakes: each is answered as its sender wants it, what is not quite one is refused, and none makes an event.
func TestHandshakes(t *testing.T) {
	spec := configuredSource(t, mappedSource(shakes))
	f := open(t, Options{}, spec)
	for _, c := range []struct {
		what, method, query, body string
		headers                   []string
		status                    int
		want                      string
	}{
		{"echo of a header", "GET", "", "", []string{"X-Challenge", "a<b"}, 200, `{"verification":"a\u003cb"}`},
		{"no header", "GET", "", "", nil, 405, ""},
		{"a header that is too long", "GET", "", "", []string{"X-Challenge", strings.Repeat("a", 2000)}, 405, ""},
		{"echo of the query", "POST", "?validationToken=a%20b%3Cc", "", nil, 200, "a b<c"},
		{"echo by GET", "GET", "?validationToken=abc", "", nil, 200, "abc"},
		{"a line feed", "POST", "?validationToken=a%0Ab", "", nil, 401, ""},
		{"given twice", "POST", "?validationToken=a&validationToken=b", "", nil, 401, ""},
		{"hello", "POST", "", `{"hello": 1}`, nil, 202, ""},
		{"hello that is too long", "POST", "", `{"hello": "` + strings.Repeat("a", 3000) + `"}`, nil, 401, ""},
		{"a ping must be signed", "POST", "", `{"ping": 1}`, nil, 401, ""},
		{"a delivery must be signed", "POST", "", onePerson, nil, 401, ""},
		{"nobody waits for a token", "POST", "", `{"token": "t"}`, nil, 401, ""},
		{"no JSON", "POST", "", `{`, nil, 401, ""},
	} {
		got := f.shake(c.method, c.query, c.body, c.headers...)
		if got.status != c.status || c.want != "" && strings.TrimSpace(got.body) != c.want {
			t.Errorf("%s: %d %s", c.what, got.status, got.body)
		}
	}
	if got := f.post(spec, "application/json", `{"ping": 1}`); got.status != http.StatusAccepted || len(got.Cases) != 0 {
		t.Errorf("a signed ping: %d %s", got.status, got.body)
	}
	if n := len(f.store.stored()) + len(f.store.faults); n != 0 {
		t.Errorf("handshakes made %d events or faults", n)
	}
	if got := f.counter(MetricHandshakes, "source", "hr"); got != 5 {
		t.Errorf("%v handshakes are counted", got)
	}
}

// TestWebHookOrigin: only origins that are configured are granted, exactly as they are written, and only they deliver.
func TestWebHookOrigin(t *testing.T) {
	spec := configuredSource(t, mappedSource(shakes))
	f := open(t, Options{}, spec)
	for origin, granted := range map[string]bool{"events.acme.example": true, "events.acme.example.evil.example": false, "EVENTS.acme.example": false, "": false} {
		got := f.shake(http.MethodOptions, "", "", "WebHook-Request-Origin", origin, "WebHook-Request-Rate", "60", "WebHook-Request-Callback", f.url+"/never")
		if (got.header.Get("WebHook-Allowed-Origin") == origin && origin != "") != granted || got.header.Get("WebHook-Allowed-Rate") == "*" != granted {
			t.Errorf("%q: %v", origin, got.header)
		}
		want := http.StatusUnauthorized
		if granted {
			want = http.StatusAccepted
		}
		if origin == "" {
			continue
		}
		if got := f.post(spec, "application/json", onePerson, "WebHook-Request-Origin", origin); got.status != want {
			t.Errorf("a delivery of %q: %d", origin, got.status)
		}
	}
	plain := configuredSource(t, mappedSource(""))
	f = open(t, Options{}, plain)
	if got := f.shake(http.MethodOptions, "", "", "WebHook-Request-Origin", "events.acme.example"); got.status != http.StatusMethodNotAllowed {
		t.Errorf("a source without web hooks: %d", got.status)
	}
}

// TestCapture: a token comes to the operator who asked for it, once, on the machine itself; nobody else sees it.
func TestCapture(t *testing.T) {
	const token = "the-token-of-acme-example"
	spec := configuredSource(t, mappedSource(shakes))
	f := open(t, Options{}, spec)
	now := time.Now()
	f.handle.captures.now = func() time.Time { return now }
	admin := f.handle.Admin(http.NotFoundHandler())
	ask := func(method, source, remote, host string) (int, string) {
		req := httptest.NewRequest(method, "/capture/"+source, nil)
		req.RemoteAddr, req.Host = remote, host
		req.Header.Set(headerOperator, "yes")
		rec := httptest.NewRecorder()
		admin.ServeHTTP(rec, req)
		return rec.Code, rec.Body.String()
	}
	const here, there = "127.0.0.1:5000", "192.0.2.1:5000"
	for _, c := range []struct {
		method, source, remote, host string
		want                         int
	}{
		{"GET", "hr", here, "localhost:8481", 409}, {"POST", "other", here, "localhost:8481", 404}, {"PUT", "hr", here, "localhost", 405},
		{"POST", "hr", there, "localhost:8481", 403}, {"POST", "hr", here, "evil.example:8481", 403}, {"POST", "hr", here, "[::1]:8481", 204},
	} {
		if got, body := ask(c.method, c.source, c.remote, c.host); got != c.want {
			t.Errorf("%+v: %d %s", c, got, body)
		}
	}
	if got := f.shake("POST", "", `{"token": "`+token+`"}`); got.status != http.StatusAccepted || strings.Contains(got.body, token) {
		t.Errorf("%d %s", got.status, got.body)
	}
	for range 2 * maxCaptured {
		f.shake("POST", "", `{"token": "`+token+`"}`)
	}
	_, body := ask("GET", "hr", here, "127.0.0.1:8481")
	var tokens []Captured
	if err := json.Unmarshal([]byte(body), &tokens); err != nil || len(tokens) != 1 || tokens[0].Token != token {
		t.Errorf("%v %s", err, body)
	}
	if _, body := ask("GET", "hr", here, "localhost"); strings.Contains(body, token) {
		t.Error("the token is given twice")
	}
	now = now.Add(captureTime + time.Second)
	if got := f.shake("POST", "", `{"token": "`+token+`"}`); got.status != http.StatusUnauthorized {
		t.Errorf("after the time: %d", got.status)
	}
	if strings.Contains(f.logs.String(), token) || len(f.store.faults)+len(f.store.stored()) != 0 {
		t.Error("the token is in the log or stored")
	}
}

// TestCapturedAlone: of the delivery that brought a token nothing else is kept.
func TestCapturedAlone(t *testing.T) {
	var c Captures
	c.Wait("hr")
	delivery := strings.Repeat("x", 1<<10) + "the-token"
	if !c.put("hr", delivery[1<<10:]) {
		t.Fatal("not taken")
	}
	tokens, _ := c.Take("hr")
	if len(tokens) != 1 || tokens[0].Token != "the-token" || unsafe.StringData(tokens[0].Token) == unsafe.StringData(delivery[1<<10:]) {
		t.Errorf("%v is a part of the delivery", tokens)
	}
}

// TestNoPageOpensTheWindow: what a page in a browser on the machine itself can send without being allowed to neither
// begins to wait for a token nor gets one, and nothing allows it.
func TestNoPageOpensTheWindow(t *testing.T) {
	f := open(t, Options{}, configuredSource(t, mappedSource(shakes)))
	admin := f.handle.Admin(http.NotFoundHandler())
	f.handle.captures.Wait("other")
	for _, method := range []string{http.MethodPost, http.MethodGet, http.MethodOptions, http.MethodHead} {
		req := httptest.NewRequest(method, "/capture/hr", strings.NewReader("a=b"))
		req.RemoteAddr, req.Host = "127.0.0.1:5000", "localhost:8481"
		for name, value := range map[string]string{"Origin": "https://evil.example", "Content-Type": "text/plain", "Access-Control-Request-Headers": "keyturn-operator", "Access-Control-Request-Method": "POST"} {
			req.Header.Set(name, value)
		}
		rec := httptest.NewRecorder()
		admin.ServeHTTP(rec, req)
		if rec.Code != http.StatusForbidden {
			t.Errorf("%s: %d %s", method, rec.Code, rec.Body)
		}
		for name := range rec.Header() {
			if strings.HasPrefix(name, "Access-Control-") {
				t.Errorf("%s: %s: %s", method, name, rec.Header().Get(name))
			}
		}
	}
	if f.handle.captures.waiting("hr") {
		t.Error("a page began to wait for a token")
	}
}

// TestHandshakeOfNoAnnouncedLength: a handshake may come in chunks, and is cut off where it is too long for one; a
// delivery that comes so is refused as any other.
func TestHandshakeOfNoAnnouncedLength(t *testing.T) {
	f := open(t, Options{}, configuredSource(t, mappedSource(shakes)))
	for _, c := range []struct {
		body string
		want int
	}{
		{`{"hello": 1}`, http.StatusAccepted}, {onePerson, http.StatusUnauthorized}, {"", http.StatusUnauthorized},
		{`{"hello": "` + strings.Repeat("a", maxShake) + `"}`, http.StatusUnauthorized},
		{`{"hello": "` + strings.Repeat("a", 4<<20) + `"}`, http.StatusUnauthorized},
	} {
		req, err := http.NewRequest(http.MethodPost, f.url+"/hooks/hr", struct{ io.Reader }{strings.NewReader(c.body)})
		if err != nil {
			t.Fatal(err)
		}
		if got := f.do(req); got.status != c.want {
			t.Errorf("%d bytes in chunks: %d %s", len(c.body), got.status, got.body)
		}
	}
	if n := f.handle.bodies.held.Load(); n != 0 {
		t.Errorf("%d bytes are held", n)
	}
}
