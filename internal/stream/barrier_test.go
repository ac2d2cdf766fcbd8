package stream_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/stream"
	"keyturn/internal/stream/embedded"
)

// gate is a sync that waits to be let through, and tells when it was entered.
type gate struct {
	entered chan struct{}
	open    chan error
}

func newGate() gate { return gate{entered: make(chan struct{}), open: make(chan error)} }

func (g gate) sync() error {
	g.entered <- struct{}{}
	return <-g.open
}

// waiters starts n waits, and returns their errors when all have ended.
func waiters(b *stream.Barrier, n int) func() []error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = b.Wait(context.Background()) })
	}
	return func() []error { wg.Wait(); return errs }
}

// until waits for a condition.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

func TestWhoComesDuringASyncWaitsForTheNext(t *testing.T) {
	g := newGate()
	b := stream.NewBarrier(g.sync, nil)
	first := waiters(b, 1)
	<-g.entered
	rest := waiters(b, 64)
	until(t, "64 more waiters", func() bool { return b.Stats().Waits == 65 })
	if got := b.Stats().Rounds; got != 0 {
		t.Fatalf("%d rounds ended before the gate opened", got)
	}
	g.open <- nil
	if err := errors.Join(first()...); err != nil {
		t.Fatal(err)
	}
	<-g.entered // one sync for all 64
	g.open <- nil
	if err := errors.Join(rest()...); err != nil {
		t.Fatal(err)
	}
	if got := b.Stats().Rounds; got != 2 {
		t.Errorf("%d rounds, want 2", got)
	}
}

// TestWhoRidesGoesWithWhoeverIsInAHurry: in a round of its own only when nobody is, and before long.
func TestWhoRidesGoesWithWhoeverIsInAHurry(t *testing.T) {
	var syncs atomic.Int64
	b := stream.NewBarrier(func() error { syncs.Add(1); return nil }, nil)
	var riders sync.WaitGroup
	for range 20 {
		riders.Go(func() {
			if err := b.Ride(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	riders.Wait()
	if n := syncs.Load(); n == 0 || n > 3 { // all of them came within the time of one round, or nearly
		t.Errorf("%d syncs for those who ride", n)
	}

	g := newGate()
	b = stream.NewBarrier(g.sync, nil)
	first := waiters(b, 1)
	<-g.entered
	rode := make(chan error, 1)
	go func() { rode <- b.Ride(t.Context()) }()
	until(t, "the rider", func() bool { return b.Stats().Waits == 2 })
	rest := waiters(b, 1)
	until(t, "another waiter", func() bool { return b.Stats().Waits == 3 })
	g.open <- nil
	<-g.entered
	g.open <- nil
	if err := errors.Join(append(append(first(), rest()...), <-rode)...); err != nil || b.Stats().Rounds != 2 {
		t.Errorf("%v after %d syncs, want 2", err, b.Stats().Rounds)
	}
}

func TestABarrierThatFailedNeverHeals(t *testing.T) {
	g := newGate()
	var told []error
	b := stream.NewBarrier(g.sync, func(err error) { told = append(told, err) })
	first := waiters(b, 1)
	<-g.entered
	second := waiters(b, 3)
	until(t, "3 more waiters", func() bool { return b.Stats().Waits == 4 })
	broken := errors.New("input/output error")
	g.open <- broken
	for _, err := range slices.Concat(first(), second(), waiters(b, 2)()) {
		if !errors.Is(err, stream.ErrBarrier) || !errors.Is(err, broken) {
			t.Errorf("got %v, want the first error", err)
		}
	}
	if len(told) != 1 {
		t.Errorf("told %d times, want once", len(told))
	}
	select {
	case <-b.Failed():
	default:
		t.Error("Failed is not closed")
	}
}

func TestAWaitEndsWithItsContext(t *testing.T) {
	g := newGate()
	b := stream.NewBarrier(g.sync, nil)
	ctx, cancel := context.WithCancel(t.Context())
	got := make(chan error)
	go func() { got <- b.Wait(ctx) }()
	<-g.entered
	cancel()
	if err := <-got; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	g.open <- nil
}

// clock orders what happens in one process.
type clock struct{ n atomic.Int64 }

func (c *clock) tick() int64 { return c.n.Add(1) }

// span is one sync.
type span struct{ start, end int64 }

func TestNothingIsAnsweredBeforeASyncThatBeganAfterItsAcknowledgement(t *testing.T) {
	const publishers, each = 32, 10
	var c clock
	var mu sync.Mutex
	var syncs []span
	srv := start(t, embedded.Options{Durability: stream.Group, Sync: func() error {
		s := span{start: c.tick()}
		time.Sleep(200 * time.Microsecond) // long enough that others come meanwhile
		s.end = c.tick()
		mu.Lock()
		defer mu.Unlock()
		syncs = append(syncs, s)
		return nil
	}})
	connect(t, srv) // makes the streams
	var wg sync.WaitGroup
	for i := range publishers {
		var acked int64 // when the publisher's acknowledgement came; the fault runs in its goroutine
		bus := connect(t, srv, func(o *stream.Options) {
			o.Fault = func(_ context.Context, op stream.Op, _ string, persisted bool) error {
				if op == stream.OpEvent && persisted {
					acked = c.tick()
				}
				return nil
			}
		})
		wg.Go(func() {
			for j := range each {
				if err := bus.PublishEvents(t.Context(), []events.Event{event(fmt.Sprintf("%d-%d", i, j))}); err != nil {
					t.Error(err)
					return
				}
				returned := c.tick()
				mu.Lock()
				if !slices.ContainsFunc(syncs, func(s span) bool { return s.start > acked && s.end < returned }) {
					t.Errorf("publisher %d: acknowledged at %d, answered at %d, no sync between", i, acked, returned)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
}

func TestAFailedSyncStopsEveryAnswerAndTheStoreAsksForItsCheck(t *testing.T) {
	dir := t.TempDir()
	var broken atomic.Bool
	opts := embedded.Options{Dir: dir, Durability: stream.Group, Sync: func() error {
		if broken.Load() {
			return errors.New("input/output error")
		}
		return nil
	}}
	srv := start(t, opts)
	bus := connect(t, srv)
	if err := bus.PublishEvents(t.Context(), []events.Event{event("1")}); err != nil {
		t.Fatal(err)
	}
	broken.Store(true)
	err := bus.PublishEvents(t.Context(), []events.Event{event("2")})
	if !errors.Is(err, stream.ErrUnavailable) || !errors.Is(err, stream.ErrBarrier) || stream.RetryAfter(err) <= 0 {
		t.Fatalf("got %v", err)
	}
	<-bus.Failed()
	broken.Store(false) // a sync that succeeds says nothing about what the last one lost
	if err := bus.PublishEvents(t.Context(), []events.Event{event("1")}); !errors.Is(err, stream.ErrBarrier) {
		t.Errorf("after the failure: %v", err)
	}
	if err := bus.Ready(t.Context()); !errors.Is(err, stream.ErrUnavailable) {
		t.Errorf("ready: %v", err)
	}
	if err := bus.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if err := srv.Close(); !errors.Is(err, stream.ErrBarrier) {
		t.Errorf("close: %v", err)
	}
	if _, err := embedded.Start(opts); !errors.Is(err, embedded.ErrFailed) {
		t.Fatalf("start after a failed barrier: %v", err)
	}
	rep, err := embedded.Check(t.Context(), dir)
	if err != nil || rep.Failed == "" || !rep.Unclean {
		t.Fatalf("check: %+v, %v", rep, err)
	}
	bus = connect(t, start(t, opts))
	if err := bus.PublishEvents(t.Context(), []events.Event{event("2")}); err != nil {
		t.Error(err)
	}
}
