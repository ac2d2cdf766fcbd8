package ingest

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestMetrics(t *testing.T) {
	f := open(t, Options{}, hrSpec(), siemSpec())
	f.post(hrSpec(), structured, terminated("e1", "m@acme.example"))
	f.post(hrSpec(), structured, terminated("e1", "nobody"))
	bad := f.request(siemSpec(), structured, "{}")
	bad.Header.Set("X-Signature", "sha256=00")
	f.do(bad)
	stranger := f.request(hrSpec(), structured, "{}")
	stranger.URL.Path = "/hooks/who-knows"
	f.do(stranger)

	problems, err := testutil.GatherAndLint(f.reg)
	if err != nil || len(problems) > 0 {
		t.Error(problems, err)
	}
	m := f.handle.metrics
	for _, c := range []struct {
		what string
		got  float64
		want float64
	}{
		{"accepted", testutil.ToFloat64(m.deliveries.WithLabelValues("hr-relay", "202")), 1},
		{"faulty", testutil.ToFloat64(m.deliveries.WithLabelValues("hr-relay", "400")), 1},
		{"unbelieved", testutil.ToFloat64(m.deliveries.WithLabelValues("siem", "401")), 1},
		{"unknown", testutil.ToFloat64(m.deliveries.WithLabelValues("unknown", "404")), 1},
		{"verified", testutil.ToFloat64(m.signed.WithLabelValues("hr-relay", "0")), 2},
		{"events", testutil.ToFloat64(m.events.WithLabelValues("hr-relay", "user.terminated")), 1},
		{"in flight", testutil.ToFloat64(m.inFlight), 0},
	} {
		if c.got != c.want {
			t.Errorf("%s: %v, want %v", c.what, c.got, c.want)
		}
	}
	if n := testutil.CollectAndCount(m.deliveries); n != 2*len(statuses())+1 {
		t.Errorf("%d series of deliveries: the labels are not closed", n)
	}
}

func TestOneLinePerDelivery(t *testing.T) {
	f := open(t, Options{}, hrSpec())
	got := f.post(hrSpec(), structured, terminated("e1", "maria@acme.example"))
	bad := f.request(hrSpec(), structured, terminated("e2", "maria@acme.example"))
	bad.Header.Set("webhook-signature", "v1,canary")
	f.do(bad)
	f.post(hrSpec(), structured, strings.Replace(terminated("e3", "m@acme.example"), `"data":{`, `"data":{"maria":1,"MARIA":2,`, 1))

	lines := strings.Split(strings.TrimSpace(f.logs.String()), "\n")
	if len(lines) != 3 {
		t.Fatalf("%d lines: %s", len(lines), f.logs)
	}
	var first struct {
		Msg, Source, Level string
		Status, Events     int
		Key                *int
		Cases              []string
	}
	if err := json.Unmarshal([]byte(lines[0]), &first); err != nil {
		t.Fatal(err)
	}
	if first.Msg != "delivery" || first.Source != "hr-relay" || first.Status != http.StatusAccepted || first.Events != 1 ||
		first.Key == nil || first.Level != "INFO" || len(first.Cases) != 1 || first.Cases[0] != got.Cases[0] {
		t.Errorf("%+v", first)
	}
	for _, word := range []string{"maria", "MARIA", "acme.example", "canary", sampleSecret} {
		if strings.Contains(f.logs.String(), word) {
			t.Errorf("the log holds %q: %s", word, f.logs)
		}
	}
}
