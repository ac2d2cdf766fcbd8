package planner_test

import (
	"strings"
	"testing"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/planner"
	"keyturn/internal/playbook"
)

// answer is what came of a command.
func (w *world) answer(id string) string {
	w.t.Helper()
	return w.last(ledger.PersonSubject(planner.Receipts, id)).Reason
}

// TestOnePersonsWordCountsOnce: another machine, other letters and a resent command make nobody another person.
func TestOnePersonsWordCountsOnce(t *testing.T) {
	w := newWorld(t)
	w.armed = false
	w.rules.approvers = 2
	e := w.happening("user.terminated", "1", "maria", w.clock, time.Time{})
	w.send(e)
	for i, actor := range []string{"ann@laptop", "ann@laptop", "Ann@desk", " ann", "ａnn@laptop"} {
		w.send(w.command("c"+string(rune('0'+i)), events.Approve, e.Case(), actor))
	}
	w.send(w.command("c0", events.Approve, e.Case(), "bob@laptop"), w.command("c9", events.Approve, e.Case(), ""))
	w.settle()
	w.want("held", e.Case(), ledger.Held, needs)
	if n := len(w.decision(e.Case()).Hold.Given); n != 1 {
		t.Errorf("%d words count, want 1", n)
	}
	if got := w.answer("c2"); !strings.Contains(got, "another person must") {
		t.Errorf("answer %q", got)
	}
	w.send(w.command("c10", events.Approve, e.Case(), "bob@laptop"))
	w.settle()
	w.want("approved", e.Case(), planned, closed)
}

// TestWhoAskedDoesNotApprove: the sender of an event by hand, and whoever sends a conflict on, ask for it.
func TestWhoAskedDoesNotApprove(t *testing.T) {
	w := newWorld(t)
	w.armed = false
	w.rules.approvers = 1
	sent := w.happening("user.terminated", "1", "maria", w.clock, time.Time{})
	sent.Source = events.AskedSource("ann@laptop")
	other := w.happening("user.terminated", "1", "peter", w.clock, time.Time{})
	other.Source = sent.Source
	own := other
	own.ID += "~" + other.ContentHash()
	w.send(sent, other)
	w.settle()
	w.send(w.command("r1", events.RedriveVerb, own.Case(), "carl@laptop"))
	w.settle()
	w.send(w.command("c1", events.Approve, sent.Case(), "ann@desk"), w.command("c2", events.Approve, own.Case(), "carl@laptop"),
		w.command("c3", events.Approve, own.Case(), "ann@laptop"))
	w.settle()
	w.want("by ann", sent.Case(), ledger.Held, needs)
	w.want("by carl", own.Case(), ledger.Held, needs)
	for _, id := range []string{"c1", "c2", "c3"} {
		if got := w.answer(id); !strings.Contains(got, "asked for it") {
			t.Errorf("%s: answer %q", id, got)
		}
	}
	w.send(w.command("c4", events.Approve, sent.Case(), "carl@laptop"), w.command("c5", events.Approve, own.Case(), "dora@laptop"))
	w.settle()
	w.want("approved", sent.Case(), planned, closed)
	w.want("approved too", own.Case(), planned, closed)
}

// TestBrakedDoesNotProceed: time lets a plan go on that nobody denied, and never one that was too much.
func TestBrakedDoesNotProceed(t *testing.T) {
	w := newWorld(t)
	w.armed = false
	w.rules.approvers, w.rules.expires, w.rules.proceed = 1, time.Hour, true
	w.rules.brakes = []playbook.Brake{{Name: "terminations", Max: 0, Per: time.Hour}}
	e := w.happening("user.terminated", "1", "maria", w.clock, time.Time{})
	w.send(e)
	w.settle()
	w.advance(100 * time.Hour)
	w.settle()
	w.want("held", e.Case(), ledger.Held, needs)
	if h := w.decision(e.Case()).Hold; h.Brake != "terminations" || !h.Until.IsZero() {
		t.Errorf("hold %+v", h)
	}
}

// TestHoldThatComesBackEarly: the end of a hold is exact, however early it comes back.
func TestHoldThatComesBackEarly(t *testing.T) {
	w := newWorld(t)
	w.armed = false
	w.rules.approvers, w.rules.expires = 1, time.Hour
	e := w.happening("user.terminated", "1", "maria", w.clock, time.Time{})
	w.send(e)
	w.settle()
	until := w.decision(e.Case()).Hold.Until
	for _, early := range []time.Duration{59 * time.Minute, time.Second} {
		w.clock = until.Add(-early)
		out := w.planner().Due(t.Context(), w.now.scheduled[e.Case()], w.clock)
		if wait := out.Verdict == events.Retry && out.Delay == early; out.Err != nil || wait != (early == time.Second) {
			t.Errorf("%s early: %+v", early, out)
		}
		w.want("held", e.Case(), ledger.Held, needs)
	}
	w.advance(time.Second)
	w.settle()
	w.want("denied", e.Case(), cancelled, closed)
	w.wantRest()
}

// TestHoldIsCalledOff: an approved plan does not end when its hold would have; one that is protected by then is refused
// and does not go on.
func TestHoldIsCalledOff(t *testing.T) {
	for protected, want := range map[bool]ledger.State{false: planned, true: ledger.Refused} {
		w := newWorld(t)
		w.armed = false
		w.rules.approvers, w.rules.expires, w.rules.proceed = 1, 24*time.Hour, protected
		e := w.happening("user.terminated", "1", "maria", w.clock, time.Time{})
		w.send(e)
		w.settle()
		w.rules.protected[e.Subject] = protected
		if !protected {
			w.send(w.command("c1", events.Approve, e.Case(), "ann"))
			w.settle()
		}
		w.advance(25 * time.Hour)
		w.settle()
		w.want("ended", e.Case(), want, closed)
		w.wantRest()
	}
}

// TestDenialTellsWhatWasOvertaken: the termination whose place a denied one had taken is not done by itself, and whoever
// denies is told.
func TestDenialTellsWhatWasOvertaken(t *testing.T) {
	for name, verb := range map[string]events.Verb{"user.terminated": events.Deny, "user.compromised": events.Cancel} {
		w := newWorld(t)
		w.armed = false
		w.rules.approvers = 1
		real := w.happening("user.terminated", "1", "maria", w.clock, w.clock.Add(3*time.Hour))
		w.send(real)
		w.settle()
		w.clock = w.clock.Add(time.Minute)
		forged := w.happening(name, "2", "maria", w.clock, time.Time{})
		w.send(forged)
		w.settle()
		w.send(w.command("d", verb, forged.Case(), "ann"))
		w.settle()
		if got := w.answer("d"); strings.Contains(got, real.Case()) != (verb == events.Deny) || !strings.Contains(got, "cancelled") {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// TestTerminationThatReplacesAndDoesNothing: another event of the same person, which no playbook matches, must not make a
// termination end without anybody's word.
func TestTerminationThatReplacesAndDoesNothing(t *testing.T) {
	for _, effective := range []time.Duration{0, time.Hour} {
		w := newWorld(t)
		w.armed = false
		real := w.happening("user.terminated", "1", "maria", w.clock, w.clock.Add(3*time.Hour))
		w.send(real)
		w.settle()
		w.clock = w.clock.Add(time.Minute)
		delete(w.rules.steps, "user.terminated")
		weak := w.happening("user.terminated", "2", "maria", w.clock, w.clock.Add(effective))
		w.send(weak, weak)
		w.settle()
		w.advance(2 * time.Hour)
		w.settle()
		w.want("replaced", real.Case(), superseded, closed)
		w.want("does nothing", weak.Case(), ledger.Held, needs)
		if why := w.decision(weak.Case()).Hold.Why; !strings.Contains(why, real.Case()) {
			t.Errorf("held because %q", why)
		}
		w.send(w.command("a", events.Approve, weak.Case(), "ann"))
		w.settle()
		w.want("approved", weak.Case(), planned, closed)
		w.wantDone()
	}
}

// TestWhatWasToBeDoneAndIsNot: a playbook that was renamed, or taken out, while an event waited for its time or for the end
// of a pause must not let it close without anybody's word. What takes terminations back has its effect without actions.
func TestWhatWasToBeDoneAndIsNot(t *testing.T) {
	w := newWorld(t)
	w.armed = false
	w.rules.steps["user.rehired"] = []string{"restore"}
	dated := w.happening("user.terminated", "1", "maria", w.clock, w.clock.Add(time.Hour))
	idle := w.happening("user.compromised", "2", "paul", w.clock, w.clock.Add(time.Hour))
	back := w.happening("user.rehired", "3", "nina", w.clock, w.clock.Add(time.Hour))
	w.send(dated, idle, back, w.pausing("p1", events.Pause, "source:hr-relay", time.Hour))
	w.settle()
	paused := w.happening("user.terminated", "4", "peter", w.clock, time.Time{})
	w.send(paused)
	w.settle()
	w.want("dated", dated.Case(), ledger.Scheduled, ledger.Open)
	w.want("paused", paused.Case(), ledger.Held, ledger.Open)
	clear(w.rules.steps)
	w.advance(2 * time.Hour)
	w.settle()
	for _, e := range []events.Event{dated, paused} {
		w.want("has nothing to do any more", e.Case(), ledger.Held, needs)
		if why := w.decision(e.Case()).Hold.Why; !strings.Contains(why, "it was to do suspend, tokens") {
			t.Errorf("held because %q", why)
		}
	}
	w.want("never had", idle.Case(), planned, closed)
	w.want("takes back", back.Case(), planned, closed)
	w.send(w.command("a", events.Approve, dated.Case(), "ann"), w.command("d", events.Deny, paused.Case(), "ann"))
	w.settle()
	w.want("approved", dated.Case(), planned, closed)
	w.want("denied", paused.Case(), ledger.Cancelled, closed)
	w.wantDone()
}

// TestApprovalOfWhatWasShown: a plan that was judged again, and would do something else, is not let go by the word of
// somebody who saw the one before.
func TestApprovalOfWhatWasShown(t *testing.T) {
	w := newWorld(t)
	w.armed = false
	w.rules.approvers = 1
	e := w.happening("user.terminated", "1", "maria", w.clock, time.Time{})
	w.send(w.pausing("p1", events.Pause, "source:hr-relay", time.Hour), e)
	w.settle()
	seen := w.decision(e.Case()).Shown()
	w.rules.mu.Lock()
	w.rules.steps["user.terminated"] = []string{"suspend", "tokens", "restore"}
	w.rules.mu.Unlock()
	w.clock = w.clock.Add(time.Minute)
	w.send(w.pausing("p2", events.Resume, "source:hr-relay", 0))
	w.settle()
	approve := w.command("c1", events.Approve, e.Case(), "ann")
	approve.Shown = seen
	w.send(approve)
	w.settle()
	w.want("approved unseen", e.Case(), ledger.Held, needs)
	if got := w.answer("c1"); !strings.Contains(got, "judged again") {
		t.Errorf("answer %q", got)
	}
	approve.ID, approve.Shown = "c2", w.decision(e.Case()).Shown()
	w.send(approve)
	w.settle()
	w.want("approved as shown", e.Case(), planned, closed)
}
