package worker

import (
	"maps"
	"testing"
	"time"

	"keyturn/internal/config"
	"keyturn/internal/lane"
	"keyturn/internal/reads"
	"keyturn/internal/sandbox"
)

// TestReservesAgree: what the configuration says to be the default is that of a lane.
func TestReservesAgree(t *testing.T) {
	if got, want := budgetOf(config.Budget{}).Reserve, lane.DefaultReserve(); !maps.Equal(got, want) {
		t.Errorf("%v by configuration, %v of a lane", got, want)
	}
}

// TestAConnectionKeepsToItsShare at a provider that would give more.
func TestAConnectionKeepsToItsShare(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	acme := s.sb.SeedAcme(1)
	connections := s.connections()[:1]
	connections[0].Budget = config.Budget{Share: 0.02} // 20 calls of 1000 a minute
	var w *Worker
	s.work("worker-1", connections, nil, func(made *Worker) {
		w = made
		l := w.fleet.find("okta-prod").lane
		l.Bus.(*desk).patience = 100 * time.Millisecond // what must wait is told so
	})
	allowed, later := 0, 0
	for later == 0 && allowed < 100 {
		if _, err := s.get("okta-prod", reads.Query{Resource: "user", Filters: filters("login", acme.Leaver.Login)}); err == nil {
			allowed++
		} else {
			later++
		}
	}
	state, held := w.fleet.find("okta-prod").lane.State()
	if !held || len(state.Buckets) == 0 {
		t.Fatalf("held %v: %+v", held, state)
	}
	for _, b := range state.Buckets {
		if b.Allowed != b.Limit/50 || b.Calls > b.Allowed {
			t.Errorf("%d calls in %s, %d allowed of %d", b.Calls, b.Bucket, b.Allowed, b.Limit)
		}
	}
	if allowed == 0 || later == 0 {
		t.Errorf("%d answered and %d told to wait", allowed, later)
	}
}
