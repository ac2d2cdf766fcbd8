package planner_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
)

// draw picks a number of 0..n-1.
func draw(r *rapid.T, n int, what string) int { return rapid.IntRange(0, n-1).Draw(r, what) }

// model is what a person's history should come to: the newest event decides, the pending work of older ones goes.
type model struct {
	events []events.Event       // in the order in which they came first
	at     map[string]time.Time // what orders each
	state  map[string]ledger.State
	off    map[string]bool // actions that were cancelled
	done   map[string]bool // actions that were done
}

func back(e events.Event) bool { return e.Name() != "user.terminated" }

func newerThan(a, b events.Event) bool {
	if c := a.Time.Compare(b.Time); c != 0 {
		return c > 0
	}
	if back(a) != back(b) {
		return back(a)
	}
	return a.Case() > b.Case()
}

func (m *model) arrive(e events.Event, now time.Time) {
	if m.state[e.Case()] != "" {
		return
	}
	future := e.EffectiveAt.After(now)
	at := e.Time
	if latest := now.Add(5 * time.Minute); at.After(latest) {
		at = latest // no clock is ahead by more
	}
	m.at[e.Case()] = at
	m.events = append(m.events, e)
	for _, o := range m.events {
		if c := m.at[o.Case()].Compare(at); c > 0 || c == 0 && newerThan(o, e) {
			m.state[e.Case()] = superseded
			return
		}
	}
	for _, o := range m.events {
		switch s := m.state[o.Case()]; {
		case s == ledger.Scheduled && back(e) && !back(o):
			m.state[o.Case()] = cancelled
		case s == ledger.Scheduled:
			m.state[o.Case()] = superseded
		case s == planned && (back(e) != back(o) || future):
			for _, id := range both(o.Case()) {
				m.off[id] = m.off[id] || !m.done[id]
			}
		}
	}
	m.state[e.Case()] = planned
	if future {
		m.state[e.Case()] = ledger.Scheduled
	}
}

func (m *model) pass(now time.Time) {
	for _, e := range m.events {
		if m.state[e.Case()] == ledger.Scheduled && !e.EffectiveAt.After(now) {
			m.state[e.Case()] = planned
		}
	}
}

// newHistory makes up a person's events: of any kind, some at the same time, some for the future, in any order, and
// some with times that are so many hours ahead.
func newHistory(r *rapid.T, w *world, person string, ahead int) []events.Event {
	var all []events.Event
	for i := range rapid.IntRange(1, 6).Draw(r, "events") {
		name := rapid.SampledFrom([]string{"user.terminated", "user.terminated", "user.termination_rescinded", "user.rehired"}).Draw(r, "name")
		var effective time.Time
		if name == "user.terminated" && rapid.Bool().Draw(r, "dated") {
			effective = w.clock.Add(time.Duration(draw(r, 72, "effective")-10) * time.Hour)
		}
		at := w.clock.Add(time.Duration(draw(r, 8, "at")-7+ahead) * time.Hour)
		all = append(all, w.happening(name, fmt.Sprintf("%s-%d", person, i), person, at, effective))
	}
	return all
}

// trouble lets some of the next writes fail.
func trouble(r *rapid.T, w *world) {
	for range draw(r, 3, "faults") {
		w.faults[w.step+draw(r, 14, "write")] = rapid.SampledFrom(modes).Draw(r, "mode")
	}
}

// insist hands a message over until it is done.
func insist(w *world, m *mail) {
	for range 20 {
		if w.handle(m) {
			return
		}
	}
	w.t.Fatal("never done")
}

func TestHistoryAgreesWithModel(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		w := newWorld(t)
		history := newHistory(r, w, "maria", 2)
		m := model{at: map[string]time.Time{}, state: map[string]ledger.State{}, off: map[string]bool{}, done: map[string]bool{}}
		for range rapid.IntRange(1, 16).Draw(r, "happenings") {
			switch draw(r, 4, "what") {
			case 0, 1: // an event comes, or comes again
				trouble(r, w)
				e := history[draw(r, len(history), "which")]
				m.arrive(e, w.clock)
				w.send(e)
				insist(w, w.inbox[0])
				w.inbox = nil
			case 2: // the lane works
				if len(w.now.actions) > 0 {
					if id := w.now.actions[0].ID; !m.off[id] {
						m.done[id] = true
					}
					w.work()
				}
			case 3: // time goes by
				trouble(r, w)
				w.advance(time.Duration(draw(r, 40, "hours")) * time.Hour)
				m.pass(w.clock)
				fireAll(w)
			}
		}
		w.advance(100 * time.Hour)
		m.pass(w.clock)
		fireAll(w)
		w.settle()
		checkModel(r, w, m)
	})
}

// fireAll works off what is due until nothing is.
func fireAll(w *world) {
	for len(w.inbox) > 0 {
		m := w.inbox[0]
		w.inbox = w.inbox[1:]
		insist(w, m)
		w.advance(0)
	}
}

// checkModel compares the end of everything.
func checkModel(r *rapid.T, w *world, m model) {
	want := map[string]int{}
	for _, e := range m.events {
		id := e.Case()
		if got := w.state(ledger.PlanSubject(id)); got != m.state[id] {
			r.Fatalf("%s %s: %q, want %q", e.Name(), e.ID, got, m.state[id])
		}
		for _, a := range both(id) {
			if m.state[id] == planned && !back(e) && !m.off[a] {
				want[a] = 1
			}
		}
	}
	if !maps.Equal(w.done, want) {
		r.Fatalf("done %v, want %v", w.done, want)
	}
	checkRest(r, w)
}

// checkRest is what holds in the end of any history.
func checkRest(r *rapid.T, w *world) {
	w.faults = nil
	w.wantRest()
	if w.t.Failed() {
		r.Fatalf("writes: %v", w.steps)
	}
}

// In this one nothing waits for anything: messages of two people come in any order, several times, and a message that
// died comes again after others.
func TestHistoriesInterleave(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		w := newWorld(t)
		people := [][]events.Event{newHistory(r, w, "maria", 0), newHistory(r, w, "peter", 0)}
		sent := map[string]bool{}
		for range rapid.IntRange(2, 30).Draw(r, "happenings") {
			switch draw(r, 6, "what") {
			case 0, 1:
				history := people[draw(r, 2, "who")]
				e := history[draw(r, len(history), "which")]
				sent[e.Case()] = true
				w.send(e)
			case 2, 3:
				trouble(r, w)
				w.deliver()
			case 4:
				w.work()
			case 5:
				w.advance(time.Duration(draw(r, 20, "hours")) * time.Hour)
			}
		}
		w.settle()
		w.advance(100 * time.Hour)
		w.settle()
		for _, history := range people {
			checkNewest(r, w, slices.DeleteFunc(history, func(e events.Event) bool { return !sent[e.Case()] }))
		}
		checkRest(r, w)
	})
}

// checkNewest checks that a person's newest event had its way, and that what was begun against it is listed.
func checkNewest(r *rapid.T, w *world, history []events.Event) {
	if len(history) == 0 {
		return
	}
	newest := history[0]
	for _, e := range history {
		if newerThan(e, newest) {
			newest = e
		}
	}
	if got := w.state(ledger.PlanSubject(newest.Case())); got != planned {
		r.Fatalf("newest %s %s: %q", newest.Name(), newest.ID, got)
	}
	listed := map[string]bool{}
	for _, b := range w.decision(newest.Case()).Begun {
		listed[b.Action] = true
	}
	for _, e := range history {
		if s := w.state(ledger.LifecycleSubject(e.Case())); s != closed && !(s == needs && back(e)) {
			r.Fatalf("%s %s: case %q", e.Name(), e.ID, s)
		}
		for _, a := range both(e.Case()) {
			n := w.done[a]
			switch {
			case n > 1:
				r.Fatalf("%s done %d times", a, n)
			case e.Case() == newest.Case() && !back(e) && n != 1:
				r.Fatalf("newest: %s done %d times", a, n)
			case back(newest) && !back(e) && n > 0 && !listed[a]:
				r.Fatalf("%s was done and is not listed", a)
			}
		}
	}
}
