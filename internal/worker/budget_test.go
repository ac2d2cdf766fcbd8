package worker

import (
	"maps"
	"slices"
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

// TestAConnectionNamesItsBuckets: a call is counted where the file says, for each provider, and a limit that is known
// there is kept.
func TestAConnectionNamesItsBuckets(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	acme := s.sb.SeedAcme(1)
	connections := s.connections()
	for i, calls := range []config.Call{
		{Method: "GET", Path: []string{"api", "v1", "users", "*", "clients"}},
		{Path: []string{"v1", "teams", "*", "users", "**"}},
		{Path: []string{"v1", "clients"}},
	} {
		connections[i].Budget = config.Budget{Share: 0.5, Buckets: []config.Bucket{
			{Name: "mine", Calls: []config.Call{calls}, Limit: 6, Window: time.Minute}}}
	}
	var w *Worker
	s.work("worker-1", connections, nil, func(made *Worker) {
		w = made
		for _, c := range connections {
			w.fleet.find(c.Name).lane.Bus.(*desk).patience = 100 * time.Millisecond
		}
	})
	for i, q := range []reads.Query{
		{Resource: "user-clients", Filters: filters("user", acme.Leaver.OktaID)},
		{Resource: "users"},
		{Resource: "clients"},
	} {
		name, answered := connections[i].Name, 0
		for {
			if _, err := s.get(name, q); err != nil {
				break
			}
			if answered++; answered > 3 {
				break
			}
		}
		state, held := w.fleet.find(name).lane.State()
		at := slices.IndexFunc(state.Buckets, func(b lane.Seen) bool { return b.Bucket == "mine" })
		if !held || at < 0 || answered != 3 || state.Buckets[at].Calls != 3 || state.Buckets[at].Left != 0 ||
			state.Buckets[at].Limit != 6 || state.Buckets[at].Allowed != 3 || state.Buckets[at].Span != time.Minute {
			t.Errorf("%s: %d answered: %+v", name, answered, state.Buckets)
		}
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
