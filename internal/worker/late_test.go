package worker

import (
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
	var made []*Worker
	for _, name := range []string{"worker-1", "worker-2"} {
		w, err := New(Options{Bus: s.bus(), Name: name, Connections: nil, Playbooks: set, Metrics: reg})
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, w)
	}
	made[0].planner.Late(events.Urgent, false)
	made[0].planner.Late(events.Urgent, true)
	made[1].planner.Late(events.Urgent, true)
	all, err := reg.Gather()
	if err != nil || len(all) != 1 || all[0].GetName() != MetricLate || len(all[0].GetMetric()) != 2 {
		t.Fatalf("%v, %v", all, err)
	}
	for _, m := range all[0].GetMetric() {
		want := map[string]float64{"near": 1, "missed": 2}[m.GetLabel()[1].GetValue()]
		if m.GetCounter().GetValue() != want {
			t.Errorf("%v", m)
		}
	}
}
