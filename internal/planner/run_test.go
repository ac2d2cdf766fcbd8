package planner_test

import (
	"context"
	"errors"
	"slices"
	"strings"
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

// wires keeps the handlers that a planner wires to a bus.
type wires struct {
	mu sync.Mutex
	by map[string]stream.Handler
}

func (w *wires) Consume(_ context.Context, c stream.Consumer, _ int, h stream.Handler) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.by[c.String()] = h
	return nil
}

func TestWhatCannotBeReadGoesToAPerson(t *testing.T) {
	w := newWorld(t)
	bus := &wires{by: map[string]stream.Handler{}}
	if err := w.planner().Run(t.Context(), bus); err != nil {
		t.Fatal(err)
	}
	if len(bus.by) != 8 {
		t.Errorf("%d consumers", len(bus.by))
	}
	for name, h := range bus.by {
		m := &stream.Message{Subject: name, Data: []byte("not json, but secret " + name), Stored: w.clock}
		for range 2 {
			if out := h(t.Context(), m); out.Verdict != events.Done {
				t.Errorf("%s: %+v", name, out)
			}
		}
	}
	if len(w.now.letters) != len(bus.by) {
		t.Errorf("%d letters, want %d", len(w.now.letters), len(bus.by))
	}
	for _, d := range w.now.letters {
		if strings.Contains(d.Error, "secret") || d.Original != nil {
			t.Errorf("letter repeats what nobody can read: %+v", d)
		}
	}
}

// until waits until a case's plan stands there.
func until(t testing.TB, records *ledger.Ledger, caseID string, want ...ledger.State) {
	t.Helper()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for deadline := time.After(20 * time.Second); ; {
		rec, err := records.Last(t.Context(), ledger.PlanSubject(caseID))
		if err != nil {
			t.Fatal(err)
		}
		if slices.Contains(want, rec.State) {
			return
		}
		select {
		case <-look.C:
		case <-deadline:
			t.Fatalf("plan %q, want %q", rec.State, want)
		}
	}
}

// Over a real broker: an event is planned, one for later comes back and is planned, one is held and approved, and a
// delivery that could not be mapped is kept.
func TestRunOverBroker(t *testing.T) {
	bus, w := streamtest.Bus(t, embedded.Options{}), newWorld(t)
	records := ledger.New(bus.Log(), nil)
	p := &planner.Planner{
		Ledger: records, Queue: bus, Timetable: bus, Morgue: bus, Plans: w.rules, Keyer: w.keyer,
		Follow: w.runner().Follow, Worker: "planner-1", NewID: w.newID,
	}
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- p.Run(ctx, bus) }()

	now := time.Now()
	first := w.happening("user.terminated", "1", "maria", now, time.Time{})
	later := w.happening("user.terminated", "2", "peter", now, now.Add(500*time.Millisecond))
	fault := events.Fault{ID: "f1", Source: "hr-relay", Error: "no such member", Time: now}
	publish(t, bus.PublishEvents(ctx, []events.Event{first, later}), bus.PublishFault(ctx, fault))
	until(t, records, first.Case(), planned)
	until(t, records, later.Case(), planned)
	w.rules.hold(1)
	held := w.happening("user.terminated", "3", "paula", now, time.Time{})
	publish(t, bus.PublishEvents(ctx, []events.Event{held}))
	until(t, records, held.Case(), ledger.Held)
	publish(t, bus.PublishCommand(ctx, w.command("c1", events.Approve, held.Case(), "ann")))
	until(t, records, held.Case(), planned)
	wantActions(t, bus, first, later, held)
	if _, err := bus.DeadLetter(ctx, "f1"); err != nil {
		t.Error(err)
	}
	cancel()
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// publish fails the test if anything was not stored.
func publish(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// wantActions takes the first action of each event out of its lane's consumer.
func wantActions(t *testing.T, bus *stream.Bus, all ...events.Event) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	lane, err := bus.Pull(ctx, stream.ActionsOf("okta-prod", events.Normal))
	if err != nil {
		t.Fatal(err)
	}
	defer lane.Close()
	got := map[string]bool{}
	for len(got) < len(all) {
		m, err := lane.Next(ctx)
		if err != nil {
			t.Fatalf("actions %v: %v", got, err)
		}
		bus.Handle(ctx, m, func(context.Context, *stream.Message) events.Outcome {
			got[m.Subject[strings.LastIndexByte(m.Subject, '.')+1:]] = true
			return events.Outcome{Verdict: events.Done}
		})
	}
	for _, e := range all {
		if !got[action(e.Case(), "suspend")] {
			t.Errorf("%s was not published: %v", e.ID, got)
		}
	}
}
