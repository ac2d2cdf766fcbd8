package planner_test

import (
	"strings"
	"testing"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/planner"
)

// TestPauseHoldsItsOwn: a source or a playbook, and no other.
func TestPauseHoldsItsOwn(t *testing.T) {
	for target, want := range map[string]ledger.State{
		"source:hr-relay": ledger.Held, "playbook:offboard": ledger.Held, "source:siem": planned, "playbook:other": planned,
		"connection:okta-prod": planned, planner.PauseAll: planned, // their lanes stand still, not the plans
	} {
		w := newWorld(t)
		w.armed = false
		e := w.happening("user.terminated", "1", "maria", w.clock, time.Time{})
		w.send(w.pausing("p1", events.Pause, target, time.Hour))
		w.settle()
		w.send(e)
		w.settle()
		if got := w.state(ledger.PlanSubject(e.Case())); got != want {
			t.Errorf("%s: plan %q, want %q", target, got, want)
		}
		list, err := planner.Pauses(t.Context(), w.ledger(), w.clock)
		if err != nil || len(list) != 1 || list[0].Stops("okta-prod") != (target == planner.PauseAll || target == "connection:okta-prod") {
			t.Errorf("%s: pauses %v %v", target, list, err)
		}
		if list, err = planner.Pauses(t.Context(), w.ledger(), w.clock.Add(time.Hour)); err != nil || len(list) != 0 {
			t.Errorf("%s: after its deadline %v %v", target, list, err)
		}
	}
}

// TestPausedSourceTakesNothing: while a source is paused, none of its events takes from what others said. When it goes
// on, they count by their own time.
func TestPausedSourceTakesNothing(t *testing.T) {
	for name, far := range map[string]time.Duration{"user.termination_rescinded": 0, "user.rehired": 0, "user.terminated": 900 * time.Hour} {
		w := newWorld(t)
		w.armed = false
		real := w.happening("user.terminated", "1", "maria", w.clock, w.clock.Add(3*time.Hour))
		w.send(real, w.pausing("p1", events.Pause, "source:stolen", 2*time.Hour))
		w.settle()
		w.clock = w.clock.Add(time.Minute)
		effective := time.Time{}
		if far > 0 {
			effective = w.clock.Add(far)
		}
		forged := w.happening(name, "2", "maria", w.clock, effective)
		forged.Scope = "stolen"
		forged = w.overWire(forged)
		w.send(forged)
		w.settle()
		w.want(name+", paused", forged.Case(), ledger.Held, ledger.Open)
		w.want("real", real.Case(), ledger.Scheduled, ledger.Open)
		w.send(w.command("d", events.Deny, forged.Case(), "ann"))
		w.settle()
		w.want(name+", denied", forged.Case(), ledger.Cancelled, closed)
		w.advance(4 * time.Hour)
		w.settle()
		w.want("real, in time", real.Case(), planned, closed)
		if t.Failed() {
			return
		}
	}
	w := newWorld(t)
	w.armed = false
	real := w.happening("user.terminated", "1", "maria", w.clock, w.clock.Add(3*time.Hour))
	w.send(real, w.pausing("p1", events.Pause, "source:other", 2*time.Hour))
	w.settle()
	w.clock = w.clock.Add(time.Minute)
	back := w.happening("user.termination_rescinded", "2", "maria", w.clock, time.Time{})
	back.Scope = "other"
	back = w.overWire(back)
	w.send(back)
	w.settle()
	w.advance(2 * time.Hour)
	w.settle()
	w.want("resumed", back.Case(), planned, closed)
	w.want("taken back", real.Case(), ledger.Cancelled, closed)
}

// TestPauseCommands: which are refused, and that the later of two counts whatever comes first.
func TestPauseCommands(t *testing.T) {
	w := newWorld(t)
	w.armed = false
	for id, c := range map[string]events.Command{
		"a": w.pausing("a", events.Pause, "offboard", time.Hour), "b": w.pausing("b", events.Pause, "queue:x", time.Hour),
		"c": w.pausing("c", events.Pause, "source:", time.Hour), "d": w.pausing("d", events.Pause, "source:hr", 0),
		"e": w.pausing("e", events.Pause, "source:hr", -time.Hour), "f": w.pausing("f", events.Pause, "source:hr", 40*24*time.Hour),
		"g": w.pausing("g", events.Resume, "source:hr", 0),
	} {
		w.send(c)
		w.settle()
		if got := w.answer(id); strings.Contains(got, "paused until") || got == "" {
			t.Errorf("%s %s: %q", id, c.Target, got)
		}
	}
	late := w.pausing("late", events.Pause, "source:hr", time.Hour)
	w.clock = w.clock.Add(time.Minute)
	w.send(w.pausing("p1", events.Pause, "source:hr", time.Hour))
	w.settle()
	w.clock = w.clock.Add(time.Minute)
	w.send(w.pausing("p2", events.Resume, "source:hr", 0), late)
	w.settle()
	if got := w.answer("late"); !strings.Contains(got, "later command") {
		t.Errorf("a pause that came after its resume: %q", got)
	}
	if list, err := planner.Pauses(t.Context(), w.ledger(), w.clock); err != nil || len(list) != 0 {
		t.Errorf("pauses %v %v", list, err)
	}
}

// TestPauseLastsFromWhenItWasTaken: how long it lasts counts from when the broker took its command, whatever the clock of
// the operator's machine says and whenever the command is worked off. One that names no span ends at its time.
func TestPauseLastsFromWhenItWasTaken(t *testing.T) {
	for name, off := range map[string]time.Duration{"slow": -10 * time.Minute, "fast": 10 * time.Minute, "a day behind": -24 * time.Hour} {
		w := newWorld(t)
		w.armed = false
		c := w.pausing("p1", events.Pause, "source:hr", 2*time.Hour)
		c.Lasts, c.Until = 2*time.Hour, c.Until.Add(off)
		longest := w.pausing("p2", events.Pause, "source:siem", 31*24*time.Hour)
		longest.Lasts, longest.Until = 31*24*time.Hour, longest.Until.Add(off)
		at := w.pausing("p3", events.Pause, "source:board", time.Hour)
		w.send(c, longest, at)
		want := map[string]time.Time{"source:hr": c.Time.Add(2 * time.Hour), "source:siem": longest.Time.Add(31 * 24 * time.Hour), "source:board": at.Until}
		w.clock = w.clock.Add(5 * time.Minute)
		w.settle()
		list, err := planner.Pauses(t.Context(), w.ledger(), w.clock)
		if err != nil || len(list) != len(want) {
			t.Fatalf("%s: pauses %v %v", name, list, err)
		}
		for _, p := range list {
			if !p.Until.Equal(want[p.Target]) {
				t.Errorf("%s: %s until %s, want %s", name, p.Target, p.Until, want[p.Target])
			}
		}
	}
	w := newWorld(t)
	w.armed = false
	for id, lasts := range map[string]time.Duration{"over": 31*24*time.Hour + 1, "none": -time.Hour} {
		c := w.pausing(id, events.Pause, "source:hr", time.Hour)
		c.Lasts = lasts
		w.send(c)
		w.settle()
		if got := w.answer(id); got == "" || strings.Contains(got, "paused until") {
			t.Errorf("%s: %q", id, got)
		}
	}
}

// TestPauseThatEndsWhileAPlanIsHeld: whoever ends a pause sees the plan that waits for it, or the plan sees that it
// ended, at whichever write they meet.
func TestPauseThatEndsWhileAPlanIsHeld(t *testing.T) {
	for at := 0; ; at++ {
		w := newWorld(t)
		w.armed = false
		w.send(w.pausing("p1", events.Pause, "source:hr-relay", 24*time.Hour))
		w.settle()
		e := w.happening("user.terminated", "1", "maria", w.clock, time.Time{})
		w.armed, w.meetAt = true, at
		w.meet = func() {
			w.send(w.pausing("p2", events.Resume, "source:hr-relay", 0))
			w.deliverLast()
		}
		w.send(e)
		w.deliver()
		if w.meet != nil {
			return
		}
		w.settle()
		w.want("resumed", e.Case(), planned, closed)
		if t.Failed() {
			t.Fatalf("met at write %d of %v", at, w.steps)
		}
	}
}

// TestPauseWithAnotherDeadline: it moves for what waits already.
func TestPauseWithAnotherDeadline(t *testing.T) {
	w := newWorld(t)
	w.armed = false
	w.send(w.pausing("p1", events.Pause, "source:hr-relay", 24*time.Hour))
	w.settle()
	e := w.happening("user.terminated", "1", "maria", w.clock, time.Time{})
	w.send(e)
	w.settle()
	w.clock = w.clock.Add(time.Minute)
	w.send(w.pausing("p2", events.Pause, "source:hr-relay", time.Hour), w.pausing("p3", events.Pause, "playbook:offboard", 2*time.Hour))
	w.settle()
	w.advance(59 * time.Minute)
	w.settle()
	w.want("paused", e.Case(), ledger.Held, ledger.Open)
	w.advance(time.Minute)
	w.settle()
	if h := w.decision(e.Case()).Hold; h == nil || strings.Join(h.Pauses, " ") != "playbook:offboard" {
		t.Errorf("hold %+v, want the second pause", h)
	}
	w.advance(time.Hour)
	w.settle()
	w.want("resumed", e.Case(), planned, closed)
	w.wantRest()
}

// TestPauseOfWhatIsNotThere: it is refused, a source is paused by its scope, and a pause that holds can always be ended.
func TestPauseOfWhatIsNotThere(t *testing.T) {
	w := newWorld(t)
	w.armed = false
	unknown := "there is none"
	w.pausable = func(target string) (as, no, note string) {
		if target == "source:hr-hook" {
			return "source:hr-relay", "", "by its scope"
		}
		return target, unknown, ""
	}
	w.send(w.pausing("p1", events.Pause, "source:hr_typo", time.Hour))
	w.settle()
	if got := w.answer("p1"); got != unknown {
		t.Errorf("answer %q", got)
	}
	e := w.happening("user.terminated", "1", "maria", w.clock, time.Time{})
	w.send(w.pausing("p2", events.Pause, "source:hr-hook", time.Hour))
	w.settle()
	w.send(e)
	w.settle()
	w.want("paused by its name", e.Case(), ledger.Held, ledger.Open)
	if got := w.answer("p2"); !strings.HasPrefix(got, "source:hr-relay is paused until") || !strings.HasSuffix(got, "; by its scope") {
		t.Errorf("answer %q", got)
	}
	w.clock = w.clock.Add(time.Minute)
	w.send(w.pausing("p3", events.Resume, "source:hr-relay", 0))
	w.settle()
	w.want("goes on", e.Case(), planned, closed)
}
