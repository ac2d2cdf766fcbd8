package worker

import (
	"maps"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"keyturn/internal/config"
	"keyturn/internal/events"
	"keyturn/internal/sandbox"
)

func TestLateCasesAreCounted(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	reg := prometheus.NewRegistry()
	set, err := Playbooks(config.Playbooks{})
	if err != nil {
		t.Fatal(err)
	}
	w, err := New(Options{Bus: s.bus(), Name: "worker-1", Playbooks: set, Metrics: reg})
	if err != nil {
		t.Fatal(err)
	}
	for _, class := range events.Classes() {
		if _, there := samples(t, reg)[MetricLate+"{class="+string(class)+",clock=missed}"]; !there {
			t.Errorf("no series of class %s before a case is late: an alert on an increase would miss the first one", class)
		}
	}
	for _, missed := range []bool{false, true, true} {
		w.planner.Late(events.Urgent, missed)
	}
	all, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range all {
		for _, m := range f.GetMetric() {
			if f.GetName() == MetricLate && m.GetLabel()[0].GetValue() == string(events.Urgent) {
				got[m.GetLabel()[1].GetValue()] = m.GetCounter().GetValue()
			}
		}
	}
	if want := (map[string]float64{"near": 1, "missed": 2}); !maps.Equal(got, want) {
		t.Errorf("counted %v, want %v", got, want)
	}
}
