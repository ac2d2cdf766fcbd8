package worker

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"keyturn/internal/actions"
	"keyturn/internal/apiclient"
	"keyturn/internal/config"
	"keyturn/internal/reads"
	"keyturn/internal/sandbox"
	"keyturn/internal/secret"
	"keyturn/internal/stream"
)

// heard is a gate that keeps what it learned last.
type heard struct{ said apiclient.Budget }

func (h *heard) Admit(context.Context, string) error             { return nil }
func (h *heard) Learn(_ string, said apiclient.Budget)           { h.said = said }
func (f trip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// trip is a network.
type trip func(*http.Request) (*http.Response, error)

// everywhere is one connection of each provider at an address.
func everywhere(t *testing.T, url string, network http.RoundTripper) map[string]actions.Clients {
	t.Helper()
	all := map[string]actions.Clients{}
	for _, c := range (config.Connections{
		{Name: "okta-prod", Provider: config.ProviderOkta, BaseURL: url, Auth: config.Auth{SSWS: &config.SSWS{Token: secret.New("sample")}}},
		{Name: "asa-prod", Provider: config.ProviderASA, BaseURL: url, Team: "acme",
			Auth: config.Auth{ServiceUser: &config.ServiceUser{KeyID: "key", KeySecret: secret.New("sample")}}},
		{Name: "mosaic-prod", Provider: config.ProviderTransmit, BaseURL: url, TokenURL: url + "/token",
			Auth: config.Auth{ClientCredentials: &config.ClientCredentials{ClientID: "app", ClientSecret: secret.New("sample")}}},
	}) {
		made, err := clients(c, apiclient.Wiring{Transport: network})
		if err != nil {
			t.Fatal(err)
		}
		all[c.Name] = made
	}
	return all
}

// answering is a server that gives every call the same answer.
func answering(t *testing.T, status int, body string, header ...string) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

// TestWhatAnOutageIs: a call and the probe of every client see it alike, and the lane hears of it.
func TestWhatAnOutageIs(t *testing.T) {
	untrusted := httptest.NewUnstartedServer(http.NotFoundHandler())
	untrusted.Config.ErrorLog = log.New(io.Discard, "", 0)
	untrusted.StartTLS()
	t.Cleanup(untrusted.Close)
	cut := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	t.Cleanup(cut.Close)
	failing := func(err error) trip { return func(*http.Request) (*http.Response, error) { return nil, err } }
	const nowhere = "https://acme.example"
	for name, c := range map[string]struct {
		url     string
		network http.RoundTripper
		up      bool
	}{
		"no address":    {url: nowhere, network: failing(&net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "acme.example"}})},
		"refused":       {url: "http://127.0.0.1:1"},
		"untrusted":     {url: untrusted.URL},
		"cut off":       {url: cut.URL},
		"no reply":      {url: nowhere, network: failing(os.ErrDeadlineExceeded)},
		"500":           {url: answering(t, 500, `{"errorCode":"E0000009"}`)},
		"502 by a page": {url: answering(t, 502, "<html>", "Content-Type", "text/html")},
		"503":           {url: answering(t, 503, "")},
		"a page":        {url: answering(t, 200, "<html>", "Content-Type", "text/html")},
		"429":           {url: answering(t, 429, ""), up: true},
		"come again":    {url: answering(t, 503, "", "Retry-After", "7"), up: true},
		"401":           {url: answering(t, 401, `{"errorCode":"E0000011"}`), up: true},
		"400":           {url: answering(t, 400, `{"errorCode":"E0000003"}`), up: true},
	} {
		t.Run(name, func(t *testing.T) {
			for connection, made := range everywhere(t, c.url, c.network) {
				var h heard
				err := probe(gated(made, &h))(t.Context())
				if failed := apiclient.CauseOf(err) == apiclient.Transient; err == nil || failed == c.up || h.said.Failed == c.up {
					t.Errorf("%s: %v, the lane hears that it failed: %v", connection, err, h.said.Failed)
				}
				if err != nil && strings.Contains(err.Error(), "sample") {
					t.Errorf("%s: it shows the credential: %v", connection, err)
				}
			}
		})
	}
}

// TestAnOutageIsShown in `keyturn lanes`, in the metrics, in the log and in /readyz, with its reason; and nobody who asks is
// told that the credential is refused.
func TestAnOutageIsShown(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	away := s.connections()[2]
	away.BaseURL, away.TokenURL = "http://127.0.0.1:1", "http://127.0.0.1:1/token"
	var w *Worker
	reg := prometheus.NewRegistry()
	s.work("worker-1", config.Connections{away}, nil, func(made *Worker) {
		w = made
		w.gauges = &gauges{worker: w}
		reg.MustRegister(w.gauges)
	})
	var told reads.Lane
	for end := time.Now().Add(30 * time.Second); told.Standing != reads.Open; time.Sleep(5 * time.Millisecond) {
		var said *stream.ReadError
		if _, err := s.get(away.Name, reads.Query{Resource: "clients"}); !errors.As(err, &said) || said.Code != stream.ReadCode(reads.Unreachable) {
			t.Fatalf("a read: %v", err)
		}
		if err := s.asked(stream.ReadLane, away.Name, nil, func(page []byte) error { return json.Unmarshal(page, &told) }); err != nil || time.Now().After(end) {
			t.Fatalf("%+v, %v", told, err)
		}
	}
	if told.Fault != "unreachable" || !strings.Contains(told.Why, "refused") || told.Stopped.IsZero() {
		t.Errorf("the lane says %+v", told)
	}
	if got := samples(t, reg); got["keyturn_lane_breaker_open{connection=mosaic-prod,fault=unreachable}"] != 1 ||
		got["keyturn_lane_breaker_open{connection=mosaic-prod,fault=refused}"] != 0 || got["keyturn_lane_state{connection=mosaic-prod,state=open}"] != 1 {
		t.Errorf("metrics %v", got)
	}
	if log := s.log.String(); !strings.Contains(log, `alert="breaker open" fault=unreachable`) {
		t.Error("no alert in the log")
	}
	for _, c := range w.Checks() {
		if err := c.Run(t.Context()); strings.HasPrefix(c.Name, "lane ") && (err == nil || !strings.Contains(err.Error(), "provider not reachable since")) {
			t.Errorf("/readyz says %v", err)
		}
	}
}
