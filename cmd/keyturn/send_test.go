package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"keyturn/internal/config"
	"keyturn/internal/ingest"
)

// What proves a sender may stand in the address of its requests. It is in no error, and follows no redirect.
func TestSendKeepsItsProof(t *testing.T) {
	const token = "a-token-of-sixteen-bytes-or-more"
	var carried atomic.Bool
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		carried.Store(true)
		w.WriteHeader(http.StatusAccepted)
		_, _ = w.Write([]byte(`{"cases":[]}`))
	}))
	defer elsewhere.Close()
	leads := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	defer leads.Close()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()

	dir := t.TempDir()
	t.Setenv("SEND_TOKEN", token)
	sources := `sources:
  path: {preset: cloudevents, verify: {url_token: {segment: true, values: ["${env:SEND_TOKEN}"]}}}
  query: {preset: cloudevents, verify: {url_token: {query: token, values: ["${env:SEND_TOKEN}"]}}}
  header: {preset: cloudevents, verify: {header_token: {header: X-Token, values: ["${env:SEND_TOKEN}"]}}}
`
	if err := os.WriteFile(filepath.Join(dir, config.SourcesFile), []byte(sources), 0o600); err != nil {
		t.Fatal(err)
	}
	list, err := config.ReadSources(dir, config.Resolver{})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range list {
		for _, url := range []string{gone.URL, leads.URL} {
			a := &app{out: &bytes.Buffer{}, err: &bytes.Buffer{}, now: time.Now}
			_, err := a.post(t.Context(), ingest.Configured(s), delivery{url: url, timeout: time.Minute}, posted{body: []byte("{}")})
			if err == nil || strings.Contains(err.Error(), token) {
				t.Errorf("%s at %s: %v", s.Name, url, err)
			}
		}
	}
	if carried.Load() {
		t.Error("what was signed for the intake was carried elsewhere")
	}
}
