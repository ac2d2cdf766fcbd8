package okta_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"keyturn/internal/apiclient"
	"keyturn/internal/apiclient/okta"
	"keyturn/internal/secret"
)

const (
	date  = "Fri, 21 Nov 2025 10:00:00 GMT"
	epoch = 1763719200
	mark  = "hunter2-mark" // stands in credentials and bodies, and must stand in no error
)

// canned is one reply.
type canned struct {
	status int
	header map[string]string
	body   string
}

// fault gives Okta's error object, in the recorded shape.
func fault(status int, code string) canned {
	return canned{status, map[string]string{"Content-Type": "application/json"}, fmt.Sprintf(
		`{"errorCode":%q,"errorSummary":"Not found: %s (User)","errorLink":%q,"errorId":"oae1","errorCauses":[{"errorSummary":%q}]}`,
		code, mark, code, mark)}
}

func (c canned) with(kv ...string) canned {
	h := map[string]string{}
	for k, v := range c.header {
		h[k] = v
	}
	for i := 0; i < len(kv); i += 2 {
		h[kv[i]] = kv[i+1]
	}
	c.header = h
	return c
}

func (c canned) write(w http.ResponseWriter) {
	w.Header().Set("Date", date)
	w.Header().Set("X-Okta-Request-Id", "req-1")
	w.Header().Set("X-Rate-Limit-Limit", "600")
	w.Header().Set("X-Rate-Limit-Remaining", "599")
	w.Header().Set("X-Rate-Limit-Reset", fmt.Sprint(epoch+48))
	for k, v := range c.header {
		if w.Header().Del(k); v != "" {
			w.Header().Set(k, v)
		}
	}
	w.WriteHeader(c.status)
	_, _ = io.WriteString(w, c.body)
}

// roundTrip answers by a function, without a socket.
type roundTrip func(*http.Request) canned

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) {
	pr, pw := io.Pipe()
	w := &pipeWriter{header: http.Header{}, body: pw, ready: make(chan int, 1)}
	go func() { f(r).write(w); _ = pw.Close() }()
	return &http.Response{StatusCode: <-w.ready, Header: w.header, Body: pr, Request: r}, nil
}

type pipeWriter struct {
	header http.Header
	body   *io.PipeWriter
	ready  chan int
}

func (w *pipeWriter) Header() http.Header         { return w.header }
func (w *pipeWriter) WriteHeader(status int)      { w.ready <- status }
func (w *pipeWriter) Write(b []byte) (int, error) { return w.body.Write(b) }

func newClient(t *testing.T, transport http.RoundTripper) *okta.Client {
	t.Helper()
	c, err := okta.New(okta.Options{
		BaseURL: "https://acme.okta.example", SSWS: secret.New(mark),
		Wiring: apiclient.Wiring{Transport: transport, Rand: func() float64 { return 0.5 }},
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// isProbe tells the probes from the call under test.
func isProbe(r *http.Request) bool { return r.FormValue("limit") == "1" }

const (
	page    = `<html><title>Attention ` + mark + `</title>`
	none    = apiclient.Cause(99) // no error
	hundred = 100 * time.Second
)

func TestClassification(t *testing.T) {
	html := map[string]string{"Content-Type": "text/html"}
	tests := map[string]struct {
		call      string // get, list (authorization servers), delete, post
		reply     canned
		want      apiclient.Cause
		wait      time.Duration
		code      string
		status    int // 0 = the reply's
		noServers bool
	}{
		"204":                           {call: "delete", reply: canned{status: 204}, want: none},
		"200 in place of 204":           {call: "delete", reply: canned{status: 200, body: "{}"}, want: none},
		"202":                           {call: "post", reply: canned{status: 202}, want: none},
		"unreadable 200":                {call: "get", reply: canned{status: 200, body: mark}, want: apiclient.Transient, status: 200},
		"empty 200":                     {call: "get", reply: canned{status: 200}, want: apiclient.Transient, status: 200},
		"object without id":             {call: "get", reply: canned{status: 200, body: `{"status":"ACTIVE"}`}, want: apiclient.Transient, status: 200},
		"null for a list":               {call: "list", reply: canned{status: 200, body: `null`}, want: apiclient.Transient, status: 200},
		"object for a list":             {call: "list", reply: canned{status: 200, body: `{}`}, want: apiclient.Transient, status: 200},
		"page for an effect":            {call: "delete", reply: canned{200, html, page}, want: apiclient.Transient, status: 200},
		"text for an effect":            {call: "delete", reply: canned{status: 200, body: mark}, want: apiclient.Transient, status: 200},
		"error object for an effect":    {call: "delete", reply: fault(200, "E0000006"), want: apiclient.Transient, code: "E0000006", status: 200},
		"error object for a read":       {call: "get", reply: fault(200, "E0000006"), want: apiclient.Transient, status: 200},
		"redirect":                      {call: "get", reply: canned{status: 302}, want: apiclient.Transient},
		"400 E0000001 on a change":      {call: "post", reply: fault(400, "E0000001"), want: apiclient.AlreadyDone, code: "E0000001"},
		"400 E0000001 on a read":        {call: "get", reply: fault(400, "E0000001"), want: apiclient.Permanent, code: "E0000001"},
		"400 E0000003":                  {call: "post", reply: fault(400, "E0000003"), want: apiclient.Permanent, code: "E0000003"},
		"400 E0000028":                  {call: "post", reply: fault(400, "E0000028"), want: apiclient.Permanent, code: "E0000028"},
		"400 E0000031 on page one":      {call: "list", reply: fault(400, "E0000031"), want: apiclient.Permanent, code: "E0000031"},
		"401 E0000011, probe fine":      {call: "get", reply: fault(401, "E0000011"), want: apiclient.Permanent, code: "E0000011"},
		"401 E0000004, probe fine":      {call: "get", reply: fault(401, "E0000004"), want: apiclient.Permanent, code: "E0000004"},
		"401 E0000015 on servers":       {call: "list", reply: fault(401, "E0000015"), want: apiclient.Permanent, code: "E0000015", noServers: true},
		"401 E0000015 elsewhere":        {call: "get", reply: fault(401, "E0000015"), want: apiclient.Permanent, code: "E0000015"},
		"403 E0000006, probe fine":      {call: "delete", reply: fault(403, "E0000006"), want: apiclient.Permanent, code: "E0000006"},
		"403 E0000005, probe fine":      {call: "delete", reply: fault(403, "E0000005"), want: apiclient.Permanent, code: "E0000005"},
		"403 empty, probe fine":         {call: "delete", reply: canned{status: 403}, want: apiclient.Permanent},
		"403 E0000038 on a change":      {call: "post", reply: fault(403, "E0000038"), want: apiclient.AlreadyDone, code: "E0000038"},
		"403 E0000038 on a read":        {call: "get", reply: fault(403, "E0000038"), want: apiclient.Permanent, code: "E0000038"},
		"403 page of a firewall":        {call: "delete", reply: canned{403, html, page}, want: apiclient.Transient, status: -1},
		"404 E0000007 on a change":      {call: "delete", reply: fault(404, "E0000007"), want: apiclient.AlreadyDone, code: "E0000007"},
		"404 E0000007 on a read":        {call: "get", reply: fault(404, "E0000007"), want: apiclient.Permanent, code: "E0000007"},
		"404 E0000008 on a change":      {call: "delete", reply: fault(404, "E0000008"), want: apiclient.Permanent, code: "E0000008"},
		"404 page of a proxy":           {call: "delete", reply: canned{404, html, page}, want: apiclient.Transient, status: -1},
		"404 of nobody":                 {call: "get", reply: canned{status: 404}, want: apiclient.Transient, status: -1},
		"404 of another API":            {call: "get", reply: canned{status: 404, body: `{"error":"` + mark + `"}`}, want: apiclient.Transient, status: -1},
		"405 E0000022":                  {call: "delete", reply: fault(405, "E0000022"), want: apiclient.Permanent, code: "E0000022"},
		"408":                           {call: "delete", reply: canned{status: 408}, want: apiclient.Transient},
		"409 E0000112":                  {call: "post", reply: fault(409, "E0000112"), want: apiclient.Transient, code: "E0000112"},
		"409 E0000195":                  {call: "post", reply: fault(409, "E0000195"), want: apiclient.Transient, code: "E0000195"},
		"409 other":                     {call: "post", reply: fault(409, "E0000157"), want: apiclient.Permanent, code: "E0000157"},
		"410 E0000156":                  {call: "delete", reply: fault(410, "E0000156"), want: apiclient.AlreadyDone, code: "E0000156"},
		"410 E0000153":                  {call: "delete", reply: fault(410, "E0000153"), want: apiclient.AlreadyDone, code: "E0000153"},
		"410 E0000215":                  {call: "delete", reply: fault(410, "E0000215"), want: apiclient.Permanent, code: "E0000215"},
		"411":                           {call: "post", reply: canned{status: 411}, want: apiclient.Permanent},
		"423 E0000239":                  {call: "delete", reply: fault(423, "E0000239"), want: apiclient.Transient, code: "E0000239"},
		"500 E0000009":                  {call: "delete", reply: fault(500, "E0000009"), want: apiclient.Transient, code: "E0000009"},
		"502 page":                      {call: "get", reply: canned{502, html, page}, want: apiclient.Transient},
		"503 E0000010":                  {call: "get", reply: fault(503, "E0000010"), want: apiclient.Transient, code: "E0000010"},
		"503 with Retry-After":          {call: "get", reply: fault(503, "E0000010").with("Retry-After", "30"), want: apiclient.Later, wait: 30 * time.Second, code: "E0000010"},
		"504 E0000067":                  {call: "get", reply: fault(504, "E0000067"), want: apiclient.Transient, code: "E0000067"},
		"429":                           {call: "get", reply: fault(429, "E0000047").with("X-Rate-Limit-Remaining", "0"), want: apiclient.Later, wait: 49*time.Second + 500*time.Millisecond, code: "E0000047"},
		"429 of a reply under way long": {call: "get", reply: fault(429, "E0000047").with("X-Rate-Limit-Reset", fmt.Sprint(epoch-60)), want: apiclient.Later, wait: 1500 * time.Millisecond, code: "E0000047"},
		"429 with a far reset":          {call: "get", reply: fault(429, "E0000047").with("X-Rate-Limit-Reset", "9999999999"), want: apiclient.Later, wait: 90*time.Second + 500*time.Millisecond, code: "E0000047"},
		"429 without Date":              {call: "get", reply: fault(429, "E0000047").with("Date", ""), want: apiclient.Later, wait: 7500 * time.Millisecond, code: "E0000047"},
		"429 of the edge":               {call: "get", reply: canned{429, html, page}.with("X-Rate-Limit-Limit", "", "X-Rate-Limit-Remaining", "", "X-Rate-Limit-Reset", "", "Retry-After", "100"), want: apiclient.Later, wait: hundred},
		"429 of concurrency":            {call: "get", reply: fault(429, "E0000047").with("X-Rate-Limit-Limit", "0", "X-Rate-Limit-Remaining", "0"), want: apiclient.Later, wait: 2 * time.Second, code: "E0000047"},
		"unknown code":                  {call: "post", reply: fault(422, "E9999999"), want: apiclient.Permanent, code: "E9999999"},
		"code that is none":             {call: "post", reply: fault(422, mark), want: apiclient.Permanent},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := newClient(t, roundTrip(func(r *http.Request) canned {
				if isProbe(r) {
					return canned{status: 200, body: "[]"}
				}
				return tt.reply
			}))
			err := call(t, c, tt.call)
			if tt.want == none {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			e, ok := errors.AsType[*apiclient.Error](err)
			if !ok || e.Cause != tt.want || e.RetryAfter != tt.wait || e.Code != tt.code || e.RequestID != "req-1" {
				t.Fatalf("error %+v, want %v %v %q", err, tt.want, tt.wait, tt.code)
			}
			if want := max(tt.status, 0); tt.status != 0 && e.Status != want || tt.status == 0 && e.Status != tt.reply.status {
				t.Errorf("status %d", e.Status)
			}
			if errors.Is(err, okta.ErrNoAuthServers) != tt.noServers {
				t.Errorf("no authorization servers: %v", !tt.noServers)
			}
			if strings.Contains(err.Error(), mark) {
				t.Errorf("the mark stands in %v", err)
			}
		})
	}
}

// call makes a read, a listing, a delete or a lifecycle change.
func call(t *testing.T, c *okta.Client, kind string) (err error) {
	t.Helper()
	switch kind {
	case "get":
		_, err = c.GetUser(t.Context(), "00u1")
	case "list":
		_, err = apiclient.Collect(c.ListAuthServers(t.Context()))
	case "delete":
		_, err = c.RevokeUserTokens(t.Context(), "00u1", "0oa1")
	case "post":
		_, err = c.SuspendUser(t.Context(), "00u1")
	}
	return err
}

func TestProbeFollowsTheScope(t *testing.T) {
	tests := map[string]struct {
		call           func(c *okta.Client) error
		users, servers canned
		want           apiclient.Cause
	}{
		"target forbidden": {func(c *okta.Client) error { return call(t, c, "delete") },
			canned{status: 200, body: "[]"}, fault(403, "E0000006"), apiclient.Permanent},
		"credential refused": {func(c *okta.Client) error { return call(t, c, "delete") },
			fault(401, "E0000011"), canned{status: 200, body: "[]"}, apiclient.Denied},
		"scope of servers missing": {func(c *okta.Client) error {
			_, err := c.RevokeAuthServerToken(t.Context(), "default", "0oa1", "oar1")
			return err
		},
			canned{status: 200, body: "[]"}, fault(403, "E0000006"), apiclient.Denied},
		"no servers in the org": {func(c *okta.Client) error {
			_, err := c.RevokeAuthServerToken(t.Context(), "default", "0oa1", "oar1")
			return err
		},
			canned{status: 200, body: "[]"}, fault(401, "E0000015"), apiclient.Permanent},
		"nobody knows": {func(c *okta.Client) error { return call(t, c, "delete") },
			fault(500, "E0000009"), canned{status: 200, body: "[]"}, apiclient.Transient},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := newClient(t, roundTrip(func(r *http.Request) canned {
				switch {
				case !isProbe(r):
					return fault(403, "E0000006")
				case strings.HasSuffix(r.URL.Path, "/users"):
					return tt.users
				default:
					return tt.servers
				}
			}))
			if err := tt.call(c); apiclient.CauseOf(err) != tt.want || err == nil {
				t.Errorf("error %v, want %v", err, tt.want)
			}
		})
	}
}

func TestProbe(t *testing.T) {
	reply := canned{status: 200, body: "[]"}
	c := newClient(t, roundTrip(func(r *http.Request) canned {
		if r.Method != "GET" || r.URL.String() != "https://acme.okta.example/api/v1/users?limit=1" {
			t.Errorf("%s %s", r.Method, r.URL)
		}
		return reply
	}))
	if err := c.Probe(t.Context()); err != nil {
		t.Error(err)
	}
	reply = fault(401, "E0000011")
	if err := c.Probe(t.Context()); apiclient.CauseOf(err) != apiclient.Denied {
		t.Error(err)
	}
}

func FuzzErrorBody(f *testing.F) {
	f.Add(404, `{"errorCode":"E0000007","errorSummary":"x","errorCauses":[]}`)
	f.Add(400, `{"errorCode":"E0000001"}`)
	f.Add(404, `{"errorCode":7}`)
	f.Add(429, `<html>`)
	f.Fuzz(func(t *testing.T, status int, body string) {
		if status < 200 || status > 599 {
			return
		}
		c := newClient(t, roundTrip(func(r *http.Request) canned {
			if isProbe(r) {
				return canned{status: 200, body: "[]"}
			}
			return canned{status: status, body: body}
		}))
		_, err := c.SuspendUser(t.Context(), "00u1")
		e, ok := errors.AsType[*apiclient.Error](err)
		if err != nil && (!ok || len(err.Error()) > 300) {
			t.Errorf("error %v", err)
		}
		if ok && e.Cause == apiclient.AlreadyDone && !strings.HasPrefix(e.Code, "E0000") {
			t.Errorf("%d %q passes for done", status, body)
		}
	})
}
