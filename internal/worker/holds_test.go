package worker

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"keyturn/internal/ledger"
	"keyturn/internal/ledger/ledgertest"
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
