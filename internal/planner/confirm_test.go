package planner_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/playbook"
)

// confirming is a world in which every plan needs a second source's word.
func confirming(w *world) {
	w.rules.confirm = []playbook.Confirmation{{Within: 24 * time.Hour, Sources: []string{"hr-relay", "idp"}}}
	w.rules.steps["user.compromised"] = []string{"suspend"}
}

// said is an event of maria that a source sends.
func said(w *world, source, name string, at, effective time.Time) events.Event {
	e := w.happening(name, name+" "+source, "maria", at, effective)
	e.Scope = source
	return w.overWire(e)
}

// confirmedScenarios are those of a plan that a second source must confirm.
func confirmedScenarios() []scenario {
	return []scenario{
		{"confirmed by another source", func(w *world) {
			confirming(w)
			one, two := said(w, "hr-relay", "user.compromised", w.clock, time.Time{}), said(w, "idp", "user.compromised", w.clock, time.Time{})
			w.send(one)
			w.settle()
			w.want("unheard", one.Case(), ledger.Held, needs)
			w.send(two)
			w.settle()
			w.want("first", one.Case(), planned, closed)
			w.want("second", two.Case(), planned, closed)
			w.wantDone(action(one.Case(), "suspend"), action(two.Case(), "suspend"))
			w.wantRest()
		}},
	}
}

// TestTerminationIsConfirmed: in both orders of the two words, by the order of the person's events one of the two acts,
// and once. The other says which did.
func TestTerminationIsConfirmed(t *testing.T) {
	for _, late := range []time.Duration{-time.Hour, 0, time.Hour} {
		w := newWorld(t)
		w.armed = false
		confirming(w)
		one, two := said(w, "hr-relay", "user.terminated", w.clock, time.Time{}), said(w, "idp", "user.terminated", w.clock.Add(late), time.Time{})
		w.send(one)
		w.settle()
		w.want("unheard", one.Case(), ledger.Held, needs)
		w.wantDone()
		w.send(two)
		w.settle()
		acts, other := two, one
		if w.state(ledger.PlanSubject(two.Case())) == superseded {
			acts, other = one, two
		}
		w.want("acts", acts.Case(), planned, closed)
		w.want("other", other.Case(), superseded, closed)
		if d := w.decision(acts.Case()); !slices.Equal(d.Confirmed, []string{other.Case()}) || w.decision(other.Case()).Newer != acts.Case() {
			t.Errorf("confirmed by %v, the other was overtaken by %s", d.Confirmed, w.decision(other.Case()).Newer)
		}
		w.wantDone(both(acts.Case())...)
		w.wantRest()
	}
}

// TestWhoseWordCounts: not the same source's, not one outside of the window or the list, not about another person or of
// another type, and not one that a person denied or that was taken back.
func TestWhoseWordCounts(t *testing.T) {
	for name, c := range map[string]struct {
		other func(w *world) events.Event
		after func(w *world, other events.Event)
		want  ledger.State
	}{
		"the same source": {other: func(w *world) events.Event {
			e := said(w, "hr-relay", "user.compromised", w.clock, time.Time{})
			e.ID = "again"
			return e
		}, want: ledger.Held},
		"a source that is not listed": {other: func(w *world) events.Event { return said(w, "siem", "user.compromised", w.clock, time.Time{}) }, want: ledger.Held},
		"another type":                {other: func(w *world) events.Event { return said(w, "idp", "user.terminated", w.clock, time.Time{}) }, want: ledger.Held},
		"another person": {other: func(w *world) events.Event {
			return known(w, said(w, "idp", "user.compromised", w.clock, time.Time{}), "user:n-peter", `{"employee_number":"n-peter"}`)
		}, want: ledger.Held},
		"the same person by another name": {other: func(w *world) events.Event {
			return known(w, said(w, "idp", "user.compromised", w.clock, time.Time{}), "user:maria@acme.example", `{"email":"MARIA@acme.example"}`)
		}, want: planned},
		"another e-mail under the same number": {other: func(w *world) events.Event {
			return known(w, said(w, "idp", "user.compromised", w.clock, time.Time{}), "user:n-maria",
				`{"employee_number":"n-maria","email":"peter@acme.example"}`)
		}, want: ledger.Held},
		"denied": {other: func(w *world) events.Event { return said(w, "idp", "user.compromised", w.clock, time.Time{}) },
			after: func(w *world, e events.Event) { w.send(w.command("d", events.Deny, e.Case(), "ann")) }, want: ledger.Held},
		"too long ago": {other: func(w *world) events.Event { return said(w, "idp", "user.compromised", w.clock, time.Time{}) },
			after: func(w *world, e events.Event) { w.clock = w.clock.Add(25 * time.Hour) }, want: ledger.Held},
		"yesterday": {other: func(w *world) events.Event { return said(w, "idp", "user.compromised", w.clock, time.Time{}) },
			after: func(w *world, e events.Event) { w.clock = w.clock.Add(24 * time.Hour) }, want: planned},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			w := newWorld(t)
			w.armed = false
			confirming(w)
			other := c.other(w)
			w.send(other)
			w.settle()
			if c.after != nil {
				c.after(w, other)
				w.settle()
			}
			mine := said(w, "hr-relay", "user.compromised", w.clock, time.Time{})
			w.send(mine)
			w.settle()
			if got := w.state(ledger.PlanSubject(mine.Case())); got != c.want {
				t.Errorf("plan %q, want %q (%s)", got, c.want, w.last(ledger.PlanSubject(mine.Case())).Reason)
			}
			w.send(w.command("a", events.Approve, mine.Case(), "bob"))
			w.settle()
			w.want("approved by a person", mine.Case(), planned, closed)
		})
	}
}

// TestWordThatTakesEffectLater: who says that somebody leaves tomorrow does not confirm that they leave today.
func TestWordThatTakesEffectLater(t *testing.T) {
	w := newWorld(t)
	w.armed = false
	confirming(w)
	w.rules.confirm[0].Within = 48 * time.Hour
	tomorrow := said(w, "hr-relay", "user.terminated", w.clock, w.clock.Add(24*time.Hour))
	now := said(w, "idp", "user.terminated", w.clock.Add(time.Hour), time.Time{})
	w.send(tomorrow, now)
	w.settle()
	w.want("now", now.Case(), ledger.Held, needs)
	w.advance(23 * time.Hour)
	w.settle()
	w.want("now", now.Case(), ledger.Held, needs)
	w.advance(time.Hour)
	w.settle()
	w.want("tomorrow", now.Case(), planned, closed)
	w.wantDone(both(now.Case())...)
	w.wantRest()
}

// TestTwoWordsAtOnce: two events that wait for each other are worked off at the same time, and meet at any write.
func TestTwoWordsAtOnce(t *testing.T) {
	for _, name := range []string{"user.compromised", "user.terminated"} {
		for at := 0; ; at++ {
			w := newWorld(t)
			confirming(w)
			one, two := said(w, "hr-relay", name, w.clock, time.Time{}), said(w, "idp", name, w.clock, time.Time{})
			w.armed, w.meetAt = true, at
			w.meet = func() {
				w.send(two)
				w.deliverLast()
			}
			w.send(one)
			w.deliver()
			if w.meet != nil {
				break
			}
			w.settle()
			acted := 0
			for _, e := range []events.Event{one, two} {
				switch s := w.state(ledger.PlanSubject(e.Case())); s {
				case planned:
					acted++
				case superseded:
				default:
					t.Errorf("%s of %s: plan %q", name, e.Scope, s)
				}
			}
			if acted == 0 || name == "user.compromised" && acted != 2 {
				t.Errorf("%s: %d acted", name, acted)
			}
			w.wantRest()
			if t.Failed() {
				t.Fatalf("met at write %d of %v", at, w.steps)
			}
		}
	}
}
