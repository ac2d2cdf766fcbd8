package planner_test

import (
	"fmt"
	"testing"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
)

// TestPoisonedReturns: who holds one source's key takes back no more terminations than the brake lets pass, also of those
// that lanes have begun, and the one command that cancels what was forged brings these back: everybody who was to leave
// leaves in time, and nothing is done twice under one id.
func TestPoisonedReturns(t *testing.T) {
	const people, begun = 20, 4
	for _, kind := range []string{"user.termination_rescinded", "user.rehired"} {
		w := poisoned(t)
		real := w.leaving(people, begun)
		w.clock = w.clock.Add(time.Minute)
		var forged []events.Event
		for i := range real {
			e := w.hostile(kind, fmt.Sprint("f", i), employee(i), nil)
			e.Scope = "stolen"
			e = w.overWire(e)
			forged = append(forged, e)
			w.send(e, e)
		}
		w.settle()
		if lost := w.standing(real, cancelled); lost != hourly-begun {
			t.Errorf("%s: %d terminations are taken back, want %d", kind, lost, hourly-begun)
		}
		if held := w.standing(forged, ledger.Held); held != len(forged)-hourly {
			t.Errorf("%s: %d are held", kind, held)
		}
		if len(w.done) != begun {
			t.Errorf("%s: done meanwhile: %v", kind, w.done)
		}
		for i, e := range forged {
			w.send(w.command(fmt.Sprint("cancel", i), events.Withdraw, e.Case(), "ann"))
		}
		w.settle()
		if n := w.standing(real, ledger.Scheduled); n != people-begun {
			t.Errorf("%s: %d terminations stand again", kind, n)
		}
		for range 30 {
			w.advance(time.Hour)
			w.settle()
		}
		if n := len(w.acted()); n != len(real) {
			t.Errorf("%s: %d left in time", kind, n)
		}
		if n := len(w.done); n != 2*people+begun { // the first action of those that had begun is looked at in their second case
			t.Errorf("%s: %d changes: %v", kind, n, w.done)
		}
		w.wantRest()
	}
}

// leaving sends terminations: so many of them are begun by the lanes, the others are for a time to come.
func (w *world) leaving(people, begun int) []events.Event {
	var real []events.Event
	for i := range people {
		var more map[string]any
		if i >= begun {
			more = map[string]any{"effective_at": w.clock.Add(time.Duration(4+i) * time.Hour).Format(time.RFC3339)}
		}
		e := w.hostile("user.terminated", fmt.Sprint("t", i), employee(i), more)
		real = append(real, e)
		w.send(e)
	}
	w.plan()
	for range begun {
		w.work()
	}
	return real
}

// standing counts the cases whose plan stands so.
func (w *world) standing(list []events.Event, s ledger.State) int {
	n := 0
	for _, e := range list {
		if w.state(ledger.PlanSubject(e.Case())) == s {
			n++
		}
	}
	return n
}
