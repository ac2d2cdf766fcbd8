package planner_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/planner"
)

// after gives an identifier whose key is in the order that the test needs: persons are kept under the smallest.
func (w *world) after(kind string, smaller bool, than string) string {
	w.t.Helper()
	for i := range 1000 {
		value := fmt.Sprintf("x%d@acme.example", i)
		if key := w.keyer.Key("user:" + value); key < than == smaller {
			return kind + ":" + value
		}
	}
	w.t.Fatal("no such key")
	return ""
}

// A name that was given anew calls its new bearer also when the person who had it turns out to be kept under another key.
func TestNameStaysWithWhomItWasGivenTo(t *testing.T) {
	w := newWorld(t)
	w.armed = false
	key := w.keyer.Key("user:maria@acme.example")
	hers, his := w.after("employee_number", false, key), number2
	smaller := w.after("asa_username", true, key)
	day := w.clock.Add(24 * time.Hour)
	old := w.called("user.terminated", "1", ids(hers, mail1), w.clock, day)
	term := w.called("user.terminated", "3", ids(his), w.clock.Add(2*time.Minute), day)
	for _, e := range []events.Event{
		old,
		w.called("user.compromised", "2", ids(his, mail1), w.clock.Add(time.Minute), time.Time{}),
		term,
		w.called("user.compromised", "4", ids(hers, smaller), w.clock, time.Time{}),
		w.called("user.termination_rescinded", "5", ids(mail1), w.clock.Add(3*time.Minute), time.Time{}),
	} {
		w.send(e)
		w.settle()
		w.advance(5 * time.Minute)
	}
	w.want("of who had it", old.Case(), ledger.Scheduled, ledger.Open)
	w.want("of who has it", term.Case(), cancelled, closed)
}

// What came by a name that others have too goes with the name that called its person.
func TestEventGoesWithTheNameThatCalledItsPerson(t *testing.T) {
	w := newWorld(t)
	w.armed = false
	desk, mine := "email:desk@acme.example", "login:p2"
	term := w.called("user.terminated", "2", ids(desk, mine), w.clock, w.clock.Add(24*time.Hour))
	apart := w.command("c1", events.Unmerge, planner.UnmergeTarget(w.keyer.Key("user:p2")), "ann")
	for _, m := range []any{
		w.called("user.rehired", "1", ids(desk, "login:p1"), w.clock.Add(time.Minute), time.Time{}),
		term,
		w.called("user.compromised", "3", ids(mine, number), w.clock, time.Time{}),
		apart,
		w.called("user.termination_rescinded", "4", ids(mine), w.clock.Add(time.Hour), time.Time{}),
	} {
		w.send(m)
		w.settle()
	}
	w.want("taken back by the same name", term.Case(), cancelled, closed)
}

// Two who were taken apart stay apart, whoever both turn out to be.
func TestApartStaysApart(t *testing.T) {
	w := newWorld(t)
	w.armed = false
	who := func(id string) string {
		return w.identity(w.called("user.compromised", "x", ids(id), w.clock, time.Time{})).Key
	}
	n := 0
	joint := func(names ...string) string {
		n++
		e := w.called("user.compromised", fmt.Sprint("j", n), ids(names...), w.clock, time.Time{})
		w.send(e)
		w.settle()
		return e.Case()
	}
	joint(mail1, login)
	w.send(w.command("c1", events.Unmerge, planner.UnmergeTarget(w.keyer.Key("user:maria")), "ann"))
	w.settle()
	joint(mail1, w.after("employee_number", true, who(mail1)))
	joint(login, w.after("asa_username", true, who(login)))
	if d := w.decision(joint(mail1, login)); len(d.Claimed) != 1 || who(mail1) == who(login) {
		t.Errorf("joined again: claimed %v", d.Claimed)
	}
}

// Whoever had a name that was given anew is not called so any more, under whichever key they are kept.
func TestGivenNameIsForgotten(t *testing.T) {
	for _, smaller := range []bool{true, false} {
		w := newWorld(t)
		w.armed = false
		key := w.keyer.Key("user:maria@acme.example")
		hers := w.after("employee_number", smaller, key)
		w.send(w.called("user.rehired", "1", ids(hers, mail1), w.clock, time.Time{}))
		w.settle()
		w.send(w.called("user.rehired", "2", ids(number2, mail1), w.clock.Add(time.Minute), time.Time{}))
		w.settle()
		var o struct{ Names []struct{ Key, ID string } }
		who := w.identity(w.called("user.compromised", "x", ids(hers), w.clock, time.Time{})).Key
		if err := json.Unmarshal(w.last(ledger.OrderSubject(who)).Body, &o); err != nil {
			t.Fatal(err)
		}
		if len(o.Names) != 1 || o.Names[0].ID != hers {
			t.Errorf("smaller %v: is called %v", smaller, o.Names)
		}
	}
}
