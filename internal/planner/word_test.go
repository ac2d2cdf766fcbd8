package planner_test

import (
	"testing"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/playbook"
)

// TestALateWordWithADate: what another source said before, for a day to come, and came late, lets a plan that waits go on
// when that day comes, though nothing else happens then.
func TestALateWordWithADate(t *testing.T) {
	w := newWorld(t)
	w.armed = false
	confirming(w)
	first := said(w, "idp", "user.terminated", w.clock, time.Time{})
	w.send(first)
	w.settle()
	w.want("unheard", first.Case(), ledger.Held, needs)
	w.send(said(w, "hr-relay", "user.terminated", w.clock.Add(-time.Hour), w.clock.Add(3*time.Hour)))
	w.settle()
	w.want("before the day", first.Case(), ledger.Held, needs)
	w.send(first) // puts nothing off
	w.settle()
	w.advance(3 * time.Hour)
	w.settle()
	w.want("on the day", first.Case(), planned, closed)
	w.wantDone(both(first.Case())...)
	w.wantRest()
}

// TestConfirmedInTheLastMoment: a plan whose second word came just before its time was up goes on, and is not denied.
func TestConfirmedInTheLastMoment(t *testing.T) {
	w := newWorld(t)
	w.armed = false
	confirming(w)
	w.rules.hold(1)
	w.rules.expires = time.Hour
	one, two := said(w, "hr-relay", "user.compromised", w.clock, time.Time{}), said(w, "idp", "user.compromised", w.clock, time.Time{})
	w.send(one)
	w.settle()
	w.rules.hold(0)
	w.clock = w.clock.Add(time.Hour - 10*time.Second)
	w.send(two)
	w.settle()
	w.want("confirmed", one.Case(), planned, closed)
	w.advance(time.Minute)
	w.settle()
	w.want("confirmed", one.Case(), planned, closed)
	w.wantRest()
}

// TestAMailboxGivenAnew: whoever has somebody's former address now does not pass a brake because the other one did.
func TestAMailboxGivenAnew(t *testing.T) {
	w := newWorld(t)
	w.armed = false
	w.rules.brakes = []playbook.Brake{{Name: "b", Max: 1, Per: time.Hour}}
	w.rules.steps["user.compromised"] = []string{"tokens"}
	for i := range 8 { // whichever of the names becomes the id of the person
		w.rules.brakes[0].Name = string(rune('a' + i))
		name := func(n string) string { return n + string(rune('a'+i)) }
		mail := name("desk") + "@acme.example"
		one := func(kind, id string, user map[string]string) events.Event {
			w.clock = w.clock.Add(time.Minute)
			e := w.called(kind, name(id), user, w.clock, time.Time{})
			w.send(e)
			w.settle()
			return e
		}
		passed := one("user.compromised", "1", map[string]string{"employee_number": name("n-1"), "email": mail})
		w.want("the first", passed.Case(), planned, closed)
		one("user.rehired", "2", map[string]string{"employee_number": name("n-2"), "email": mail})
		held := one("user.compromised", "3", map[string]string{"employee_number": name("n-2"), "email": mail})
		w.want("who has the address now", held.Case(), ledger.Held, needs)
	}
}
