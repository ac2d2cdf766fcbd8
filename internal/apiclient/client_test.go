package apiclient_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"keyturn/internal/apiclient"
	"keyturn/internal/secret"
)

// newClient makes a client of a loopback server, with the simplest classification there is.
func newClient(t *testing.T, h http.HandlerFunc) *apiclient.Client {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	base, err := apiclient.BaseURL(srv.URL+"/base", false)
	if err != nil {
		t.Fatal(err)
	}
	transport := apiclient.NewTransport()
	t.Cleanup(transport.CloseIdleConnections)
	return &apiclient.Client{
		Base: base, Transport: transport, UserAgent: "keyturn/test", RequestID: []string{"X-Id"},
		Classify: func(q apiclient.Request, r apiclient.Response, b apiclient.Budget) *apiclient.Error {
			if r.OK() {
				return nil
			}
			cause := apiclient.Permanent
			switch {
			case r.Status == http.StatusUnauthorized, r.Status == http.StatusForbidden:
				cause = apiclient.Denied
			case r.Status >= 500 || r.Status < 400:
				cause = apiclient.Transient
			}
			return &apiclient.Error{Op: q.Op, Status: r.Status, Cause: cause, RequestID: r.RequestID}
		},
	}
}

func mustCause(t *testing.T, err error, want apiclient.Cause) *apiclient.Error {
	t.Helper()
	e, ok := errors.AsType[*apiclient.Error](err)
	if !ok {
		t.Fatalf("error %v is no *Error", err)
	}
	if e.Cause != want {
		t.Fatalf("cause of %v is %v, want %v", err, e.Cause, want)
	}
	return e
}

func TestDoSendsWhatIsAsked(t *testing.T) {
	type seen struct{ line, kind, length, body string }
	got := make(chan seen, 1)
	c := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		if r.Header.Get("Accept") != "application/json" || r.Header.Get("User-Agent") != "keyturn/test" {
			t.Errorf("headers %v", r.Header)
		}
		got <- seen{r.Method + " " + r.RequestURI, r.Header.Get("Content-Type"), r.Header.Get("Content-Length"), string(b)}
		w.Header().Set("X-Id", "req 1")
		w.Header().Set("Set-Cookie", "sid=1")
		_, _ = io.WriteString(w, `{"a":1}`)
	})
	tests := []struct {
		q    apiclient.Request
		want seen
	}{
		{apiclient.Request{Path: []string{"a/b", "ü%", "x y"}}, seen{"GET /base/a%2Fb/%C3%BC%25/x%20y", "", "", ""}},
		{apiclient.Request{Path: []string{"u"}, Query: url.Values{"q": {`a eq "b&c"`}}}, seen{"GET /base/u?q=a+eq+%22b%26c%22", "", "", ""}},
		{apiclient.Request{Method: "POST", Path: []string{"p"}}, seen{"POST /base/p", "", "0", ""}},
		{apiclient.Request{Method: "PUT", Path: []string{"p"}}, seen{"PUT /base/p", "", "0", ""}},
		{apiclient.Request{Method: "DELETE", Path: []string{"p"}}, seen{"DELETE /base/p", "", "", ""}},
		{apiclient.Request{Method: "POST", Path: []string{"p"}, JSON: map[string]int{"n": 1}}, seen{"POST /base/p", "application/json", "7", `{"n":1}`}},
		{apiclient.Request{Method: "POST", Path: []string{"p"}, Form: url.Values{"n": {"1&"}}}, seen{"POST /base/p", "application/x-www-form-urlencoded", "6", "n=1%26"}},
	}
	for _, tt := range tests {
		tt.q.Op = "x.op"
		r, err := c.Do(t.Context(), tt.q)
		if err != nil {
			t.Fatal(err)
		}
		if g := <-got; g != tt.want {
			t.Errorf("sent %+v, want %+v", g, tt.want)
		}
		if r.RequestID != "req1" || r.Header.Get("Set-Cookie") != "" {
			t.Errorf("request id %q, cookie %q", r.RequestID, r.Header.Get("Set-Cookie"))
		}
	}
}

func TestDoRefusesPathsThatMeanSomethingElse(t *testing.T) {
	c := newClient(t, func(http.ResponseWriter, *http.Request) { t.Error("a call was made") })
	for _, id := range []string{"", ".", ".."} {
		_, err := c.Do(t.Context(), apiclient.Request{Op: "x.delete", Method: "DELETE", Path: []string{"clients", id}})
		mustCause(t, err, apiclient.Permanent)
	}
}

func TestDoRefusesRedirects(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("followed") }))
	defer other.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		c := newClient(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, status) })
		c.Auth = apiclient.FixedKey{Scheme: "SSWS", Value: secret.New("k")}
		_, err := c.Do(t.Context(), apiclient.Request{Op: "x.get", Path: []string{"p"}})
		mustCause(t, err, apiclient.Transient)
	}
}

func TestDoReadsBodiesToTheirEndOrNotAtAll(t *testing.T) {
	tests := map[string]struct {
		reply http.HandlerFunc
		want  error // nil = readable
	}{
		"ten megabytes": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `"`+strings.Repeat("x", apiclient.MaxBody-2)+`"`)
		}, nil},
		"more": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `"`+strings.Repeat("x", apiclient.MaxBody)+`"`)
		}, errors.New("reply of more than 10485760 bytes")},
		"cut off": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, `{"secret":"hunter2-mark`)
		}, io.ErrUnexpectedEOF},
		"a page": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = io.WriteString(w, `<html>hunter2-mark`)
		}, errors.New("an HTML page in place of a reply")},
		"no content of type page": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(http.StatusNoContent)
		}, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r, err := newClient(t, tt.reply).Do(t.Context(), apiclient.Request{Op: "x.get", Path: []string{"p"}})
			if tt.want == nil {
				if err != nil || r.Status/100 != 2 {
					t.Fatalf("%v, %v", r, err)
				}
				return
			}
			e := mustCause(t, err, apiclient.Transient)
			if e.Status != 200 || !strings.Contains(err.Error(), tt.want.Error()) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("error %v, want %v", err, tt.want)
			}
		})
	}
}

func TestDecodeNamesNoValue(t *testing.T) {
	bodies := []string{`{"id":{"hunter2-mark":1}}`, `{"at":"hunter2-mark"}`, `hunter2-mark`, `{"n":"hunter2-mark"}`, ``, `[1] hunter2-mark`}
	for _, body := range bodies {
		c := newClient(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, body)
		})
		r, err := c.Do(t.Context(), apiclient.Request{Op: "x.get", Path: []string{"p"}})
		if err != nil {
			t.Fatal(err)
		}
		var v struct {
			ID string
			At time.Time
			N  int
		}
		err = r.Decode(&v)
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: error %v", body, err)
		}
		if s := fmt.Sprintf("%v %+v %#v %s", r, r, r, []any{r}); strings.Contains(s, "hunter2") {
			t.Errorf("%s: printed %s", body, s)
		}
	}
}

func TestDoEndsInTime(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	c := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	c.Timeout = 20 * time.Millisecond
	_, err := c.Do(t.Context(), apiclient.Request{Op: "x.get", Path: []string{"p"}, Query: url.Values{"q": {"hunter2-mark"}}})
	mustCause(t, err, apiclient.Transient)
	if !errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("error %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = c.Do(ctx, apiclient.Request{Op: "x.get", Path: []string{"p"}})
	mustCause(t, err, apiclient.Transient)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// leakyTransport fails as an http.Client inside a transport would.
type leakyTransport struct{}

func (leakyTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	return nil, &url.Error{Op: "Get", URL: req.URL.String(), Err: io.EOF}
}

func TestDoStripsURLs(t *testing.T) {
	c := newClient(t, nil)
	c.Transport = leakyTransport{}
	_, err := c.Do(t.Context(), apiclient.Request{Op: "x.get", Path: []string{"p"}, Query: url.Values{"email": {"hunter2-mark"}}})
	mustCause(t, err, apiclient.Transient)
	if strings.Contains(err.Error(), "hunter2") || !errors.Is(err, io.EOF) {
		t.Errorf("error %v", err)
	}
}

// TestDoQuotesNoReplyThatIsNone: net/http quotes what it cannot read, and that may hold anything.
func TestDoQuotesNoReplyThatIsNone(t *testing.T) {
	for _, reply := range []string{
		"hunter2-mark HTTP\r\n\r\n", "HTTP/1.1 hunter2-mark\r\n\r\n", "HTTP/1.1 200 OK\r\nSet-Cookie hunter2-mark\r\n\r\n",
		"HTTP/1.1 200 OK\r\n hunter2-mark: 1\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: hunter2-mark\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: hunter2-mark\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nhunter2-mark\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n0\r\nX hunter2-mark\r\n\r\n",
	} {
		c := newClient(t, func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.WriteString(conn, reply)
			_ = conn.Close()
		})
		_, err := c.Do(t.Context(), apiclient.Request{Op: "x.get", Path: []string{"p"}})
		mustCause(t, err, apiclient.Transient)
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: error %v", reply, err)
		}
	}
}

// brokenAuth has no credential.
type brokenAuth struct{}

func (brokenAuth) Authorize(context.Context, *http.Request) error {
	return &apiclient.Error{Op: "x.token", Status: 401, Cause: apiclient.Denied}
}

func (brokenAuth) Refused(*http.Request, http.Header) bool { return false }

// recordingGate admits everything but what it is told to refuse.
type recordingGate struct {
	mu     sync.Mutex
	refuse error
	log    []string
}

func (g *recordingGate) Admit(_ context.Context, bucket string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.log = append(g.log, "admit "+bucket)
	return g.refuse
}

func (g *recordingGate) Learn(bucket string, b apiclient.Budget) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.log = append(g.log, fmt.Sprintf("learn %s %d%s", bucket, b.Remaining, map[bool]string{true: " failed"}[b.Failed]))
}

func TestGateIsAskedBeforeAndToldAfterEachCall(t *testing.T) {
	status := 200
	c := newClient(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
	g := &recordingGate{}
	c.Gate, c.Bucket = g, func(apiclient.Request) string { return "b" }
	c.Budget = func(r apiclient.Response) apiclient.Budget { return apiclient.Budget{Remaining: r.Status} }
	for _, status = range []int{200, 500, 403} {
		_, _ = c.Do(t.Context(), apiclient.Request{Op: "x.get", Path: []string{"p"}})
	}
	if got := strings.Join(g.log, ", "); got != "admit b, learn b 200, admit b, learn b 500 failed, admit b, learn b 403" {
		t.Errorf("gate saw %s", got)
	}
	g.log = nil
	c.Auth = brokenAuth{}
	_, err := c.Do(t.Context(), apiclient.Request{Op: "x.get", Path: []string{"p"}})
	if e := mustCause(t, err, apiclient.Denied); e.Op != "x.token" {
		t.Errorf("error %v", err)
	}
	c.Auth, c.Transport = nil, leakyTransport{}
	_, err = c.Do(t.Context(), apiclient.Request{Op: "x.get", Path: []string{"p"}})
	mustCause(t, err, apiclient.Transient)
	if got := strings.Join(g.log, ", "); got != "admit b, learn b -1, admit b, learn b -1 failed" {
		t.Errorf("gate saw %s", got)
	}
	g.log = nil
	gone, leave := context.WithCancel(t.Context())
	leave()
	_, err = c.Do(gone, apiclient.Request{Op: "x.get", Path: []string{"p"}})
	mustCause(t, err, apiclient.Transient)
	if got := strings.Join(g.log, ", "); got != "admit b, learn b -1" {
		t.Errorf("of a call that its caller took back the gate saw %s", got)
	}
	g.refuse = &apiclient.Error{Cause: apiclient.Later, RetryAfter: time.Minute, Err: errors.New("budget spent")}
	_, err = c.Do(t.Context(), apiclient.Request{Op: "x.get", Path: []string{"p"}})
	if e := mustCause(t, err, apiclient.Later); e.Op != "x.get" || e.RetryAfter != time.Minute {
		t.Errorf("error %+v", e)
	}
	g.refuse = context.Canceled
	_, err = c.Do(t.Context(), apiclient.Request{Op: "x.get", Path: []string{"p"}})
	if mustCause(t, err, apiclient.Transient); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestBaseURL(t *testing.T) {
	for s, want := range map[string]string{
		"https://acme.example/": "https://acme.example", "https://acme.example/cis/": "https://acme.example/cis",
		"http://127.0.0.1:8080": "http://127.0.0.1:8080", "http://localhost/x": "http://localhost/x", "http://[::1]:1": "http://[::1]:1",
	} {
		if u, err := apiclient.BaseURL(s, false); err != nil || u.String() != want {
			t.Errorf("BaseURL(%q) = %v, %v", s, u, err)
		}
	}
	for _, s := range []string{
		"", "acme.example", "http://acme.example", "ftp://acme.example", "https://u:p@acme.example",
		"https://acme.example?x=1", "https://acme.example#x", "https:acme.example", "https://%zz",
	} {
		if u, err := apiclient.BaseURL(s, false); err == nil {
			t.Errorf("BaseURL(%q) = %v", s, u)
		}
	}
	if _, err := apiclient.BaseURL("http://okta.sandbox", true); err != nil {
		t.Error(err)
	}
}
