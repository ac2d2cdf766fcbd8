package worker

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"keyturn/internal/events"
	"keyturn/internal/lane"
	"keyturn/internal/ledger"
	"keyturn/internal/reads"
	"keyturn/internal/sandbox"
)

// samples gathers a registry by name and labels, as they are written in a scrape.
func samples(t *testing.T, reg *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			all[f.GetName()+"{"+strings.Join(labels, ",")+"}"] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return all
}

// TestMetricsOfLanes: what a holder knows, what the broker knows, and a lane that stands still.
func TestMetricsOfLanes(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	s.sb.SeedAcme(1)
	reg := prometheus.NewRegistry()
	var w *Worker
	stop := s.work("worker-1", s.connections()[:1], nil, func(made *Worker) {
		w = made
		w.gauges = &gauges{worker: w}
		reg.MustRegister(w.gauges)
	})
	s.check("okta-prod")
	letter := events.DeadLetter{ID: "case1:offboard:devices", Kind: events.DeadAction, Connection: "okta-prod"}
	if err := s.tool.Bury(t.Context(), letter); err != nil {
		t.Fatal(err)
	}
	if err := w.gauges.ask(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := samples(t, reg)
	for name, want := range map[string]float64{
		"keyturn_lane_state{connection=okta-prod,state=working}":                        1,
		"keyturn_lane_state{connection=okta-prod,state=not_held}":                       0,
		"keyturn_lane_calls_ceiling{connection=okta-prod}":                              4,
		"keyturn_lane_breaker_open{connection=okta-prod,fault=refused}":                 0,
		"keyturn_lane_breaker_open{connection=okta-prod,fault=unreachable}":             0,
		"keyturn_lane_calls_in_flight{connection=okta-prod}":                            0,
		"keyturn_lane_actions_in_hand{class=urgent,connection=okta-prod}":               0,
		"keyturn_lane_calls_at_gate{class=bulk,connection=okta-prod}":                   0,
		"keyturn_lane_bucket_limit{bucket=/api/v1/users,connection=okta-prod}":          300,
		"keyturn_lane_bucket_paused_seconds{bucket=/api/v1/users,connection=okta-prod}": 0,
		"keyturn_lane_queue{class=normal,connection=okta-prod,state=waiting}":           0,
		"keyturn_lane_queue{class=normal,connection=okta-prod,state=later}":             0,
		"keyturn_lane_queue{class=normal,connection=okta-prod,state=visits}":            0,
		"keyturn_lane_oldest_seconds{class=normal,connection=okta-prod}":                0,
		"keyturn_consumer_lag{consumer=events_urgent,state=waiting,stream=EVENTS}":      0,
		"keyturn_consumer_lag{consumer=due_bulk,state=in_hand,stream=SCHEDULE}":         0,
		"keyturn_consumer_oldest_seconds{consumer=events_urgent,stream=EVENTS}":         0,
		"keyturn_dead_letters{}": 1,
		"keyturn_consumer_lag{consumer=commands,state=waiting,stream=COMMANDS}": 0,
	} {
		if value, ok := got[name]; !ok || value != want {
			t.Errorf("%s %v (there: %v), want %v", name, value, ok, want)
		}
	}
	calls, left := got["keyturn_lane_calls_total{bucket=/api/v1/users,connection=okta-prod}"], got["keyturn_lane_bucket_left{bucket=/api/v1/users,connection=okta-prod}"]
	if calls < 1 || left != 300-calls {
		t.Errorf("%v calls of 300, and %v left", calls, left)
	}
	pause := json.RawMessage(`{"pauses":[{"target":"connection:okta-prod","until":"` + time.Now().Add(time.Hour).Format(time.RFC3339) + `"}]}`)
	if _, err := w.runner.Ledger.Append(t.Context(), ledger.Record{}, ledger.Record{Subject: ledger.OrderSubject("pauses"), State: ledger.Kept, Body: pause}); err != nil {
		t.Fatal(err)
	}
	if err := w.gauges.ask(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got = samples(t, reg); got["keyturn_lane_state{connection=okta-prod,state=paused}"] != 1 || got["keyturn_lane_state{connection=okta-prod,state=working}"] != 0 {
		t.Error("a lane that is paused with nothing to do is told to work")
	}
	stop()
	got = samples(t, reg)
	if got["keyturn_lane_state{connection=okta-prod,state=not_held}"] != 1 {
		t.Error("the worker stopped, and its lane is not told to be held no more")
	}
	w.gauges.asked = time.Now().Add(-2 * gaugeStale)
	for name := range samples(t, reg) {
		if strings.HasPrefix(name, "keyturn_lane_queue") || strings.HasPrefix(name, "keyturn_consumer_") || strings.HasPrefix(name, "keyturn_dead_letters") {
			t.Errorf("%s from an answer of long ago", name)
		}
	}
}

// TestEachStandingIsTold: every state that a lane can be in has its series.
func TestEachStandingIsTold(t *testing.T) {
	l := &lane.Lane{Connection: "okta-prod"}
	if told := standing(l, "worker-1", nil, time.Now()); told.Standing != reads.NotHeld || told.Worker != "" || told.Forecast != nil {
		t.Errorf("nobody holds it: %+v", told)
	}
}
