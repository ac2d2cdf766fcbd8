package planner_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/playbook"
)

// pendingOf sends a termination of somebody that takes effect in three hours.
func (w *world) pendingOf(person string) events.Event {
	e := w.happening("user.terminated", "t-"+person, person, w.clock, w.clock.Add(3*time.Hour))
	w.send(e)
	w.settle()
	return e
}

// TestGuardsBeforeTakingBack: what takes a termination back is held before it has any effect, by each of the guards
// that name it, also when nothing is done for it. Denied, it had none; approved, it takes its place.
func TestGuardsBeforeTakingBack(t *testing.T) {
	for name, set := range map[string]func(r *rules){
		"brake":      func(r *rules) { r.brakes = []playbook.Brake{{Name: "b", Max: 0, Per: time.Hour}} },
		"approve":    func(r *rules) { r.approvers = 1 },
		"confirm_by": func(r *rules) { r.confirm = []playbook.Confirmation{{Within: time.Hour}} },
	} {
		for _, kind := range []string{"user.termination_rescinded", "user.rehired"} {
			for _, verb := range []events.Verb{events.Deny, events.Approve} {
				t.Run(name+"/"+kind+"/"+string(verb), func(t *testing.T) {
					w := newWorld(t)
					w.armed = false
					real := w.pendingOf("maria")
					w.rules.back = true
					set(w.rules)
					w.clock = w.clock.Add(time.Minute)
					forged := w.happening(kind, "2", "maria", w.clock, time.Time{})
					w.send(forged)
					w.settle()
					w.want("forged", forged.Case(), ledger.Held, needs)
					w.want("real", real.Case(), ledger.Scheduled, ledger.Open)
					w.send(w.command("c", verb, forged.Case(), "ann"), forged)
					w.settle()
					w.rules = newRules() // what is due meets no guard
					w.advance(4 * time.Hour)
					w.settle()
					if verb == events.Deny {
						w.want("denied", forged.Case(), cancelled, closed)
						w.want("real, in time", real.Case(), planned, closed)
						w.wantDone(both(real.Case())...)
					} else {
						w.want("approved", forged.Case(), planned, closed)
						w.want("taken back", real.Case(), cancelled, closed)
						w.wantDone()
					}
					w.wantRest()
				})
			}
		}
	}
}

// TestBrakeOnTakingBack: persons are counted, resends are not, and late terminations obey none that is held.
func TestBrakeOnTakingBack(t *testing.T) {
	w := newWorld(t)
	w.armed = false
	w.rules.back, w.rules.brakes = true, nil
	var real, forged []events.Event
	for i := range 6 {
		real = append(real, w.pendingOf(fmt.Sprint("p", i)))
	}
	w.rules.brakes = []playbook.Brake{{Name: "b", Max: 2, Per: time.Hour}}
	w.clock = w.clock.Add(time.Minute)
	for i := range 7 {
		forged = append(forged, w.happening("user.termination_rescinded", fmt.Sprint("f", i), fmt.Sprint("p", i), w.clock, time.Time{}))
		w.send(forged[i], forged[i])
	}
	w.settle()
	lost := 0
	for _, e := range real {
		if w.state(ledger.PlanSubject(e.Case())) == cancelled {
			lost++
		}
	}
	if lost != 2 {
		t.Errorf("%d terminations are taken back, want 2", lost)
	}
	w.rules.brakes = nil
	late := w.happening("user.terminated", "late", "p6", w.clock.Add(-time.Second), time.Time{})
	w.send(late)
	w.settle()
	w.want("late", late.Case(), planned, closed)
}

// TestConfirmedTakingBack: the second source's word lets both go on.
func TestConfirmedTakingBack(t *testing.T) {
	w := newWorld(t)
	w.armed = false
	real := w.pendingOf("maria")
	w.rules.back, w.rules.confirm = true, []playbook.Confirmation{{Within: time.Hour}}
	w.clock = w.clock.Add(time.Minute)
	one := w.happening("user.termination_rescinded", "2", "maria", w.clock, time.Time{})
	w.send(one)
	w.settle()
	w.want("one source", one.Case(), ledger.Held, needs)
	w.want("real", real.Case(), ledger.Scheduled, ledger.Open)
	w.clock = w.clock.Add(time.Minute)
	two := w.happening("user.termination_rescinded", "3", "maria", w.clock, time.Time{})
	two.Scope = "other"
	w.send(two)
	w.settle()
	w.want("taken back", real.Case(), cancelled, closed)
	w.want("two", two.Case(), planned, closed)
}

// TestPausedIntoTheFuture: what a pause held before it had a place may still wait for its time.
func TestPausedIntoTheFuture(t *testing.T) {
	w := newWorld(t)
	w.armed = false
	w.send(w.pausing("p1", events.Pause, "source:hr-relay", time.Hour))
	w.settle()
	e := w.happening("user.terminated", "1", "maria", w.clock, w.clock.Add(5*time.Hour))
	w.send(e)
	w.settle()
	w.advance(2 * time.Hour)
	w.settle()
	w.want("resumed", e.Case(), ledger.Scheduled, ledger.Open)
	w.advance(4 * time.Hour)
	w.settle()
	w.want("in time", e.Case(), planned, closed)
}

// TestTakingBackGoesOnByItself: nobody denied it in time.
func TestTakingBackGoesOnByItself(t *testing.T) {
	w := newWorld(t)
	w.armed = false
	real := w.pendingOf("maria")
	w.rules.back, w.rules.approvers, w.rules.expires, w.rules.proceed = true, 1, time.Hour, true
	w.clock = w.clock.Add(time.Minute)
	back := w.happening("user.rehired", "2", "maria", w.clock, time.Time{})
	w.send(back)
	w.settle()
	w.want("held", back.Case(), ledger.Held, needs)
	w.advance(2 * time.Hour)
	w.settle()
	w.want("goes on", back.Case(), planned, closed)
	w.want("taken back", real.Case(), cancelled, closed)
	if d := w.decision(real.Case()); d.Newer != back.Case() {
		t.Errorf("taken back by %q", d.Newer)
	}
}

// returningScenarios are those of what is held before it takes something back.
func returningScenarios() []scenario {
	return []scenario{{"a rescind held, then approved", func(w *world) {
		real := w.happening("user.terminated", "1", "maria", w.clock, w.clock.Add(3*time.Hour))
		w.send(real)
		w.settle()
		w.rules.back, w.rules.approvers = true, 1
		w.clock = w.clock.Add(time.Minute)
		back := w.happening("user.termination_rescinded", "2", "maria", w.clock, time.Time{})
		w.send(back)
		w.settle()
		w.want("held", back.Case(), ledger.Held, needs)
		w.want("real", real.Case(), ledger.Scheduled, ledger.Open)
		w.send(w.command("c", events.Approve, back.Case(), "ann"), back)
		w.settle()
		w.want("approved", back.Case(), planned, closed)
		w.want("taken back", real.Case(), cancelled, closed)
		w.advance(4 * time.Hour)
		w.settle()
		w.wantDone()
		w.wantRest()
	}}}
}

// TestLapseWithoutGuards: what was to go on by itself does when its guards can be applied again.
func TestLapseWithoutGuards(t *testing.T) {
	w := newWorld(t)
	w.armed = false
	w.rules.approvers, w.rules.expires, w.rules.proceed = 1, time.Hour, true
	e := w.happening("user.terminated", "1", "maria", w.clock, time.Time{})
	w.send(e)
	w.settle()
	w.rules.unclear = errors.New("no value")
	for range 3 {
		w.advance(time.Hour)
		w.settle()
		w.want("unclear", e.Case(), ledger.Held, needs)
	}
	w.rules.unclear = nil
	w.advance(time.Hour)
	w.settle()
	w.want("goes on", e.Case(), planned, closed)
	w.wantDone(both(e.Case())...)
	w.wantRest()
}
