package planner_test

import (
	"strings"
	"testing"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
)

// unplannedScenarios are those of an event that the playbooks could not be applied to, and that has its place already.
func unplannedScenarios() []scenario {
	return []scenario{
		{"overtook, could not be planned, and is dropped", func(w *world) {
			real := w.happening("user.terminated", "1", "maria", w.clock, w.clock.Add(3*time.Hour))
			w.send(real)
			w.settle()
			w.clock, w.rules.fault = w.clock.Add(time.Minute), errBroker
			weak := w.happening("user.rehired", "2", "maria", w.clock, time.Time{})
			w.send(weak)
			w.settle()
			w.want("taken", real.Case(), cancelled, closed)
			w.rules.fault = nil
			w.send(w.command("d", events.Drop, weak.Case(), "ann"))
			w.settle()
			w.want("dropped", weak.Case(), cancelled, closed)
			w.want("decided anew", real.Case(), ledger.Scheduled, ledger.Open)
			w.advance(3 * time.Hour)
			w.settle()
			w.want("on its day", real.Case(), planned, closed)
			w.wantDone(both(real.Case())...)
			w.wantRest()
		}},
		{"other content under the id of what could not be planned", func(w *world) {
			first, other := contents(w)
			w.rules.fault = errBroker
			w.send(first)
			w.settle()
			w.send(other, first)
			w.settle()
			apart(w, first, other)
		}},
		{"other content under the id of what can be planned by now", func(w *world) {
			other, first := contents(w)
			w.rules.fault = errBroker
			w.send(other)
			w.settle()
			w.rules.fault = nil
			w.send(first, first)
			w.settle()
			apart(w, first, other)
		}},
		{"could not be planned when its pause was over, and is dropped", func(w *world) {
			e := w.happening("user.terminated", "1", "maria", w.clock, time.Time{})
			w.send(w.pausing("p1", events.Pause, "source:hr-relay", time.Hour))
			w.settle()
			w.send(e)
			w.settle()
			w.rules.fault = errBroker
			w.advance(time.Hour)
			w.settle()
			w.want("over", e.Case(), ledger.Held, needs)
			w.send(e)
			w.settle()
			w.want("sent again", e.Case(), ledger.Held, needs)
			w.rules.fault = nil
			w.send(w.command("d", events.Drop, e.Case(), "ann"))
			w.settle()
			w.send(e)
			w.settle()
			w.want("dropped", e.Case(), cancelled, closed)
			w.wantDone()
			w.wantRest()
		}},
		{"could not be planned, and can when it is sent again for a day to come", func(w *world) {
			w.rules.fault = errBroker
			e := w.happening("user.terminated", "1", "maria", w.clock, w.clock.Add(time.Hour))
			w.send(e)
			w.settle()
			w.rules.fault = nil
			w.send(e)
			w.settle()
			w.want("sent again", e.Case(), ledger.Scheduled, ledger.Open)
			if len(w.now.letters) > 0 {
				w.t.Errorf("letters %v", w.now.letters)
			}
			w.advance(time.Hour)
			w.settle()
			w.want("on its day", e.Case(), planned, closed)
			w.wantDone(both(e.Case())...)
			w.wantRest()
		}},
		{"other content under the id of what is paused by now", func(w *world) {
			other, first := contents(w)
			w.rules.fault = errBroker
			w.send(other)
			w.settle()
			w.rules.fault = nil
			w.send(w.pausing("p1", events.Pause, "source:hr-relay", time.Hour))
			w.settle()
			w.send(first)
			w.settle()
			w.want("paused", first.Case(), ledger.Held, ledger.Open)
			w.advance(time.Hour)
			w.settle()
			apart(w, first, other)
		}},
	}
}

// contents are two that a sender gives one id.
func contents(w *world) (first, other events.Event) {
	return w.happening("user.terminated", "1", "maria", w.clock, time.Time{}), w.happening("user.terminated", "1", "peter", w.clock, time.Time{})
}

// apart redrives the letters of two contents under one id, of which the first has the case: neither is lost.
func apart(w *world, first, other events.Event) {
	own := other
	own.ID += "~" + other.ContentHash()
	w.want("the other", own.Case(), ledger.Conflict, needs)
	w.rules.fault = nil
	w.send(w.command("r1", events.RedriveVerb, first.Case(), "ann"), w.command("r2", events.RedriveVerb, own.Case(), "ann"))
	w.settle()
	w.wantDone(append(both(first.Case()), both(own.Case())...)...)
	w.wantRest()
}

// TestWhatListsBegunNeedsAPerson: also when its case was open before it was decided, because its source was paused.
func TestWhatListsBegunNeedsAPerson(t *testing.T) {
	w := newWorld(t)
	w.armed = false
	e := w.happening("user.terminated", "1", "maria", w.clock, time.Time{})
	w.send(e)
	w.settle()
	w.clock = w.clock.Add(time.Minute)
	back := w.happening("user.rehired", "2", "maria", w.clock, time.Time{})
	w.send(w.pausing("p1", events.Pause, "source:hr-relay", time.Hour), back)
	w.settle()
	w.want("paused", back.Case(), ledger.Held, ledger.Open)
	w.advance(time.Hour)
	w.settle()
	w.want("decided", back.Case(), planned, needs)
	w.send(w.command("c", events.Cancel, back.Case(), "ann"))
	w.settle()
	w.want("seen to", back.Case(), planned, closed)
	w.wantRest()
}

// TestRedriveSaysWhatBecameOfIt: a receipt tells of no plan that was not made.
func TestRedriveSaysWhatBecameOfIt(t *testing.T) {
	w := newWorld(t)
	w.armed = false
	w.rules.fault = errBroker
	e := w.happening("user.terminated", "1", "maria", w.clock, time.Time{})
	w.send(e)
	w.settle()
	w.rules.fault = nil
	w.rules.hold(1)
	w.send(w.command("held", events.RedriveVerb, e.Case(), "ann"), w.command("d", events.Deny, e.Case(), "ann"),
		w.command("denied", events.RedriveVerb, e.Case(), "ann"))
	w.settle()
	for id, want := range map[string]string{"held": "planned anew, and held: needs 1 approvals", "denied": "the case is cancelled already"} {
		if got := w.answer(id); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %q, want %q", id, got, want)
		}
	}
}
