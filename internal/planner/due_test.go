package planner_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/planner"
	"keyturn/internal/stream"
	"keyturn/internal/stream/embedded"
	"keyturn/internal/stream/streamtest"
)

// starts is a queue that remembers when each case's first action was on disk.
type starts struct {
	*stream.Bus
	mu    sync.Mutex
	first map[string]time.Time
	all   chan struct{} // closed when so many have begun
	want  int
}

func (s *starts) PublishAction(ctx context.Context, a events.Action) error {
	if err := s.Bus.PublishAction(ctx, a); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, again := s.first[a.Case]; !again {
		s.first[a.Case] = time.Now()
		if len(s.first) == s.want {
			close(s.all)
		}
	}
	return nil
}

// fired is a bus that remembers when the last due event came.
type fired struct {
	*stream.Bus
	mu   sync.Mutex
	last time.Time
}

func (f *fired) Consume(ctx context.Context, c stream.Consumer, n int, h stream.Handler) error {
	return f.Bus.Consume(ctx, c, n, func(ctx context.Context, m *stream.Message) events.Outcome {
		if c.String() == stream.DueOf(events.Normal).String() {
			f.mu.Lock()
			if m.Stored.After(f.last) {
				f.last = m.Stored
			}
			f.mu.Unlock()
		}
		return h(ctx, m)
	})
}

// leavers has so many people leave at the same moment, and gives how late each case began.
func leavers(t testing.TB, bus *stream.Bus, n int, ahead time.Duration, brakes ...planner.Brake) []time.Duration {
	t.Helper()
	w := newWorld(t)
	w.armed = false
	w.rules.brakes = brakes
	q := &starts{Bus: bus, first: map[string]time.Time{}, all: make(chan struct{}), want: n}
	p := &planner.Planner{
		Ledger: ledger.New(bus.Log(), nil), Queue: q, Timetable: bus, Morgue: bus, Plans: w.rules, Keyer: w.keyer,
		Follow: w.runner().Follow, Worker: "planner-1", NewID: w.newID,
	}
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	f := &fired{Bus: bus}
	go func() { stopped <- p.Run(ctx, f) }()
	began := time.Now()
	at := began.Add(ahead).Truncate(time.Second)
	var all []events.Event
	for i := range n {
		all = append(all, w.happening("user.terminated", fmt.Sprint(i), fmt.Sprintf("p%d", i), began, at))
	}
	for chunk := range slices.Chunk(all, 500) {
		if err := bus.PublishEvents(ctx, chunk); err != nil {
			t.Fatal(err)
		}
	}
	for _, e := range all {
		until(t, p.Ledger, e.Case(), ledger.Scheduled, planned)
	}
	t.Logf("%d accepted in %s, %s before they are due", n, time.Since(began), time.Until(at))
	select {
	case <-q.all:
	case <-time.After(time.Until(at) + time.Minute):
		t.Fatalf("%d of %d began", len(q.first), n)
	}
	cancel()
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	t.Logf("the last one came %s late", f.last.Sub(at))
	var lateness []time.Duration
	for _, began := range q.first {
		lateness = append(lateness, began.Sub(at))
	}
	slices.Sort(lateness)
	return lateness
}

// TestBehindTheBrokersClock: what is due by the broker's clock, and not by that of a worker that is behind, waits for the
// worker's, and does not come back at once all the time until then.
func TestBehindTheBrokersClock(t *testing.T) {
	w := newWorld(t)
	w.armed = false
	behind := func() *planner.Planner {
		p := w.planner()
		p.Now = func() time.Time { return w.clock.Add(-10 * time.Minute) }
		return p
	}
	w.rules.expires = time.Hour
	held := w.happening("user.terminated", "1", "maria", w.clock, time.Time{})
	later := w.happening("user.terminated", "2", "peter", w.clock, w.clock.Add(50*time.Minute))
	w.rules.hold(1)
	for _, e := range []events.Event{held, later} {
		if out := behind().Event(t.Context(), w.overWire(e), w.clock); out.Verdict != events.Done {
			t.Fatal(out)
		}
	}
	w.rules.hold(0)
	w.clock = w.clock.Add(50 * time.Minute)
	for id, want := range map[string]ledger.State{held.Case(): cancelled, later.Case(): planned} {
		clock, came := w.clock, 0
		for w.state(ledger.PlanSubject(id)) != want && came < 30 {
			if at := w.now.scheduled[id].EffectiveAt; at.After(w.clock) {
				w.clock = at
			}
			if out := behind().Due(t.Context(), w.now.scheduled[id], w.clock); out.Verdict != events.Done {
				w.clock = w.clock.Add(out.Delay) // given back for less than rescheduleAfter
			}
			came++
		}
		if took := w.clock.Sub(clock); came > 13 || took < 10*time.Minute || took > 11*time.Minute {
			t.Errorf("%s: came %d times within %s", want, came, took)
		}
		w.clock = clock
	}
}

// Many leave at the same second, from a broker that keeps schedules by the second: none begins early, and all begin
// within the 15 seconds that thousands may take (BenchmarkDue).
func TestDueInTheSameSecond(t *testing.T) {
	t.Parallel()
	late := leavers(t, streamtest.Bus(t, embedded.Options{}), 200, 3*time.Second)
	if first, last := late[0], late[len(late)-1]; first < 0 || last > 15*time.Second {
		t.Errorf("first %s, last %s late", first, last)
	}
}

// BenchmarkDue measures how late work begins that many are due for in the same second, with the shared barrier: the
// plan is on disk and its first action is published.
//
//	go test -run '^$' -bench Due -benchtime 1x ./internal/planner
func BenchmarkDue(b *testing.B) {
	wide := planner.Brake{Name: "terminations", Max: 2000, Per: time.Hour} // the most that one may let pass
	for _, c := range []struct {
		n      int
		brakes []planner.Brake
	}{{1000, nil}, {5000, nil}, {1000, []planner.Brake{wide}}} {
		b.Run(fmt.Sprintf("%d/%d brakes", c.n, len(c.brakes)), func(b *testing.B) {
			for range b.N {
				late := leavers(b, streamtest.Bus(b, embedded.Options{Durability: stream.Group}), c.n, time.Duration(c.n/100+5)*time.Second, c.brakes...)
				b.ReportMetric(late[0].Seconds(), "s-first")
				b.ReportMetric(late[len(late)/2].Seconds(), "s-median")
				b.ReportMetric(late[len(late)-1].Seconds(), "s-last")
			}
		})
	}
}

// TestByEitherClock: what has a date waits for the later one of two clocks that differ; what only workers count, like the
// end of a hold, goes by the one that they share.
func TestByEitherClock(t *testing.T) {
	w := newWorld(t)
	w.armed = false
	w.rules.expires = time.Hour
	p := w.planner()
	p.Come = func() time.Time { return w.clock.Add(-10 * time.Minute) }
	work := func(e events.Event, fired bool, want ledger.State) {
		t.Helper()
		out := events.Outcome{}
		if fired {
			out = p.Due(t.Context(), w.now.scheduled[e.Case()], w.clock)
		} else {
			out = p.Event(t.Context(), w.overWire(e), w.clock)
		}
		if got := w.state(ledger.PlanSubject(e.Case())); out.Verdict != events.Done || got != want {
			t.Fatalf("%+v, %s, want %s", out, got, want)
		}
	}
	w.rules.hold(1)
	held := w.happening("user.terminated", "1", "maria", w.clock, time.Time{})
	work(held, false, ledger.Held)
	w.rules.hold(0)
	gone := w.happening("user.terminated", "2", "peter", w.clock, w.clock.Add(-5*time.Minute))
	work(gone, false, ledger.Scheduled)
	work(gone, true, ledger.Scheduled)
	w.clock = w.clock.Add(5 * time.Minute)
	work(gone, true, planned)
	w.clock = w.clock.Add(55 * time.Minute)
	work(held, true, cancelled)
}
