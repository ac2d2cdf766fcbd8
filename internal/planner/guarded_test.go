package planner_test

import (
	"slices"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/playbook"
)

// guardedScenarios are those that guards stand before.
func guardedScenarios() []scenario {
	return slices.Concat(heldScenarios(), pausedScenarios(), lapsedScenarios(), confirmedScenarios(), returningScenarios(), withdrawnScenarios())
}

// heldScenarios are those of a plan that a person or nobody may let go on.
func heldScenarios() []scenario {
	return []scenario{
		{"held, then approved by two", func(w *world) {
			w.rules.approvers = 2
			e := w.happening("user.terminated", "1", "maria", w.clock, time.Time{})
			w.send(e)
			w.settle()
			w.want("held", e.Case(), ledger.Held, needs)
			w.send(w.command("c1", events.Approve, e.Case(), "ann"), w.command("c2", events.Approve, e.Case(), "ann"))
			w.settle()
			w.want("held still", e.Case(), ledger.Held, needs)
			w.wantDone()
			w.send(w.command("c3", events.Approve, e.Case(), "bob"), e)
			w.settle()
			w.want("approved", e.Case(), planned, closed)
			w.wantDone(both(e.Case())...)
			w.wantRest()
		}},
		{"held, then denied", func(w *world) {
			w.rules.approvers = 1
			e := w.happening("user.terminated", "1", "maria", w.clock, time.Time{})
			w.send(e)
			w.settle()
			w.send(w.command("c1", events.Deny, e.Case(), "ann"))
			w.settle()
			w.send(w.command("c2", events.Approve, e.Case(), "bob"))
			w.settle()
			w.want("denied", e.Case(), cancelled, closed)
			w.wantDone()
			w.wantRest()
		}},
		{"braked", func(w *world) {
			w.rules.brakes = []playbook.Brake{{Name: "terminations", Max: 1, Per: time.Hour}}
			e := w.happening("user.terminated", "1", "maria", w.clock, time.Time{})
			over := w.happening("user.terminated", "2", "peter", w.clock, time.Time{})
			w.send(e)
			w.settle()
			w.send(over)
			w.settle()
			w.want("within", e.Case(), planned, closed)
			w.want("over", over.Case(), ledger.Held, needs)
			w.wantDone(both(e.Case())...)
			w.send(w.command("c1", events.Approve, over.Case(), "ann"))
			w.settle()
			w.want("approved", over.Case(), planned, closed)
			w.wantDone(append(both(e.Case()), both(over.Case())...)...)
			w.wantRest()
		}},
		{"held, protected meanwhile, then approved", func(w *world) {
			w.rules.approvers = 1
			e := w.happening("user.terminated", "1", "maria", w.clock, time.Time{})
			w.send(e)
			w.settle()
			w.rules.protected[e.Subject] = true
			w.send(w.command("c1", events.Approve, e.Case(), "ann"))
			w.settle()
			w.want("refused", e.Case(), ledger.Refused, closed)
			w.wantDone()
			w.wantRest()
		}},
		{"refused", func(w *world) {
			e := w.happening("user.terminated", "1", "maria", w.clock, time.Time{})
			w.rules.protected[e.Subject] = true
			w.send(e, e)
			w.settle()
			w.want("refused", e.Case(), ledger.Refused, closed)
			w.wantDone()
			w.wantRest()
		}},
	}
}

// pausedScenarios are those of a plan that waits for the end of a pause.
func pausedScenarios() []scenario {
	return []scenario{
		{"paused, then resumed", func(w *world) {
			e := w.happening("user.terminated", "1", "maria", w.clock, time.Time{})
			w.send(w.pausing("p1", events.Pause, "source:hr-relay", 24*time.Hour))
			w.settle()
			w.send(e)
			w.settle()
			w.want("paused", e.Case(), ledger.Held, ledger.Open)
			w.wantDone()
			w.clock = w.clock.Add(time.Minute)
			w.send(w.pausing("p2", events.Resume, "source:hr-relay", 0))
			w.settle()
			w.want("resumed", e.Case(), planned, closed)
			w.wantDone(both(e.Case())...)
			w.wantRest()
		}},
		{"paused until a time", func(w *world) {
			w.rules.approvers = 1
			e := w.happening("user.terminated", "1", "maria", w.clock, time.Time{})
			w.send(w.pausing("p1", events.Pause, "playbook:offboard", 24*time.Hour))
			w.settle()
			w.send(e)
			w.settle()
			w.advance(23 * time.Hour)
			w.send(w.command("c1", events.Approve, e.Case(), "ann"))
			w.settle()
			w.want("paused", e.Case(), ledger.Held, ledger.Open)
			w.advance(time.Hour)
			w.settle()
			w.want("held for approval", e.Case(), ledger.Held, needs)
			w.send(w.command("c2", events.Approve, e.Case(), "ann"))
			w.settle()
			w.want("approved", e.Case(), planned, closed)
			w.wantDone(both(e.Case())...)
			w.wantRest()
		}},
	}
}

// lapsedScenarios are those of a plan that nobody decided upon.
func lapsedScenarios() []scenario {
	return []scenario{
		{"held, and nobody approves in time", func(w *world) {
			w.rules.approvers, w.rules.expires = 1, 24*time.Hour
			e := w.happening("user.terminated", "1", "maria", w.clock, time.Time{})
			w.send(e)
			w.settle()
			w.advance(23 * time.Hour)
			w.settle()
			w.want("held", e.Case(), ledger.Held, needs)
			w.advance(2 * time.Hour)
			w.settle()
			w.want("denied", e.Case(), cancelled, closed)
			w.wantDone()
			w.wantRest()
		}},
		{"held, and nobody denies in time", func(w *world) {
			w.rules.approvers, w.rules.expires, w.rules.proceed = 2, 24*time.Hour, true
			e := w.happening("user.terminated", "1", "maria", w.clock, time.Time{})
			w.send(e)
			w.settle()
			w.send(w.command("c1", events.Approve, e.Case(), "ann"))
			w.settle()
			w.want("held", e.Case(), ledger.Held, needs)
			w.advance(25 * time.Hour)
			w.settle()
			w.want("goes on", e.Case(), planned, closed)
			w.wantDone(both(e.Case())...)
			w.wantRest()
		}},
	}
}

// pausing is a command about a pause that lasts so long.
func (w *world) pausing(id string, verb events.Verb, target string, lasts time.Duration) events.Command {
	c := w.command(id, verb, target, "ann")
	if lasts > 0 {
		c.Until = w.clock.Add(lasts)
	}
	return c
}
