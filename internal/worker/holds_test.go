package worker

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"keyturn/internal/ledger"
	"keyturn/internal/ledger/ledgertest"
	"keyturn/internal/sandbox"
)

// TestHeldPlansAreCounted: from the ledger, with the age of the oldest, until somebody decided.
func TestHeldPlansAreCounted(t *testing.T) {
	clock := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	l := ledger.New(&ledgertest.Memory{}, func() time.Time { return clock })
	first, err := l.Append(t.Context(), ledger.Record{}, ledger.Record{Subject: ledger.PlanSubject("c1"), State: ledger.Held})
	if err != nil {
		t.Fatal(err)
	}
	clock = clock.Add(time.Minute)
	if _, err := l.Append(t.Context(), ledger.Record{}, ledger.Record{Subject: ledger.PlanSubject("c2"), State: ledger.Held}); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Append(t.Context(), ledger.Record{}, ledger.Record{Subject: ledger.PlanSubject("c3"), State: ledger.Refused}); err != nil {
		t.Fatal(err)
	}
	var w Worker
	reg := prometheus.NewRegistry()
	if err := w.holds.register(reg, func() time.Time { return clock }); err != nil {
		t.Fatal(err)
	}
	figures := func(n, age float64, note string) {
		t.Helper()
		if err := w.holds.read(t.Context(), l); err != nil {
			t.Fatal(err)
		}
		families, err := reg.Gather()
		if err != nil || len(families) != 2 {
			t.Fatal(families, err)
		}
		got := []float64{families[1].GetMetric()[0].GetGauge().GetValue(), families[0].GetMetric()[0].GetGauge().GetValue()}
		if got[0] != n || got[1] != age {
			t.Errorf("%v held, the oldest for %v s: want %v and %v", got[0], got[1], n, age)
		}
		if c := w.holdCheck(); !strings.Contains(c.Notes(), note) || c.Run(t.Context()) != nil {
			t.Errorf("note %q, want %q", c.Notes(), note)
		}
	}
	figures(2, 60, "2 plans are HELD, the oldest since 2026-03-02T09:00:00Z")
	if _, err := l.Append(t.Context(), first, ledger.Record{Subject: first.Subject, State: ledger.Planned}); err != nil {
		t.Fatal(err)
	}
	figures(1, 0, "1 plans are HELD")
}

// TestACountIsTakenUp: what one worker counted spares the next one the ledger before it, whatever it finds since is
// counted as if it had read all, and what is kept of another ledger, or is nothing at all, has it read all.
func TestACountIsTakenUp(t *testing.T) {
	clock := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	log, other := &ledgertest.Memory{}, &ledgertest.Memory{}
	l, older := ledger.New(log, func() time.Time { return clock }), ledger.New(other, func() time.Time { return clock })
	write := func(l *ledger.Ledger, prev ledger.Record, id string, state ledger.State) ledger.Record {
		t.Helper()
		rec, err := l.Append(t.Context(), prev, ledger.Record{Subject: ledger.PlanSubject(id), State: state})
		if err != nil {
			t.Fatal(err)
		}
		return rec
	}
	first := write(l, ledger.Record{}, "c1", ledger.Held)
	write(l, ledger.Record{}, "c2", ledger.Held)
	write(older, ledger.Record{}, "c9", ledger.Held)
	kept := func(h *holds, now time.Time, want bool) []byte {
		t.Helper()
		data, err := h.keep(now)
		if (data != nil) != want || err != nil {
			t.Errorf("kept: %s, %v; want %t", data, err, want)
		}
		return data
	}
	read := func(h *holds, l *ledger.Ledger, cases ...string) {
		t.Helper()
		if err := h.read(t.Context(), l); err != nil {
			t.Fatal(err)
		}
		if got := slices.Sorted(maps.Keys(h.since)); !slices.Equal(got, cases) {
			t.Errorf("held: %q, want %q", got, cases)
		}
	}
	var h holds
	kept(&h, clock, false) // of nothing
	read(&h, l, "c1", "c2")
	data := kept(&h, clock, true)
	kept(&h, clock.Add(holdsKeep), false) // the same again
	write(l, ledger.Record{}, "c3", ledger.Refused)
	read(&h, l, "c1", "c2")
	kept(&h, clock.Add(holdsKeep-1), false)
	kept(&h, clock.Add(holdsKeep), true) // it grows old

	clock = clock.Add(time.Hour)
	write(l, first, "c1", ledger.Planned)
	write(l, ledger.Record{}, "c4", ledger.Held)
	log.Rewrite(log.Entries()[1:]) // what was counted is not read again
	var next holds
	if !next.recall(data) {
		t.Fatal("nothing was taken up")
	}
	if n, _ := next.count(); n != 2 {
		t.Errorf("%d held plans were taken up, want 2", n)
	}
	read(&next, l, "c2", "c4")
	if _, oldest := next.count(); !oldest.Equal(clock.Add(-time.Hour)) {
		t.Errorf("the oldest is of %v", oldest)
	}
	kept(&next, clock, true)

	read(&next, older, "c9") // put in the place of the other one
	for what, data := range map[string]string{"nothing": "", "no count": `{"seq":`, "an empty one": "{}"} {
		if new(holds).recall([]byte(data)) {
			t.Errorf("%s is taken up", what)
		}
	}
}

// TestTheNextWorkerTakesTheCountUp: with a real broker, what the first worker keeps is what the second one begins with.
func TestTheNextWorkerTakesTheCountUp(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	if err := s.tool.CreateTopology(t.Context()); err != nil {
		t.Fatal(err)
	}
	l := ledger.New(s.tool.Log(), time.Now)
	if _, err := l.Append(t.Context(), ledger.Record{}, ledger.Record{Subject: ledger.PlanSubject("c1"), State: ledger.Held}); err != nil {
		t.Fatal(err)
	}
	stop := s.work("w1", nil, nil)
	s.until("the count is kept", func() bool {
		_, _, err := s.tool.Lanes().Get(t.Context(), holdsKey)
		return err == nil
	})
	stop()
	var second *Worker
	s.work("w2", nil, nil, func(w *Worker) { second = w })
	s.until("the count is taken up", func() bool {
		second.holds.mu.Lock()
		defer second.holds.mu.Unlock()
		return len(second.holds.kept.Since) == 1 && len(second.holds.since) == 1
	})
	if strings.Contains(s.log.String(), "held plans") {
		t.Error(s.log.String())
	}
}
