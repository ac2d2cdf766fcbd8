package worker

import (
	"testing"
	"time"

	"keyturn/internal/config"
	"keyturn/internal/ledger"
	"keyturn/internal/planner"
	"keyturn/internal/playbook"
	"keyturn/internal/sandbox"
)

// TestCensus: what brakes are a share of is read through the lane of its connection, and stands in the ledger.
func TestCensus(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	s.sb.SeedAcme(3)
	want := map[string]int{}
	for _, u := range s.sb.Snapshot().Okta.Users {
		if u.Status == sandbox.StatusActive {
			want["okta-prod"]++
		}
	}
	for _, u := range s.sb.Snapshot().ASA.Users {
		if u.Status == sandbox.ASAActive && !u.Service {
			want["asa-prod"]++
		}
	}
	var g config.Guards
	for name := range want {
		g.Brakes = append(g.Brakes, config.Brake{On: []config.Text{{Value: "user.terminated"}}, Percent: 5, Per: time.Duration(len(name)) * time.Hour,
			Count: &config.Count{What: "active_users", At: config.Text{Value: name}}})
	}
	set, err := Playbooks(config.Playbooks{Guards: g})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.tool.CreateTopology(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.work("worker-1", s.connections(), nil, func(w *Worker) { w.set.Store(set) })
	records := ledger.New(s.tool.Log(), nil)
	for name, n := range want {
		var last planner.Count
		for deadline := time.Now().Add(20 * time.Second); last.Read.IsZero(); {
			if _, last, err = planner.LoadCount(t.Context(), records, playbook.Count{Connection: name, What: "active_users"}); err != nil {
				t.Fatal(err)
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s is never counted", name)
			}
			time.Sleep(5 * time.Millisecond)
		}
		if last.N != n || n == 0 {
			t.Errorf("%s: counted %d, want %d", name, last.N, n)
		}
	}
}
