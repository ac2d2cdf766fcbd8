package planner_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/planner"
	"keyturn/internal/stream"
	"keyturn/internal/stream/embedded"
	"keyturn/internal/stream/streamtest"
)

// BenchmarkApprove4000 is one operator's word upon 4,000 held plans, over a broker that syncs: from the first command
// to the last plan that went on. Of the result, "cases/s" is what counts.
func BenchmarkApprove4000(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		const n = 4000
		bus, w := streamtest.Bus(b, embedded.Options{}), newWorld(b)
		records := ledger.New(bus.Log(), nil)
		p := &planner.Planner{
			Ledger: records, Queue: bus, Timetable: bus, Morgue: bus, Plans: w.rules, Keyer: w.keyer,
			Follow: w.runner().Follow, Worker: "planner-1", NewID: w.newID,
		}
		ctx, cancel := context.WithCancel(b.Context())
		stopped := make(chan error, 1)
		go func() { stopped <- p.Run(ctx, bus) }()
		w.rules.hold(1)
		var all []events.Event
		var words []events.Command
		for i := range n {
			e := w.happening("user.terminated", fmt.Sprint(i), fmt.Sprintf("p%d", i), time.Now(), time.Time{})
			all = append(all, e)
			words = append(words, w.command(fmt.Sprint("c", i), events.Approve, e.Case(), "ann"))
		}
		if err := bus.PublishEvents(ctx, all); err != nil {
			b.Fatal(err)
		}
		waitPlans(b, records, n, ledger.Held)
		b.StartTimer()
		began := time.Now()
		for i := 0; i < n; i += 500 {
			if err := bus.PublishCommand(ctx, words[i:i+500]...); err != nil {
				b.Fatal(err)
			}
		}
		waitPlans(b, records, n, planned)
		b.ReportMetric(n/time.Since(began).Seconds(), "cases/s")
		b.StopTimer()
		cancel()
		if err := <-stopped; err != nil {
			b.Error(err)
		}
		b.StartTimer()
	}
}

// waitPlans waits until so many plans stand there.
func waitPlans(t testing.TB, records *ledger.Ledger, n int, want ledger.State) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); ; {
		standing := map[string]ledger.State{}
		err := records.Range(t.Context(), ledger.PlanSubject("*"), time.Time{}, func(r ledger.Record) error {
			standing[r.Subject] = r.State
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		for _, s := range standing {
			if s == want {
				found++
			}
		}
		if found == n {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d plans are %s", found, n, want)
		}
		time.Sleep(time.Second) // each look reads every plan
	}
}

var _ planner.Bus = (*stream.Bus)(nil)
