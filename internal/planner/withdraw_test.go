package planner_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
)

// TestForgedReturnsAreUndone: what forged rescinds, rehires and other dates took back before anybody looked is decided
// anew, in its time, by the command that cancels them.
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
		if got := w.answer("c0"); !strings.Contains(got, "decided anew: "+real[0].Case()) {
			t.Errorf("%s: the receipt names nobody: %q", kind, got)
		}
		w.want(kind+", cancelled", forged[0].Case(), cancelled, closed)
		var want []string
		for _, e := range real {
			w.want(kind+", anew", e.Case(), ledger.Scheduled, ledger.Open)
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

// begun is a termination of which the lane did the first action, and which a forged event took back then.
func begun(w *world, kind string) (real, forged events.Event) {
	real = w.happening("user.terminated", "1", "maria", w.clock, time.Time{})
	w.send(real)
	w.plan()
	w.work()
	w.clock = w.clock.Add(time.Minute)
	effective := time.Time{}
	if kind == "user.terminated" {
		effective = w.clock.Add(900 * time.Hour)
	}
	forged = w.happening(kind, "2", "maria", w.clock, effective)
	w.send(forged)
	w.settle()
	return real, forged
}

// anew is the case of its own as which a termination is decided anew.
func anew(real, forged events.Event) string {
	real.ID += "~" + forged.Case()
	return real.Case()
}

// withdrawnScenarios are those of a termination that comes back.
func withdrawnScenarios() []scenario {
	return []scenario{
		{"taken back by a forged event before its time, and decided anew", func(w *world) {
			real := w.happening("user.terminated", "1", "maria", w.clock, w.clock.Add(3*time.Hour))
			w.send(real)
			w.settle()
			w.clock = w.clock.Add(time.Minute)
			forged := w.happening("user.rehired", "2", "maria", w.clock, time.Time{})
			w.send(forged)
			w.settle()
			w.advance(4 * time.Hour)
			w.send(w.command("c", events.Cancel, forged.Case(), "ann"), real, forged)
			w.settle()
			w.want("anew", real.Case(), planned, closed)
			w.want("forged", forged.Case(), cancelled, closed)
			w.wantDone(both(real.Case())...)
			w.wantRest()
		}},
		{"called back by one of a later day that nobody approves in time", func(w *world) {
			real := w.happening("user.terminated", "1", "maria", w.clock, time.Time{})
			w.send(real)
			w.plan()
			w.clock = w.clock.Add(time.Minute)
			later := w.happening("user.terminated", "2", "maria", w.clock, w.clock.Add(3*time.Hour))
			w.send(later)
			w.settle()
			w.rules.approvers, w.rules.expires = 1, time.Hour
			w.advance(3 * time.Hour)
			w.settle()
			w.want("held", later.Case(), ledger.Held, needs)
			w.advance(2 * time.Hour)
			w.settle()
			w.want("denied", later.Case(), cancelled, closed)
			w.wantRest(real.Case())
			w.rules.hold(0)
			w.send(w.command("r", events.RedriveVerb, real.Case(), "ann"))
			w.settle()
			w.wantDone(both(anew(real, later))...)
			w.wantRest()
		}},
		{"called back by a forged event when it had begun, and decided anew", func(w *world) {
			real, forged := begun(w, "user.rehired")
			w.want("forged", forged.Case(), planned, needs)
			w.wantDone(both(real.Case())[0])
			c := w.command("c", events.Withdraw, forged.Case(), "ann")
			w.send(c, real, forged, c)
			w.settle()
			own := anew(real, forged)
			w.want("the rest", own, planned, closed)
			w.want("as it was", real.Case(), planned, closed)
			w.want("forged", forged.Case(), cancelled, closed)
			w.wantDone(append(both(own), both(real.Case())[0])...)
			w.wantRest()
		}},
	}
}

// TestACalledBackTerminationComesBack: whatever forged event called its actions back, and however often the cancellation
// of that is said, what is left of a termination is done once, through the guards, and in its order.
func TestACalledBackTerminationComesBack(t *testing.T) {
	for _, kind := range []string{"user.termination_rescinded", "user.rehired", "user.terminated"} {
		w := newWorld(t)
		w.armed = false
		real, forged := begun(w, kind)
		own := anew(real, forged)
		w.rules.hold(1)
		for i := range 2 {
			w.send(w.command(fmt.Sprint("c", i), events.Withdraw, forged.Case(), "ann"))
			w.settle()
		}
		if got := w.answer("c0"); !strings.Contains(got, "decided anew: "+own) {
			t.Errorf("%s: %q", kind, got)
		}
		w.want(kind+", guarded", own, ledger.Held, needs)
		w.wantDone(both(real.Case())[0])
		if d := w.decision(own); d.Anew != real.Case() || !slices.Equal(d.Hold.Asked, []string{"ann"}) {
			t.Errorf("%s: anew of %q, asked by %v", kind, d.Anew, d.Hold.Asked)
		}
		w.send(w.command("a", events.Approve, own, "bob"))
		w.settle()
		w.want(kind+", approved", own, planned, closed)
		w.wantDone(append(both(own), both(real.Case())[0])...)
		w.wantRest()
	}
}

// TestWhatDoesNotComeBack: a termination that a right event took back as well stays taken back, one that a person cancelled
// stays cancelled, and a cancellation that closes what was seen to brings nothing back.
func TestWhatDoesNotComeBack(t *testing.T) {
	for name, c := range map[string]struct {
		verb   events.Verb
		before func(w *world, real, forged events.Event)
		says   string
	}{
		"a right event came later": {events.Withdraw, func(w *world, _, _ events.Event) {
			w.clock = w.clock.Add(time.Minute)
			w.send(w.happening("user.rehired", "3", "maria", w.clock, time.Time{}))
		}, "cancelled"},
		"a newer termination stands": {events.Withdraw, func(w *world, _, _ events.Event) {
			w.clock = w.clock.Add(time.Minute)
			w.rules.steps["user.terminated"] = nil
			w.send(w.happening("user.terminated", "3", "maria", w.clock, w.clock.Add(900*time.Hour)))
		}, "decided anew"},
		"a person cancelled it": {events.Withdraw, func(w *world, real, _ events.Event) {
			w.done = map[string]int{}
			w.send(w.command("x", events.Cancel, real.Case(), "ann"))
		}, ""},
		"it was seen to": {events.Cancel, func(*world, events.Event, events.Event) {}, "closed: what it lists was seen to"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			w := newWorld(t)
			w.armed = false
			real, forged := begun(w, "user.rehired")
			c.before(w, real, forged)
			w.settle()
			did := len(w.done)
			w.send(w.command("c", c.verb, forged.Case(), "ann"))
			w.settle()
			if got := w.answer("c"); !strings.Contains(got, c.says) {
				t.Errorf("says %q", got)
			}
			if len(w.done) != did {
				t.Errorf("done: %v", w.done)
			}
		})
	}
}

// TestTwoForgedReturns: of several forged events of one person, some of them overtaken, the last that is cancelled brings
// the termination back, in whichever order.
func TestTwoForgedReturns(t *testing.T) {
	for _, order := range [][]int{{0, 1}, {1, 0}} {
		for _, dated := range []bool{false, true} {
			w := newWorld(t)
			w.armed = false
			real := w.pendingOf("maria")
			var forged []events.Event
			for i := range 2 {
				w.clock = w.clock.Add(time.Minute)
				e := w.happening("user.rehired", fmt.Sprint("f", i), "maria", w.clock, time.Time{})
				if dated {
					e.EffectiveAt = w.clock.Add(time.Hour)
				}
				e = w.overWire(e)
				forged = append(forged, e)
				w.send(e)
				w.settle()
			}
			for _, i := range order {
				w.want("taken back", real.Case(), cancelled, closed)
				w.send(w.command(fmt.Sprint("c", i), events.Withdraw, forged[i].Case(), "ann"))
				w.settle()
			}
			w.want("anew", real.Case(), ledger.Scheduled, ledger.Open)
			w.advance(1000 * time.Hour)
			w.settle()
			w.want("in time", real.Case(), planned, closed)
			w.wantDone(both(real.Case())...)
			w.wantRest()
		}
	}
}
