package ingest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"keyturn/internal/events"
	"keyturn/internal/secret"
)

// The secrets of the sample sources. They are sample data.
const (
	sampleSecret  = "whsec_c2FtcGxlLXNlY3JldC1vZi1hY21lLWV4YW1wbGU="
	sampleSecret2 = "whsec_YW5vdGhlci1zZWNyZXQtb2YtYWNtZS1leGFtcGxl"
	sampleText    = "a-shared-text-of-acme-example"
)

// hrSpec is a source signed by Standard Webhooks.
func hrSpec() SourceSpec {
	return SourceSpec{Name: "hr-relay", Preset: "cloudevents", Verify: VerifySpec{
		StandardWebhooks: &StandardWebhooksSpec{Secrets: []secret.Value{secret.New(sampleSecret)}},
	}}
}

// siemSpec is a source signed by an HMAC with a timestamp.
func siemSpec() SourceSpec {
	return SourceSpec{Name: "siem", Preset: "cloudevents", Verify: VerifySpec{
		HMAC: &HMACSpec{Signature: SignatureSpec{Header: "X-Signature", Prefix: "sha256="}, Timestamp: TimestampSpec{Header: "X-Timestamp"}, Secrets: []secret.Value{secret.New(sampleText)}},
	}}
}

// store is a Publisher that keeps what it is given, or fails as told.
type store struct {
	mu     sync.Mutex
	events []events.Event
	faults []events.Fault
	fail   func(n int) error         // called with the number of events stored so far, before each one
	before func(ctx context.Context) // called first
}

func (s *store) PublishEvents(ctx context.Context, list []events.Event) error {
	if s.before != nil {
		s.before(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range list {
		if s.fail != nil {
			if err := s.fail(len(s.events)); err != nil {
				return err
			}
		}
		s.events = append(s.events, e)
	}
	return nil
}

func (s *store) PublishFault(_ context.Context, f events.Fault) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, f)
	return nil
}

func (s *store) stored() []events.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]events.Event(nil), s.events...)
}

// face is a running public listener.
type face struct {
	t      testing.TB
	store  *store
	url    string
	logs   *bytes.Buffer
	reg    *prometheus.Registry
	handle *Handler
}

// open serves the sources on the loopback, behind a real HTTP server.
func open(t testing.TB, o Options, specs ...SourceSpec) *face {
	t.Helper()
	f := &face{t: t, store: &store{}, logs: &bytes.Buffer{}, reg: prometheus.NewRegistry()}
	for _, spec := range specs {
		s, err := NewSource(spec)
		if err != nil {
			t.Fatal(err)
		}
		o.Sources = append(o.Sources, s)
	}
	if o.Publisher == nil {
		o.Publisher = f.store
	}
	o.Log = slog.New(slog.NewJSONHandler(&lockedWriter{w: f.logs}, nil))
	o.Metrics = f.reg
	var err error
	if f.handle, err = NewHandler(o); err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(f.handle)
	t.Cleanup(srv.Close)
	f.url = srv.URL
	return f
}

type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

// request makes a signed request to a source.
func (f *face) request(spec SourceSpec, contentType, body string, headers ...string) *http.Request {
	f.t.Helper()
	req, err := http.NewRequest(http.MethodPost, f.url+"/hooks/"+spec.Name, strings.NewReader(body))
	if err != nil {
		f.t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	if err := Sign(spec, req, []byte(body), "msg-1", time.Now()); err != nil {
		f.t.Fatal(err)
	}
	return req
}

// plain makes a request to a source that nobody signed.
func (f *face) plain(source, body string) *http.Request {
	f.t.Helper()
	req, err := http.NewRequest(http.MethodPost, f.url+"/hooks/"+source, strings.NewReader(body))
	if err != nil {
		f.t.Fatal(err)
	}
	return req
}

// reply is what came back.
type reply struct {
	status int
	header http.Header
	body   string
	Cases  []string  `json:"cases"`
	Fault  string    `json:"fault"`
	Errors []Problem `json:"errors"`
}

func (f *face) do(req *http.Request) reply {
	f.t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		f.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	r := reply{status: resp.StatusCode, header: resp.Header, body: string(body)}
	if kind := resp.Header.Get("Content-Type"); len(body) == 0 || strings.HasPrefix(kind, "text/") {
		return r
	}
	if err := json.Unmarshal(body, &r); err != nil || !bytes.HasSuffix(body, []byte("}\n")) {
		f.t.Fatalf("answer is not a line of JSON: %q", body)
	}
	return r
}

func (f *face) post(spec SourceSpec, contentType, body string, headers ...string) reply {
	f.t.Helper()
	return f.do(f.request(spec, contentType, body, headers...))
}

// terminated is a structured user.terminated event.
func terminated(id, email string) string {
	return fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":"https://hr.acme.example/prod","type":"dev.keyturn.user.terminated.v1",`+
		`"time":"2026-11-20T10:00:00Z","data":{"user":{"email":%q}}}`, id, email)
}
