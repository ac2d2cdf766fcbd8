package planner_test

import (
	"fmt"
	"testing"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
)

// TestPoisonedReturns: who holds one source's key takes back no more terminations than the brake lets pass, and one
// command after the denial brings these back: everybody who was to leave leaves in time.
func TestPoisonedReturns(t *testing.T) {
	for _, kind := range []string{"user.termination_rescinded", "user.rehired"} {
		w := poisoned(t)
		var real, forged []events.Event
		for i := range 20 {
			e := w.hostile("user.terminated", fmt.Sprint("t", i), employee(i), map[string]any{
				"effective_at": w.clock.Add(time.Duration(4+i) * time.Hour).Format(time.RFC3339)})
			real = append(real, e)
			w.send(e)
		}
		w.settle()
		w.clock = w.clock.Add(time.Minute)
		for i := range real {
			e := w.hostile(kind, fmt.Sprint("f", i), employee(i), nil)
			e.Scope = "stolen"
			e = w.overWire(e)
			forged = append(forged, e)
			w.send(e, e)
		}
		w.settle()
		if lost := w.standing(real, cancelled); lost != hourly {
			t.Errorf("%s: %d terminations are taken back, want %d", kind, lost, hourly)
		}
		if held := w.standing(forged, ledger.Held); held != len(forged)-hourly {
			t.Errorf("%s: %d are held", kind, held)
		}
		for i, e := range forged {
			w.send(w.command(fmt.Sprint("cancel", i), events.Cancel, e.Case(), "ann"))
		}
		w.settle()
		if len(w.now.letters) != hourly {
			t.Errorf("%s: %d letters", kind, len(w.now.letters))
		}
		for id := range w.now.letters {
			w.send(w.command("r"+id, events.RedriveVerb, id, "ann"))
		}
		w.settle()
		if n := w.standing(real, ledger.Scheduled); n != len(real) {
			t.Errorf("%s: %d terminations stand again", kind, n)
		}
		for range 30 {
			w.advance(time.Hour)
			w.settle()
		}
		if n := len(w.acted()); n != len(real) {
			t.Errorf("%s: %d left in time", kind, n)
		}
		w.wantRest()
	}
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
