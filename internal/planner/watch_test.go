package planner_test

import (
	"strings"
	"testing"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
)

// leaver begins a world whose leaver is re-checked after an hour.
func leaver(t *testing.T, then events.Regressed) (*world, events.Event) {
	t.Helper()
	w := newWorld(t)
	w.rules.recheck, w.rules.regressed = []events.Span{events.Span(time.Hour)}, then
	leave := w.happening("user.terminated", "1", "maria", w.clock, time.Time{})
	w.send(leave)
	w.settle()
	return w, leave
}

// watchedScenarios are those of a person whose access is looked at again after it was taken away.
func watchedScenarios() []scenario {
	// gone begins with a leaver whose access is taken away and then given back, and tells it by the re-check or before.
	gone := func(w *world, found bool) (e events.Event, id string) {
		w.rules.recheck = []events.Span{events.Span(time.Hour)}
		w.outlives = map[string]time.Duration{"suspend": 90 * time.Minute}
		e = w.happening("user.terminated", "1", "maria", w.clock, time.Time{})
		id = action(e.Case(), "suspend")
		w.send(e)
		w.settle()
		if found {
			w.undo(id)
			w.advance(time.Hour + time.Minute)
			w.settle()
			w.want("undone", e.Case(), planned, needs)
			w.wantRest(id)
		}
		return e, id
	}
	return []scenario{
		{"undone, then redriven", func(w *world) {
			e, id := gone(w, true)
			w.send(w.command("r1", events.RedriveVerb, id, "ann"), w.command("r2", events.RedriveVerb, id, "ann"))
			w.settle()
			w.advance(2 * time.Hour)
			w.settle()
			w.want("redriven", e.Case(), planned, closed)
			w.wantDone(both(e.Case())...)
			w.wantRest()
		}},
		{"undone, then dropped", func(w *world) {
			e, id := gone(w, true)
			w.send(w.command("d1", events.Drop, id, "ann"))
			w.settle()
			w.want("dropped", e.Case(), planned, closed)
			w.wantDone(action(e.Case(), "tokens"))
			w.wantRest()
		}},
		{"undone, then rehired", func(w *world) {
			e, _ := gone(w, true)
			back := w.happening("user.rehired", "2", "maria", w.clock, time.Time{})
			w.send(back)
			w.settle()
			w.want("termination", e.Case(), planned, closed)
			w.want("rehire", back.Case(), planned, needs)
			w.wantDone(action(e.Case(), "tokens"))
			w.wantRest()
		}},
		{"undone, then cancelled", func(w *world) {
			e, _ := gone(w, true)
			w.send(w.command("x1", events.Cancel, e.Case(), "ann"))
			w.settle()
			w.want("cancelled", e.Case(), planned, closed)
			w.wantDone(action(e.Case(), "tokens"))
			w.wantRest()
		}},
		{"died after a look, then dropped", func(w *world) {
			e := w.happening("user.terminated", "1", "maria", w.clock, time.Time{})
			id := action(e.Case(), "suspend")
			w.outlives, w.dies[id] = map[string]time.Duration{"suspend": 90 * time.Minute}, 1
			w.send(e)
			w.settle()
			w.want("dead", e.Case(), planned, needs)
			w.send(w.command("d1", events.Drop, id, "ann"))
			w.settle()
			w.want("dropped", e.Case(), planned, closed)
			w.wantDone(action(e.Case(), "tokens"))
			w.wantRest()
		}},
		{"rehired, then given back", func(w *world) {
			e, id := gone(w, false)
			back := w.happening("user.rehired", "2", "maria", w.clock.Add(time.Minute), time.Time{})
			w.send(back)
			w.settle()
			w.undo(id)
			w.advance(2 * time.Hour)
			w.settle()
			w.want("termination", e.Case(), planned, closed)
			w.wantDone(action(e.Case(), "tokens"))
			w.wantRest()
		}},
		{"cancelled, then given back", func(w *world) {
			e, id := gone(w, false)
			w.send(w.command("x1", events.Cancel, e.Case(), "ann"))
			w.settle()
			w.undo(id)
			w.advance(2 * time.Hour)
			w.settle()
			w.want("termination", e.Case(), planned, closed)
			w.wantDone(action(e.Case(), "tokens"))
			w.wantRest()
		}},
	}
}

// undo gives the access back at the provider.
func (w *world) undo(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.done, id)
}

// TestNobodyLooksAtWhatWasTakenBack: after a rehire, a rescind or a cancel the access is rightly back.
func TestNobodyLooksAtWhatWasTakenBack(t *testing.T) {
	for _, how := range []string{"user.rehired", "user.termination_rescinded", "cancel"} {
		for _, then := range []events.Regressed{events.Alert, events.Act} {
			w, leave := leaver(t, then)
			if how == "cancel" {
				w.send(w.command("x1", events.Cancel, leave.Case(), "ann"))
			} else {
				w.send(w.happening(how, "2", "maria", w.clock.Add(time.Minute), time.Time{}))
			}
			w.settle()
			w.undo(action(leave.Case(), "suspend"))
			w.advance(2 * time.Hour)
			w.settle()
			rec := w.last(ledger.ActionSubject(leave.Case(), action(leave.Case(), "suspend")))
			if rec.State != ledger.Verified || w.done[action(leave.Case(), "suspend")] != 0 {
				t.Errorf("%s, %s: %s %q", how, then, rec.State, rec.Reason)
			}
			w.want("termination", leave.Case(), planned, closed)
		}
	}
}

// TestWhatRegressedIsSentAgainOrDropped: a person's word ends it, and so does a newer event.
func TestWhatRegressedIsSentAgainOrDropped(t *testing.T) {
	for _, tc := range []struct {
		name  string
		send  func(w *world, id string) any
		state ledger.State
		made  int
	}{
		{"redrive", func(w *world, id string) any { return w.command("r1", events.RedriveVerb, id, "ann") }, ledger.Verified, 1},
		{"drop", func(w *world, id string) any { return w.command("p1", events.Drop, id, "ann") }, ledger.Cancelled, 0},
		{"rehire", func(w *world, id string) any {
			return w.happening("user.rehired", "2", "maria", w.clock.Add(time.Minute), time.Time{})
		}, ledger.Cancelled, 0},
	} {
		w, leave := leaver(t, "")
		id := action(leave.Case(), "suspend")
		w.undo(id)
		w.advance(time.Hour + time.Minute)
		w.settle()
		w.want(tc.name, leave.Case(), planned, ledger.NeedsPerson)
		if d, ok := w.now.letters[id]; !ok || !strings.Contains(d.Error, "needed again") {
			t.Fatalf("%s: %+v", tc.name, d)
		}
		m := tc.send(w, id)
		w.send(m)
		w.settle()
		if got := w.state(ledger.ActionSubject(leave.Case(), id)); got != tc.state || w.done[id] != tc.made || len(w.now.letters) != 0 {
			t.Errorf("%s: %s, made %d times, letters %v", tc.name, got, w.done[id], w.now.letters)
		}
		w.want(tc.name, leave.Case(), planned, closed)
	}
}
