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

// model is what the history of one person should come to. Names are one person's from the first event that gives them
// together; then the newest event decides, and the pending work of older ones goes.
type model struct {
	events []events.Event          // in the order in which they came first
	names  map[string][]string     // of each
	at     map[string]time.Time    // what orders each
	state  map[string]ledger.State // where its plan stands
	off    map[string]bool         // actions that were cancelled
	done   map[string]bool         // actions that were done
}

func newModel() model {
	return model{names: map[string][]string{}, at: map[string]time.Time{}, state: map[string]ledger.State{},
		off: map[string]bool{}, done: map[string]bool{}}
}

func back(e events.Event) bool { return e.Name() != "user.terminated" }

// inOrder reports whether the event has a place in its person's order; others only say who is who.
func inOrder(e events.Event) bool { return e.Name() != "user.compromised" }

func newerThan(a, b events.Event) bool {
	if c := a.Time.Compare(b.Time); c != 0 {
		return c > 0
	}
	if back(a) != back(b) {
		return back(a)
	}
	return a.Case() > b.Case()
}

// newer compares by what orders two events.
func (m *model) newer(a, b events.Event) bool {
	c := m.at[a.Case()].Compare(m.at[b.Case()])
	return c > 0 || c == 0 && newerThan(a, b)
}

// circle gives the names that are one person's with the ones given, by all events that came.
func (m *model) circle(names []string) []string {
	for grown := true; grown; {
		grown = false
		for _, e := range m.events {
			of := m.names[e.Case()]
			for _, n := range of {
				if meets(of, names) && !slices.Contains(names, n) {
					names, grown = append(slices.Clone(names), n), true
				}
			}
		}
	}
	return names
}

// person gives the ordered events that came of whoever bears the names, oldest first.
func (m *model) person(names []string) []events.Event {
	var all []events.Event
	names = m.circle(names)
	for _, e := range m.events {
		if inOrder(e) && meets(m.names[e.Case()], names) {
			all = append(all, e)
		}
	}
	slices.SortFunc(all, func(a, b events.Event) int {
		if m.newer(a, b) {
			return 1
		}
		return -1
	})
	return all
}

func meets(a, b []string) bool {
	return slices.ContainsFunc(a, func(n string) bool { return slices.Contains(b, n) })
}

// arrive is an event that comes for the first time, or again.
func (m *model) arrive(e events.Event, now time.Time) {
	id := e.Case()
	if m.state[id] != "" {
		return
	}
	joined := map[string]bool{} // people with events whom it joins, by their newest
	for _, n := range m.names[id] {
		if of := m.person([]string{n}); len(of) > 0 {
			joined[of[len(of)-1].Case()] = true
		}
	}
	m.at[id] = e.Time
	if latest := now.Add(5 * time.Minute); e.Time.After(latest) {
		m.at[id] = latest // no clock is ahead by more
	}
	m.events = append(m.events, e)
	m.state[id] = planned
	if e.EffectiveAt.After(now) {
		m.state[id] = ledger.Scheduled
	}
	all := m.person(m.names[id])
	if len(all) == 0 {
		return
	}
	newest, older := all[len(all)-1], all[:len(all)-1]
	if inOrder(e) && newest.Case() != id {
		m.state[id] = superseded
	}
	if newest.Case() == id || len(joined) > 1 {
		for _, o := range older {
			m.take(o, newest, now)
		}
	}
}

// take gives what is pending of an older event to the newest.
func (m *model) take(o, newest events.Event, now time.Time) {
	switch s := m.state[o.Case()]; {
	case s == ledger.Scheduled && back(newest) && !back(o):
		m.state[o.Case()] = cancelled
	case s == ledger.Scheduled:
		m.state[o.Case()] = superseded
	case s == planned && (back(newest) != back(o) || newest.EffectiveAt.After(now)):
		for _, id := range both(o.Case()) {
			m.off[id] = m.off[id] || !m.done[id]
		}
	}
}

func (m *model) pass(now time.Time) {
	for _, e := range m.events {
		if m.state[e.Case()] == ledger.Scheduled && !e.EffectiveAt.After(now) {
			m.state[e.Case()] = planned
		}
	}
}

// newHistory makes up a person's events: of any kind, some at the same time, some for the future, in any order, under
// any of the person's names, and some with times that are so many hours ahead.
func newHistory(r *rapid.T, w *world, person string, ahead int) (all []events.Event, names map[string][]string) {
	names = map[string][]string{}
	bears := namesOf(person)
	for i := range rapid.IntRange(1, 7).Draw(r, "events") {
		name := rapid.SampledFrom([]string{"user.terminated", "user.terminated", "user.termination_rescinded", "user.rehired",
			"user.compromised"}).Draw(r, "name")
		var effective time.Time
		if name == "user.terminated" && rapid.Bool().Draw(r, "dated") {
			effective = w.clock.Add(time.Duration(draw(r, 72, "effective")-10) * time.Hour)
		}
		at := w.clock.Add(time.Duration(draw(r, 8, "at")-7+ahead) * time.Hour)
		by := rapid.Permutation(bears).Draw(r, "names")[:1+draw(r, 3, "how many")]
		e := w.called(name, fmt.Sprintf("%s-%d", person, i), ids(by...), at, effective)
		all, names[e.Case()] = append(all, e), by
	}
	return all, names
}

// namesOf are all names of a person.
func namesOf(person string) []string {
	return []string{"email:" + person + "@acme.example", "login:" + person, "okta_id:00u" + person, "employee_number:n-" + person}
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
		m := newModel()
		var history []events.Event
		history, m.names = newHistory(r, w, "maria", 4)
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
			if m.state[id] == planned && e.Name() == "user.terminated" && !m.off[a] {
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

// In this one nothing waits for anything: messages of two people come in any order, several times, under any of their
// names, and a message that died comes again after others. In the end an event says which names are one person's.
func TestHistoriesInterleave(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		w := newWorld(t)
		var people [2][]events.Event
		for i, name := range []string{"maria", "peter"} {
			people[i], _ = newHistory(r, w, name, 0)
		}
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
		for i, name := range []string{"maria", "peter"} {
			one := w.called("user.compromised", name+"-one", ids(namesOf(name)...), w.clock, time.Time{})
			sent[one.Case()] = true
			people[i] = append(people[i], one)
			w.send(one)
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

// checkNewest checks that a person's newest event had its way, and that what was begun against it is listed in a case that
// waits for a person, as no other does.
func checkNewest(r *rapid.T, w *world, history []events.Event) {
	listed := map[string]bool{}
	var newest events.Event
	for _, e := range history {
		begun, life := w.decision(e.Case()).Begun, w.state(ledger.LifecycleSubject(e.Case()))
		if life != closed && (life != needs || len(begun) == 0) {
			r.Fatalf("%s %s: case %q, and lists %d", e.Name(), e.ID, life, len(begun))
		}
		for _, b := range begun {
			listed[b.Action] = listed[b.Action] || life == needs
		}
		if inOrder(e) && (newest.ID == "" || newerThan(e, newest)) {
			newest = e
		}
	}
	if newest.ID == "" {
		return
	}
	if got := w.state(ledger.PlanSubject(newest.Case())); got != planned {
		r.Fatalf("newest %s %s: %q", newest.Name(), newest.ID, got)
	}
	for _, e := range history {
		for _, a := range both(e.Case()) {
			n := w.done[a]
			switch {
			case n > 1:
				r.Fatalf("%s done %d times", a, n)
			case e.Case() == newest.Case() && !back(e) && n != 1:
				r.Fatalf("newest: %s done %d times", a, n)
			case back(newest) && n > 0 && !listed[a]:
				r.Fatalf("%s was done and is not listed", a)
			}
		}
	}
}
