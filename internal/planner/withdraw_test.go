package planner_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
)

// TestForgedReturnsAreUndone: what forged rescinds, rehires and other dates took back before anybody looked is brought
// back by one redrive of what lost by them, in its time, once they are cancelled.
func TestForgedReturnsAreUndone(t *testing.T) {
	for _, kind := range []string{"user.termination_rescinded", "user.rehired", "user.terminated"} {
		w := newWorld(t)
		w.armed = false
		var real, forged []events.Event
		for i := range 4 {
			real = append(real, w.pendingOf(fmt.Sprint("p", i)))
		}
		w.clock = w.clock.Add(time.Minute)
		for i := range real {
			effective := time.Time{}
			if kind == "user.terminated" {
				effective = w.clock.Add(900 * time.Hour)
			}
			forged = append(forged, w.happening(kind, fmt.Sprint("f", i), fmt.Sprint("p", i), w.clock, effective))
			w.send(forged[i])
		}
		w.settle()
		early := w.command("early", events.RedriveVerb, real[0].Case(), "ann")
		w.send(early)
		w.settle()
		if got := w.answer("early"); !strings.Contains(got, "newer event") {
			t.Errorf("%s: redriven before the forged one is cancelled: %q", kind, got)
		}
		for i, e := range forged {
			w.send(w.command(fmt.Sprint("c", i), events.Cancel, e.Case(), "ann"))
		}
		w.settle()
		if got := w.answer("c0"); !strings.Contains(got, real[0].Case()) {
			t.Errorf("%s: the receipt names nobody: %q", kind, got)
		}
		w.want(kind+", cancelled", forged[0].Case(), cancelled, closed)
		if len(w.now.letters) != len(real) {
			t.Errorf("%s: %d letters", kind, len(w.now.letters))
		}
		for id := range w.now.letters {
			w.send(w.command("r"+id, events.RedriveVerb, id, "ann"))
		}
		w.settle()
		var want []string
		for _, e := range real {
			w.want(kind+", redriven", e.Case(), ledger.Scheduled, ledger.Open)
			want = append(want, both(e.Case())...)
		}
		w.wantDone()
		w.advance(1000 * time.Hour)
		w.settle()
		for _, e := range real {
			w.want(kind+", in time", e.Case(), planned, closed)
		}
		w.wantDone(want...)
		w.wantRest()
	}
}

// withdrawnScenarios are those of a termination that comes back.
func withdrawnScenarios() []scenario {
	return []scenario{{"taken back by a forged event, and redriven", func(w *world) {
		real := w.happening("user.terminated", "1", "maria", w.clock, w.clock.Add(3*time.Hour))
		w.send(real)
		w.settle()
		w.clock = w.clock.Add(time.Minute)
		forged := w.happening("user.rehired", "2", "maria", w.clock, time.Time{})
		w.send(forged)
		w.settle()
		w.send(w.command("c", events.Cancel, forged.Case(), "ann"))
		w.settle()
		w.advance(4 * time.Hour)
		w.send(w.command("r", events.RedriveVerb, real.Case(), "ann"), real)
		w.settle()
		w.want("in time", real.Case(), planned, closed)
		w.wantDone(both(real.Case())...)
		w.wantRest()
	}}}
}
