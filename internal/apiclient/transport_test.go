package apiclient_test

import (
	"crypto/tls"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"keyturn/internal/apiclient"
	"keyturn/internal/secret"
)

// handlerTransport answers by a handler in the same process, without a socket.
type handlerTransport struct{ handler http.HandlerFunc }

func (h handlerTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	in := req.Clone(req.Context())
	in.RequestURI, in.Host = req.URL.RequestURI(), req.URL.Host
	h.handler(w, in)
	return w.Result(), nil
}

// inProcess makes a client of a handler in the same process.
func inProcess(transport http.RoundTripper) *apiclient.Client {
	return &apiclient.Client{
		Base: &url.URL{Scheme: "http", Host: "api.example", Path: "/base"}, Transport: transport, UserAgent: "keyturn/test",
		Classify: func(q apiclient.Request, r apiclient.Response, _ apiclient.Budget) *apiclient.Error {
			if r.OK() {
				return nil
			}
			return &apiclient.Error{Op: q.Op, Status: r.Status, Cause: apiclient.Permanent}
		},
	}
}

// TestTransport speaks HTTP/2 over a modern TLS, and nothing over an old one.
func TestTransport(t *testing.T) {
	for version, works := range map[uint16]bool{tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		srv := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if r.ProtoMajor != 2 {
				t.Errorf("protocol %s", r.Proto)
			}
		}))
		srv.EnableHTTP2 = true
		srv.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: version}
		srv.Config.ErrorLog = log.New(io.Discard, "", 0)
		srv.StartTLS()
		transport := apiclient.NewTransport()
		transport.TLSClientConfig.RootCAs = srv.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
		c := inProcess(transport)
		c.Base, _ = apiclient.BaseURL(srv.URL, false)
		_, err := c.Do(t.Context(), apiclient.Request{Op: "x.get", Path: []string{"p"}})
		if works && err != nil {
			t.Errorf("TLS %x: %v", version, err)
		}
		if !works {
			mustCause(t, err, apiclient.Transient)
		}
		transport.CloseIdleConnections()
		srv.Close()
	}
	if p := apiclient.NewTransport().HTTP2; p == nil || p.SendPingTimeout <= 0 || p.PingTimeout <= 0 {
		t.Error("no pings: a dead connection would stall every call")
	}
}

// endless is a reply's body that says only when it is asked once more that it is over.
type endless struct {
	io.Reader
	ended bool
}

func (e *endless) Read(p []byte) (int, error) {
	n, err := e.Reader.Read(p)
	e.ended = e.ended || err == io.EOF
	return n, err
}

func (*endless) Close() error { return nil }

// RoundTrip answers with the body, of which two bytes are announced.
func (e *endless) RoundTrip(req *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: e, ContentLength: 2, Request: req}, nil
}

// TestAReplyIsReadToItsEnd also where its length is known: HTTP/2 resets a stream whose end was not read, and servers take
// many resets for an attack.
func TestAReplyIsReadToItsEnd(t *testing.T) {
	for body, works := range map[string]bool{"{}": true, "{": false, "{} ": false, "": false} {
		e := &endless{Reader: iotest.OneByteReader(strings.NewReader(body))}
		var v struct{}
		r, err := inProcess(e).Do(t.Context(), apiclient.Request{Op: "x.get", Path: []string{"p"}})
		switch {
		case !works:
			mustCause(t, err, apiclient.Transient)
		case err != nil || r.Decode(&v) != nil || !e.ended:
			t.Errorf("%q: %v, %v; read to its end: %t", body, r, err, e.ended)
		}
	}
}

// answer is what the benchmarks are answered with: a token as Okta lists it.
const answer = `{"id":"oar1","status":"ACTIVE","clientId":"0oa1","userId":"00u1","scopes":["offline_access"],"created":"2025-11-21T10:00:00.000Z"}`

func benchmarkServer(b *testing.B) *httptest.Server {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, answer)
	}))
	b.Cleanup(srv.Close)
	return srv
}

// doCall and bareCall make the same call, with the client and with a bare http.Client.
func doCall(b *testing.B) func() {
	srv := benchmarkServer(b)
	c := inProcess(apiclient.NewTransport())
	c.Base, _ = apiclient.BaseURL(srv.URL, false)
	c.Auth = apiclient.FixedKey{Scheme: "SSWS", Value: secret.New("k")}
	q := apiclient.Request{Op: "x.get", Path: []string{"api", "v1", "users", "00u1"}, Query: url.Values{"limit": {"200"}}}
	return func() {
		var v struct{ ID string }
		r, err := c.Do(b.Context(), q)
		if err != nil || r.Decode(&v) != nil || v.ID != "oar1" {
			b.Fatal(err)
		}
	}
}

func bareCall(b *testing.B) func() {
	srv := benchmarkServer(b)
	client := &http.Client{Transport: apiclient.NewTransport()}
	return func() {
		req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, srv.URL+"/api/v1/users/00u1?limit=200", nil)
		if err != nil {
			b.Fatal(err)
		}
		req.Header.Set("Authorization", "SSWS k")
		res, err := client.Do(req)
		if err != nil {
			b.Fatal(err)
		}
		var v struct{ ID string }
		body, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil || json.Unmarshal(body, &v) != nil || v.ID != "oar1" {
			b.Fatal(err)
		}
	}
}

// BenchmarkCall tells calls a second and allocations a call, of the client and of a bare one.
func BenchmarkCall(b *testing.B) {
	for name, prepare := range map[string]func(*testing.B) func(){"client": doCall, "bare": bareCall} {
		b.Run(name, func(b *testing.B) {
			call := prepare(b)
			b.ReportAllocs()
			for b.Loop() {
				call()
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
		})
	}
}

// BenchmarkShare makes both calls in turn, so that whatever else the machine does meets both alike, and tells which
// share of a bare client's calls a second the client reaches. It is to be 0.7 at least.
func BenchmarkShare(b *testing.B) {
	do, bare := doCall(b), bareCall(b)
	var took [2]time.Duration
	for b.Loop() {
		for i, call := range []func(){do, bare} {
			began := time.Now()
			call()
			took[i] += time.Since(began)
		}
	}
	b.ReportMetric(took[1].Seconds()/took[0].Seconds(), "share")
}
