package planner_test

import (
	"slices"
	"testing"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
)

// The states that the scenarios ask for, short.
const (
	planned    = ledger.Planned
	superseded = ledger.Superseded
	cancelled  = ledger.Cancelled
	closed     = ledger.Closed
	needs      = ledger.NeedsPerson
)

func TestCrashAnywhere(t *testing.T) {
	for _, s := range scenarios() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			explore(t, s)
		})
	}
}

func scenarios() []scenario {
	return slices.Concat(plainScenarios(), guardedScenarios(), overtakenScenarios(), redatedScenarios(), joinedScenarios(), chainScenarios(), claimedScenarios(), apartScenarios(), deadScenarios(), lateScenarios(), watchedScenarios(), unplannedScenarios())
}

// plainScenarios are those of one event.
func plainScenarios() []scenario {
	return []scenario{
		{"terminated", func(w *world) {
			e := w.happening("user.terminated", "1", "maria", w.clock, time.Time{})
			w.send(e)
			w.plan()
			w.want("termination", e.Case(), planned, ledger.Open)
			w.settle()
			w.send(e)
			w.settle()
			w.want("termination", e.Case(), planned, closed)
			w.wantDone(both(e.Case())...)
			w.wantRest()
		}},
		{"scheduled, then due", func(w *world) {
			e := w.happening("user.terminated", "1", "maria", w.clock, w.clock.Add(24*time.Hour))
			w.send(e)
			w.settle()
			w.want("waiting", e.Case(), ledger.Scheduled, ledger.Open)
			w.wantDone()
			w.send(e)
			w.advance(25 * time.Hour)
			w.settle()
			w.want("due", e.Case(), planned, closed)
			w.wantDone(both(e.Case())...)
			w.wantRest()
		}},
	}
}

// overtakenScenarios are those of a person whose newer event, or an operator, takes an older one back.
func overtakenScenarios() []scenario {
	return []scenario{
		{"rescinded before it is due", func(w *world) {
			e := w.happening("user.terminated", "1", "maria", w.clock, w.clock.Add(24*time.Hour))
			back := w.happening("user.termination_rescinded", "2", "maria", w.clock.Add(time.Hour), time.Time{})
			w.send(e)
			w.settle()
			w.send(back)
			w.settle()
			w.advance(25 * time.Hour)
			w.settle()
			w.want("termination", e.Case(), cancelled, closed)
			w.want("rescind", back.Case(), planned, closed)
			w.wantDone()
			w.wantRest()
		}},
		{"rescinded while both are on their way", func(w *world) {
			e := w.happening("user.terminated", "1", "maria", w.clock, time.Time{})
			back := w.happening("user.termination_rescinded", "2", "maria", w.clock, time.Time{})
			w.send(e, back)
			w.plan()
			w.settle()
			w.wantDone()
			w.wantRest()
			w.want("rescind", back.Case(), planned, closed)
			if got := w.state(ledger.LifecycleSubject(e.Case())); got != closed {
				w.t.Errorf("termination %q", got)
			}
		}},
		{"rescinded before it came", func(w *world) {
			e := w.happening("user.terminated", "1", "maria", w.clock, time.Time{})
			back := w.happening("user.rehired", "2", "maria", w.clock.Add(time.Hour), time.Time{})
			w.send(back, e)
			w.plan()
			w.settle()
			if s := w.state(ledger.PlanSubject(e.Case())); s != superseded && s != cancelled && s != planned {
				w.t.Errorf("termination %q", s)
			}
			w.wantDone()
			w.wantRest()
		}},
		{"rescinded after it was done", func(w *world) {
			e := w.happening("user.terminated", "1", "maria", w.clock, time.Time{})
			back := w.happening("user.rehired", "2", "maria", w.clock.Add(time.Hour), time.Time{})
			w.send(e)
			w.settle()
			w.send(back, back)
			w.settle()
			w.want("termination", e.Case(), planned, closed)
			w.want("rehire", back.Case(), planned, needs)
			if d := w.decision(back.Case()); len(d.Begun) != 2 {
				w.t.Errorf("begun: %+v", d.Begun)
			}
			w.wantDone(both(e.Case())...)
			w.send(w.command("c1", events.Cancel, back.Case(), "ann"))
			w.settle()
			w.want("rehire, seen to", back.Case(), planned, closed)
			w.wantRest()
		}},
	}
}

// redatedScenarios are those of a person whose termination gets another date, or is given again.
func redatedScenarios() []scenario {
	return []scenario{
		{"given another date", func(w *world) {
			e := w.happening("user.terminated", "1", "maria", w.clock, w.clock.Add(24*time.Hour))
			later := w.happening("user.terminated", "2", "maria", w.clock.Add(time.Hour), w.clock.Add(72*time.Hour))
			w.send(e)
			w.settle()
			w.send(later)
			w.settle()
			w.advance(25 * time.Hour)
			w.settle()
			w.want("first date", e.Case(), superseded, closed)
			w.wantDone()
			w.advance(48 * time.Hour)
			w.settle()
			w.want("second date", later.Case(), planned, closed)
			w.wantDone(both(later.Case())...)
			w.wantRest()
		}},
		{"given another date under the same id", func(w *world) {
			e := w.happening("user.terminated", "1", "maria", w.clock, w.clock.Add(24*time.Hour))
			later := w.happening("user.terminated", "1", "maria", w.clock.Add(time.Hour), w.clock.Add(72*time.Hour))
			own := later
			own.ID += "~" + later.ContentHash()
			w.send(e)
			w.settle()
			w.send(later)
			w.settle()
			w.want("nobody knows which date is right", own.Case(), ledger.Conflict, needs)
			w.want("first date", e.Case(), ledger.Scheduled, ledger.Open)
			w.send(w.command("c1", events.RedriveVerb, own.Case(), "ann"))
			w.settle()
			w.want("a person said the second", e.Case(), superseded, closed)
			w.advance(25 * time.Hour)
			w.settle()
			w.wantDone()
			w.advance(48 * time.Hour)
			w.settle()
			w.want("second date", own.Case(), planned, closed)
			w.wantDone(both(own.Case())...)
			w.wantRest()
		}},
		{"taken back and given again", func(w *world) {
			w.rules.steps["user.rehired"] = []string{"restore"}
			e := w.happening("user.terminated", "1", "maria", w.clock, w.clock.Add(24*time.Hour))
			back := w.happening("user.rehired", "2", "maria", w.clock.Add(time.Hour), time.Time{})
			again := w.happening("user.terminated", "3", "maria", w.clock.Add(2*time.Hour), time.Time{})
			w.send(e)
			w.settle()
			w.send(back)
			w.settle()
			w.send(again)
			w.settle()
			w.want("termination", e.Case(), cancelled, closed)
			w.want("rehire", back.Case(), planned, closed)
			w.want("termination again", again.Case(), planned, closed)
			w.advance(25 * time.Hour) // what a power cut scheduled again finds that it is cancelled
			w.settle()
			w.wantDone(append(both(again.Case()), action(back.Case(), "restore"))...)
			w.wantRest()
		}},
		{"cancelled by an operator", func(w *world) {
			e := w.happening("user.terminated", "1", "maria", w.clock, w.clock.Add(24*time.Hour))
			w.send(e)
			w.settle()
			w.send(w.command("c1", events.Cancel, e.Case(), "ann"))
			w.settle()
			w.advance(25 * time.Hour)
			w.settle()
			w.want("cancelled", e.Case(), cancelled, closed)
			w.wantDone()
			w.wantRest()
		}},
	}
}

// redrivenTogether has the first and the last step of a termination die, and a person send both again.
func redrivenTogether(steps ...string) func(w *world) {
	return func(w *world) {
		w.rules.steps["user.terminated"] = steps
		e := w.happening("user.terminated", "1", "maria", w.clock, time.Time{})
		first, last := action(e.Case(), steps[0]), action(e.Case(), steps[len(steps)-1])
		w.dies[first], w.dies[last] = 1, 1
		w.send(e)
		w.settle()
		w.wantRest(first, last)
		second := w.command("c2", events.RedriveVerb, last, "ann")
		second.Behind = []string{"c1"}
		w.send(second, w.command("c1", events.RedriveVerb, first, "ann")) // handlers beside each other keep no order
		w.plan()
		if slices.ContainsFunc(w.now.actions, func(a events.Action) bool { return a.ID == last }) {
			w.t.Error("sent before what it goes after has ended")
		}
		w.settle()
		w.want("redriven", e.Case(), planned, closed)
		var made []string // what had not died first
		for _, step := range slices.Concat(steps[1:len(steps)-1], []string{steps[0], steps[len(steps)-1]}) {
			made = append(made, action(e.Case(), step))
		}
		w.wantDone(made...)
		if !slices.Equal(w.made, made) {
			w.t.Errorf("made in this order: %v", w.made)
		}
		w.wantRest()
	}
}

// foundOut has an event find out that somebody who stays was terminated under another name, and a person see to that.
func foundOut(verb events.Verb) func(w *world) {
	return func(w *world) {
		old := w.called("user.terminated", "1", ids(login), w.clock, time.Time{})
		newest := w.called("user.termination_rescinded", "2", ids(mail1), w.clock.Add(2*time.Hour), time.Time{})
		found := w.called("user.termination_rescinded", "3", ids(login, mail1), w.clock.Add(time.Hour), time.Time{})
		w.clock = w.clock.Add(3 * time.Hour)
		for _, e := range []events.Event{old, newest, found} {
			w.send(e)
			w.settle()
		}
		w.want("found out", found.Case(), superseded, needs)
		w.send(w.command("c1", verb, found.Case(), "ann"))
		w.settle()
		w.want("seen to", found.Case(), superseded, closed)
		w.send(found)
		w.settle()
		w.want("sent again", found.Case(), superseded, closed)
		w.wantDone(both(old.Case())...)
		w.wantRest()
	}
}

// deadScenarios are those that need a person.
func deadScenarios() []scenario {
	return []scenario{
		{"conflict, then redriven", conflictThen(events.RedriveVerb, planned)},
		{"conflict, then dropped", conflictThen(events.Drop, cancelled)},
		{"dead, then redriven, dead again and redriven again", func(w *world) {
			e := w.happening("user.terminated", "1", "maria", w.clock, time.Time{})
			id := action(e.Case(), "suspend")
			w.dies[id] = 2
			w.send(e)
			w.settle()
			w.want("dead", e.Case(), planned, needs)
			w.send(w.command("c1", events.RedriveVerb, id, "ann"))
			w.settle()
			w.want("dead again", e.Case(), planned, needs)
			w.wantRest(id)
			w.send(w.command("c1", events.RedriveVerb, id, "ann"), w.command("c2", events.RedriveVerb, id, "ann"))
			w.settle()
			w.want("redriven", e.Case(), planned, closed)
			w.wantDone(both(e.Case())...)
			w.wantRest()
		}},
		{"both dead, then redriven together", redrivenTogether("suspend", "tokens")},
		{"dead around one that is done, then redriven together", redrivenTogether("suspend", "restore", "tokens")},
		{"found out who is who, and seen to", foundOut(events.Cancel)},
		{"found out who is who, and forged", foundOut(events.Withdraw)},
		{"dead, then dropped", func(w *world) {
			e := w.happening("user.terminated", "1", "maria", w.clock, time.Time{})
			id := action(e.Case(), "suspend")
			w.dies[id] = 1
			w.send(e)
			w.settle()
			w.send(w.command("c1", events.Drop, id, "ann"))
			w.settle()
			w.want("dropped", e.Case(), planned, closed)
			w.wantDone(action(e.Case(), "tokens"))
			w.wantRest()
		}},
		{"not to be planned, then redriven", func(w *world) {
			w.rules.fault = errBroker
			e := w.happening("user.terminated", "1", "maria", w.clock, time.Time{})
			w.send(e)
			w.settle()
			w.want("unplannable", e.Case(), "", needs)
			w.wantRest(e.Case())
			w.send(w.command("c1", events.RedriveVerb, e.Case(), "ann"))
			w.settle()
			w.wantRest(e.Case())
			w.rules.fault = nil
			w.send(w.command("c2", events.RedriveVerb, e.Case(), "ann"))
			w.settle()
			w.want("redriven", e.Case(), planned, closed)
			w.wantDone(both(e.Case())...)
			w.wantRest()
		}},
		{"not to be planned, and too large to be kept, then dropped and sent again", func(w *world) {
			w.rules.fault = errBroker
			e := w.happening("user.terminated", "1", "maria", w.clock, time.Time{})
			w.send(e)
			w.settle()
			for _, b := range []broker{w.now, w.disk} {
				letter := b.letters[e.Case()]
				letter.Original = nil
				b.letters[e.Case()] = letter
			}
			w.rules.fault = nil
			w.send(w.command("c1", events.Drop, e.Case(), "ann"))
			w.settle()
			w.want("dropped", e.Case(), "", closed)
			w.wantRest()
			w.send(e)
			w.settle()
			w.want("sent again", e.Case(), planned, closed)
			w.wantDone(both(e.Case())...)
			w.wantRest()
		}},
	}
}

// conflictThen sends other content under the same id, and a command upon it.
func conflictThen(verb events.Verb, plan ledger.State) func(w *world) {
	return func(w *world) {
		e := w.happening("user.terminated", "1", "maria", w.clock, time.Time{})
		other := w.happening("user.terminated", "1", "peter", w.clock, time.Time{})
		own := other
		own.ID += "~" + other.ContentHash()
		w.send(e)
		w.settle()
		w.send(other, other)
		w.settle()
		w.want("first", e.Case(), planned, closed)
		w.want("conflict", own.Case(), ledger.Conflict, needs)
		w.wantDone(both(e.Case())...)
		w.wantRest(own.Case())
		w.send(w.command("c1", verb, own.Case(), "ann"))
		w.settle()
		w.want("after", own.Case(), plan, closed)
		want := both(e.Case())
		if verb == events.RedriveVerb {
			want = append(want, both(own.Case())...)
		}
		w.wantDone(want...)
		w.send(other)
		w.settle()
		w.wantRest()
	}
}

func (w *world) command(id string, verb events.Verb, target, actor string) events.Command {
	return events.Command{ID: id, Verb: verb, Target: target, Actor: actor, Reason: "because", Time: w.clock}
}
