package worker

import (
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
		if err := w.holds.read(t.Context(), l, time.Time{}); err != nil {
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
	now := func() time.Time { return clock }
	log := &ledgertest.Memory{Clock: now}
	l := ledger.New(log, now)
	write := func(prev ledger.Record, id string, state ledger.State) ledger.Record {
		t.Helper()
		rec, err := l.Append(t.Context(), prev, ledger.Record{Subject: ledger.PlanSubject(id), State: state})
		if err != nil {
			t.Fatal(err)
		}
		return rec
	}
	first := write(ledger.Record{}, "c1", ledger.Held)
	write(ledger.Record{}, "c2", ledger.Held)
	var h holds
	if data, err := h.keep(clock); data != nil || err != nil {
		t.Errorf("a count of nothing is kept: %s, %v", data, err)
	}
	if err := h.read(t.Context(), l, time.Time{}); err != nil {
		t.Fatal(err)
	}
	data, err := h.keep(clock)
	if err != nil || data == nil {
		t.Fatalf("the count is not kept: %v", err)
	}
	if again, err := h.keep(clock.Add(holdsKeep - 1)); again != nil || err != nil {
		t.Errorf("kept again without need: %s, %v", again, err)
	}
	if again, err := h.keep(clock.Add(holdsKeep)); again == nil || err != nil {
		t.Errorf("what is kept grows too old: %v", err)
	}

	clock = clock.Add(time.Hour)
	write(first, "c1", ledger.Planned)
	write(ledger.Record{}, "c3", ledger.Held)
	var next holds
	from, err := next.recall(t.Context(), l, data)
	if err != nil || !from.Equal(clock.Add(-time.Hour)) {
		t.Fatalf("read from %v on, %v", from, err)
	}
	if n, _ := next.count(); n != 2 {
		t.Errorf("%d held plans were taken up, want 2", n)
	}
	if err := next.read(t.Context(), l, from.Add(time.Minute)); err != nil { // not what was counted already
		t.Fatal(err)
	}
	if n, oldest := next.count(); n != 2 || !oldest.Equal(clock.Add(-time.Hour)) {
		t.Errorf("%d held plans, the oldest of %v: want c2 and c3", n, oldest)
	}
	if again, err := next.keep(from.Add(time.Second)); again == nil || err != nil {
		t.Errorf("a change is not kept: %v", err)
	}

	older := ledger.New(&ledgertest.Memory{}, now)
	for what, try := range map[string]struct {
		l    *ledger.Ledger
		data []byte
	}{"another ledger's": {older, data}, "nothing": {l, nil}, "no count": {l, []byte(`{"from":`)}, "an empty one": {l, []byte("{}")}} {
		var anew holds
		if from, err := anew.recall(t.Context(), try.l, try.data); err != nil || !from.IsZero() || len(anew.since) > 0 {
			t.Errorf("%s: read from %v on, %d taken up, %v", what, from, len(anew.since), err)
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
