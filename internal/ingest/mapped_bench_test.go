package ingest

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"keyturn/internal/config"
	"keyturn/internal/events"
	"keyturn/internal/ingest/presets"
)

// configuredSource is the source of a text of sources.yaml.
func configuredSource(t testing.TB, text string) SourceSpec {
	t.Helper()
	refs := config.Resolver{
		LookupEnv: func(string) (string, bool) { return "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY4", true },
		ReadFile:  func(string) ([]byte, error) { return []byte(text), nil },
	}
	list, err := config.ReadSources("c", refs)
	if err != nil {
		t.Fatal(err)
	}
	return Configured(list[0])
}

// discard is a publisher that writes what it would send, and keeps nothing.
type discard struct{}

func (discard) PublishEvents(_ context.Context, list []events.Event) error {
	for _, e := range list {
		if _, err := events.Marshal(e); err != nil {
			return err
		}
	}
	return nil
}
func (discard) PublishFault(context.Context, events.Fault) error { return nil }

// BenchmarkMapped verifies, maps, validates and encodes a delivery of 4 KiB with one event that counts.
func BenchmarkMapped(b *testing.B) {
	for _, name := range []string{"bamboohr", "okta-event-hook"} {
		b.Run(name, func(b *testing.B) { benchmarkPreset(b, name) })
	}
}

func benchmarkPreset(b *testing.B, name string) {
	sources, err := fs.ReadFile(presets.FS, "testdata/"+name+"/sources.yaml")
	if err != nil {
		b.Fatal(err)
	}
	spec := configuredSource(b, string(sources))
	source, err := NewSource(spec)
	if err != nil {
		b.Fatal(err)
	}
	now := time.Now()
	h, err := NewHandler(Options{
		Sources: []*Source{source}, Publisher: discard{}, Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(),
		Now: func() time.Time { return now },
	})
	if err != nil {
		b.Fatal(err)
	}
	body := samples[name]()
	req := httptest.NewRequest(http.MethodPost, pathPrefix+spec.Name, nil)
	req.Header.Set("Content-Type", "application/json")
	if err := Sign(spec, req, body, "e1", now); err != nil {
		b.Fatal(err)
	}
	d := Delivery{Received: now.UTC(), Method: req.Method, URL: req.URL, Header: req.Header, Body: body}
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		v, err := source.verifier.Verify(d)
		if err != nil {
			b.Fatal(err)
		}
		var rec record
		if a := h.takeMapped(context.Background(), source, d, v, &rec); a.status != http.StatusOK || len(rec.events) != 1 {
			b.Fatalf("%d, %d events: %v", a.status, len(rec.events), rec.err)
		}
	}
}

// samples are bodies of 4 KiB as the senders post them.
var samples = map[string]func() []byte{
	"bamboohr": func() []byte {
		var fields []string
		for i := range 72 {
			fields = append(fields, fmt.Sprintf(`"customField%d": {"value": "a value of field %d"}`, i, i))
		}
		return fmt.Appendf(nil, `{"employees": [{"id": "4217", "action": "Updated", "timestamp": "2026-11-22T11:58:00+0000", "changedFields": ["status", "terminationDate"],
 "fields": {"status": {"value": "Inactive"}, "terminationDate": {"value": "2026-11-20"}, "workEmail": {"value": "maria@acme.example"}, "employeeNumber": {"value": "004217"}, %s}}]}`, strings.Join(fields, ", "))
	},
	"okta-event-hook": func() []byte {
		var debug []string
		for i := range 60 {
			debug = append(debug, fmt.Sprintf(`"debugField%d": "a value of the debug context %d"`, i, i))
		}
		return fmt.Appendf(nil, `{"eventType": "com.okta.event_hook", "eventTypeVersion": "1.0", "cloudEventsVersion": "0.1", "source": "https://acme.okta.com/api/v1/eventHooks/who1", "eventId": "3f2d",
 "data": {"events": [{"uuid": "u-1", "published": "2026-11-22T11:59:57.123Z", "eventType": "user.lifecycle.deactivate", "displayMessage": "Deactivate Okta user", "severity": "INFO",
 "actor": {"id": "00uadmin", "type": "User", "alternateId": "admin@acme.example", "displayName": "Admin"}, "outcome": {"result": "SUCCESS", "reason": null},
 "debugContext": {"debugData": {%s}},
 "target": [{"id": "00u1maria", "type": "User", "alternateId": "maria@acme.example", "displayName": "Maria"}]}]}}`, strings.Join(debug, ", "))
	},
}
