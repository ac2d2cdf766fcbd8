package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"

	"keyturn/internal/sandbox"
)

// provider is the sandbox behind a front door that sees everything: it marks every secret that goes through it in
// either direction, adds secrets of its own to the replies, and breaks replies in ways that the sandbox does not know.
type provider struct {
	sandbox *sandbox.Sandbox
	marks   *marks
	refuse  atomic.Bool // every call is refused, and the refusal repeats the credential

	mu       sync.Mutex
	mischief []mischief
	created  map[string]string // secrets of clients, by client id
}

// mischief breaks the reply to one call.
type mischief struct {
	method, path string // the path's end
	how          func(p *provider, w http.ResponseWriter, rec *httptest.ResponseRecorder)
}

func newProvider(sb *sandbox.Sandbox, m *marks) *provider {
	return &provider{sandbox: sb, marks: m, created: map[string]string{}}
}

// plot arms mischief: each strikes once, in order.
func (p *provider) plot(list ...mischief) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mischief = append(p.mischief, list...)
}

// due takes the mischief for a call.
func (p *provider) due(r *http.Request) (mischief, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, m := range p.mischief {
		if m.method == r.Method && strings.HasSuffix(r.URL.Path, m.path) {
			p.mischief = append(p.mischief[:i:i], p.mischief[i+1:]...)
			return m, true
		}
	}
	return mischief{}, false
}

// left lists the mischief that never came to pass.
func (p *provider) left() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []string
	for _, m := range p.mischief {
		all = append(all, m.method+" "+m.path)
	}
	return all
}

// ServeHTTP passes a call to the sandbox.
func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	p.see(r, body)
	if p.refuse.Load() {
		echo(w, r, body)
		return
	}
	rec := httptest.NewRecorder()
	if !p.answered(rec, r) {
		// Within the status line, so that no transport takes it for an idle connection and tries again.
		raw(w, "HTTP/1.")
		return
	}
	p.dress(rec)
	if m, ok := p.due(r); ok {
		m.how(p, w, rec)
		return
	}
	pass(w, rec, rec.Body.Len())
}

// answered has the sandbox answer, and is false when it hangs up instead.
func (p *provider) answered(rec *httptest.ResponseRecorder, r *http.Request) (ok bool) {
	defer func() { ok = recover() == nil }()
	p.sandbox.ServeHTTP(rec, r)
	return
}

// see marks the secrets in a request.
func (p *provider) see(r *http.Request, body []byte) {
	_, credential, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	p.marks.add("credential of a call", credential)
	p.marks.add("proof of a call", r.Header.Get("DPoP"))
	if form, err := url.ParseQuery(string(body)); err == nil {
		p.marks.add("assertion of a token call", form.Get("client_assertion"))
	}
}

// secretFields are the fields of replies that hold a secret.
var secretFields = []string{"access_token", "bearer_token", "client_secret", "refresh_token", "id_token"}

// dress marks the secrets of a reply and adds some that a real provider may send beside them.
func (p *provider) dress(rec *httptest.ResponseRecorder) {
	cookie := fmt.Sprintf("canary-cookie/%p+%s", rec, "front door")
	p.marks.add("cookie", cookie)
	rec.Header().Set("Set-Cookie", "session="+url.QueryEscape(cookie)+"; Secure")
	var one map[string]any
	if json.Unmarshal(rec.Body.Bytes(), &one) == nil && (one["access_token"] != nil || one["bearer_token"] != nil) {
		one["refresh_token"] = fmt.Sprintf("canary-refresh/%p", rec)
		one["id_token"] = fmt.Sprintf("canary.id+token/%p", rec)
		rec.Body.Reset()
		_ = json.NewEncoder(rec.Body).Encode(one)
	}
	var any any
	if json.Unmarshal(rec.Body.Bytes(), &any) == nil {
		p.collect(any)
	}
}

// collect marks every secret in a decoded reply.
func (p *provider) collect(v any) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			p.collect(e)
		}
	case map[string]any:
		for _, name := range secretFields {
			if s, ok := v[name].(string); ok {
				p.marks.add(name+" in a reply", s)
			}
		}
		id, _ := v["client_id"].(string)
		if s, ok := v["client_secret"].(string); ok && id != "" {
			p.mu.Lock()
			p.created[id] = s
			p.mu.Unlock()
		}
	}
}

// pass sends the reply, or its first n bytes under the length of the whole.
func pass(w http.ResponseWriter, rec *httptest.ResponseRecorder, n int) {
	for name, values := range rec.Header() {
		w.Header()[name] = values
	}
	if rec.Code != http.StatusNoContent {
		w.Header().Set("Content-Length", fmt.Sprint(rec.Body.Len()))
	}
	w.WriteHeader(rec.Code)
	_, _ = w.Write(rec.Body.Bytes()[:n])
	if n < rec.Body.Len() {
		panic(http.ErrAbortHandler)
	}
}

// raw sends text in place of a reply and hangs up.
func raw(w http.ResponseWriter, text string) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	_, _ = io.WriteString(conn, text)
	_ = conn.Close()
}

// The ways to break a reply. Each leaves all of its secrets in what the client gets to see.
var (
	// half sends most of the body and hangs up.
	half = func(_ *provider, w http.ResponseWriter, rec *httptest.ResponseRecorder) {
		pass(w, rec, rec.Body.Len()-2)
	}
	// garbled sends a body that is no JSON any more, as if it worked.
	garbled = func(_ *provider, w http.ResponseWriter, rec *httptest.ResponseRecorder) {
		rec.Body.WriteString(`, "client_secret": `)
		pass(w, rec, rec.Body.Len())
	}
	// mistyped sends a token where a number or a list is wanted.
	mistyped = func(p *provider, w http.ResponseWriter, rec *httptest.ResponseRecorder) {
		s := fmt.Sprintf("canary-mistyped/%p", rec)
		p.marks.add("field of the wrong type", s)
		rec.Body.Reset()
		fmt.Fprintf(rec.Body, `{"list": %q, "expires_in": %q, "created_at": %q, "created": %q, "client_id": %[1]q, "resources": %[1]q}`, s, s, s, s)
		pass(w, rec, rec.Body.Len())
	}
	// malformed sends a header line that is none, with the reply's own secret in it.
	malformed = func(p *provider, w http.ResponseWriter, rec *httptest.ResponseRecorder) {
		s := fmt.Sprintf("canary-header/%p", rec)
		p.marks.add("malformed header", s)
		raw(w, "HTTP/1.1 200 OK\r\nDate: Sun, 22 Nov 2026 10:00:00 GMT\r\nSet-Cookie "+s+"\r\n\r\n"+rec.Body.String())
	}
	// preamble sends a status line that is none.
	preamble = func(p *provider, w http.ResponseWriter, rec *httptest.ResponseRecorder) {
		s := fmt.Sprintf("canary-preamble/%p", rec)
		p.marks.add("malformed status line", s)
		raw(w, s+" "+rec.Body.String()+"\r\n\r\n")
	}
	// elsewhere sends the caller to another host, with a token in the URL.
	elsewhere = func(p *provider, w http.ResponseWriter, rec *httptest.ResponseRecorder) {
		s := fmt.Sprintf("canary-location-%p", rec)
		p.marks.add("location", s)
		w.Header().Set("Location", "https://login.acme.example/?token="+s)
		w.WriteHeader(http.StatusFound)
	}
)

// repeats fails with a status and repeats the credential in whatever a client might read.
func repeats(status int, html bool) func(*provider, http.ResponseWriter, *httptest.ResponseRecorder) {
	return func(p *provider, w http.ResponseWriter, rec *httptest.ResponseRecorder) {
		s := fmt.Sprintf("canary-echo/+?%p", rec)
		p.marks.add("echo of an error", s)
		refusal(w, status, html, s)
	}
}

// echo refuses a call and repeats its credential.
func echo(w http.ResponseWriter, r *http.Request, body []byte) {
	refusal(w, http.StatusUnauthorized, false, r.Header.Get("Authorization")+r.Header.Get("DPoP")+string(body))
}

// refusal writes an error in every provider's form at once, each field of which holds text.
func refusal(w http.ResponseWriter, status int, html bool, text string) {
	w.Header().Set("WWW-Authenticate", fmt.Sprintf("Bearer error=%q", text))
	if html {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, "<html><body>upstream said %s</body></html>", text)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{
		"errorCode": text, "errorSummary": text, "errorId": text, "errorCauses": []any{map[string]string{"errorSummary": text}},
		"error": text, "error_description": text, "message": []string{text}, "error_code": text, "ts_error_code": text,
		"code": text, "type": text, "name": text,
	})
}

// roundTripper is short for what carries the calls of a worker.
type roundTripper = http.RoundTripper

// dying is a transport with a bug, beside what catches those of the work itself: it panics over the reply to the first create.
type dying struct{ w *world }

// RoundTrip implements http.RoundTripper.
func (d dying) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil || req.Method != http.MethodPost || !strings.HasSuffix(req.URL.Path, "/v1/clients") {
		return res, err
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	d.w.marks.mu.Lock()
	data, err := json.Marshal(d.w.marks.names)
	d.w.marks.mu.Unlock()
	if err != nil || os.WriteFile(os.Getenv(canaryChild), data, 0o600) != nil {
		return nil, err
	}
	beside := make(chan struct{})
	go func() {
		defer close(beside)
		bug(map[string]any{req.Header.Get("Authorization"): string(body)})
	}()
	<-beside
	return res, nil
}

// bug writes into a map that nobody made.
func bug(secrets map[string]any) {
	var none map[string]any
	for name, v := range secrets {
		slip(none, name, v)
	}
}

func slip(m map[string]any, name string, v any) { m[name] = v }
