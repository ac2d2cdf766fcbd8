package replay

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"keyturn/internal/people"
	"keyturn/internal/playbook"
)

// walk goes through a history by one of the rules, moment by moment, as the planner went: it decides each case when it
// came and when it was due, and again when it has the word that it waited for. What no rules say (what a newer event took,
// what people ended or let go, and pauses) happens when the ledger says that it did.
type walk struct {
	cases   []Case
	rules   int // which of the rules
	who     memory
	wheels  *wheels
	at      []standing
	listed  map[string][]int // by event and name: the cases that were decided
	woken   []int            // those that wait and may have what they wait for
	late    []step           // those that are overtaken when they have what they waited for
	lapses  []int            // those that wait for a word which takes effect at a known time
	listens bool             // some case waits for a word
}

// standing is where a case is.
type standing struct {
	decided bool // it is known, and listed under its names where some case waits for a word
	apart   bool // it was held before it had a place among the events of its person
	placed  bool // it has one
	dated   bool // it waits for the time at which it takes effect
	waits   bool // for another source's word
	until   time.Time
	silent  bool // it says nothing: it was ended, is protected, or is paused
	settled bool // people decided upon it: what the rules said stays
}

// step is what happens to one case at one moment.
type step struct {
	at time.Time
	do turn
	i  int
}

// turn is what happens.
type turn uint8

// What may happen, in the order in which it happens at one moment: what the ledger says comes before what the cause of it
// decides.
const (
	overtaken turn = iota // a newer event decides in its place
	ended                 // it was cancelled, denied, or refused at a provider
	paused                // it is held by a pause
	letGo                 // people, or the end of its hold, let it go on
	decided               // the rules decide
	again                 // it is sent again
	due                   // it takes effect
)

// run goes through everything.
func (w *walk) run(past func(c Case) Past, now time.Time) {
	steps := w.steps(past, now)
	for i, s := range steps {
		w.take(s)
		if i+1 < len(steps) && steps[i+1].at.Equal(s.at) {
			continue
		}
		w.lapse(s.at)
		w.wake(s.at)
		late := w.late
		w.late = nil
		for _, s := range late {
			w.overtake(s.i, s.at)
		}
		w.wake(s.at)
	}
}

// wake decides those again that have what they waited for, in the order in which they came.
func (w *walk) wake(at time.Time) {
	for len(w.woken) > 0 {
		list := w.woken
		w.woken = nil
		slices.SortStableFunc(list, func(a, b int) int { return w.cases[a].Accepted.Compare(w.cases[b].Accepted) })
		for _, i := range list {
			if w.at[i].waits && w.missing(i, at) == nil {
				w.decide(i, at)
			}
		}
	}
}

// steps lists all that happens, in the order of time.
func (w *walk) steps(past func(c Case) Past, now time.Time) []step {
	var steps []step
	for i, c := range w.cases {
		w.cases[i].Outcomes[w.rules] = c.judged[w.rules].Outcome
		list := []moment{{c.Accepted, decided}}
		if past != nil {
			if p := past(c); p.State != "" {
				list = p.moments
			} else if c.judged[w.rules].State != Faulty {
				continue // nobody has decided it
			}
		}
		for _, m := range list {
			steps = append(steps, step{m.at, m.do, i})
		}
		for _, at := range c.again {
			steps = append(steps, step{at, again, i})
		}
		if c.Effective.After(c.Accepted) && !c.Effective.After(now) {
			steps = append(steps, step{c.Effective, due, i})
		}
	}
	slices.SortStableFunc(steps, func(a, b step) int {
		return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.do, b.do), w.cases[a.i].Accepted.Compare(w.cases[b.i].Accepted))
	})
	return steps
}

// take does what happens to a case.
func (w *walk) take(s step) {
	at := &w.at[s.i]
	switch s.do {
	case decided:
		at.silent = false
		w.decide(s.i, s.at)
		return
	case due:
		if at.dated {
			w.decide(s.i, s.at)
		}
		return
	case again:
		if at.waits && !slices.Contains(w.woken, s.i) { // who is one person may have become known since
			w.woken = append(w.woken, s.i)
		}
		return
	case letGo:
		w.enter(s.i, s.at)
	case overtaken:
		if at.apart && at.waits {
			w.late = append(w.late, s) // the word of this moment let it pass its brakes before it found out
			return
		}
		w.overtake(s.i, s.at)
		return
	case ended, paused:
		at.waits, at.dated, at.silent = false, false, true
	}
	w.tell(s.i, s.at)
}

// overtake lets a newer event decide in the place of a case.
func (w *walk) overtake(i int, at time.Time) {
	s := &w.at[i]
	if s.apart || !s.placed {
		w.first(i, at)
	}
	s.waits, s.dated = false, false
	w.tell(i, at)
}

// first is what an event does that is overtaken when it comes, or when people let it go: the guards before what takes
// back have let it pass, and it says who is who.
func (w *walk) first(i int, at time.Time) {
	c := &w.cases[i]
	if !w.at[i].apart && c.back {
		w.stop(i, at)
	}
	w.place(i, at)
}

// enter lets a case go on that people decided upon: what the rules said of it stays.
func (w *walk) enter(i int, at time.Time) {
	s := &w.at[i]
	s.waits, s.settled, s.silent = false, true, false
	if s.apart {
		w.place(i, at)
		s.dated = w.cases[i].Effective.After(at)
	}
}

// place gives a case its place among the events of its person, and takes in who is who by it.
func (w *walk) place(i int, at time.Time) {
	c, s := &w.cases[i], &w.at[i]
	w.who.learn(c, at, c.ordered && !s.placed)
	s.placed, s.apart = true, false
}

// decide applies the rules to a case at a moment.
func (w *walk) decide(i int, at time.Time) {
	c, s := &w.cases[i], &w.at[i]
	j := c.judged[w.rules]
	s.dated, s.waits = false, false
	if j.State == Faulty {
		if !j.unclear || !c.back {
			w.place(i, at)
		}
		return // nobody knows what it says
	}
	why, held := w.guard(i, at)
	if s.silent = j.State == Refused; !s.settled {
		c.Outcomes[w.rules] = j.Outcome
		if held {
			c.Outcomes[w.rules] = j.over(why)
		}
	}
	w.tell(i, at)
}

// guard gives a case its place, and says what holds it. What takes terminations back is asked before it has one.
func (w *walk) guard(i int, at time.Time) (why string, held bool) {
	c, s := &w.cases[i], &w.at[i]
	j := c.judged[w.rules]
	if c.back && !s.placed && j.State != Refused {
		if why, held = w.stop(i, at); held {
			s.apart = true
			return why, held
		}
	}
	w.place(i, at)
	s.dated = j.State != Refused && c.Effective.After(at)
	if s.dated || len(j.Steps) == 0 || j.State == Refused {
		return "", false
	}
	return w.stop(i, at) // by whom it is known to be about now
}

// stop asks for the second word, the brakes and the approvals, and says what is missing.
func (w *walk) stop(i int, at time.Time) (why string, held bool) {
	c, s := &w.cases[i], &w.at[i]
	j := c.judged[w.rules]
	s.waits, s.until = false, time.Time{}
	if missing := w.missing(i, at); missing != nil {
		s.waits = true
		w.wait(i, missing.till)
		return missing.why, true
	}
	if len(j.Brakes) > 0 {
		who := w.who.identity(c)
		why = w.wheels.ask(playbook.Rider{Who: who.Key, Keys: who.Counted, Name: j.named, Case: c.ID}, at, j.Brakes)
	}
	return why, why != "" || j.asks
}

// tell lists a case, and wakes those that wait for a word and have it now.
func (w *walk) tell(i int, at time.Time) {
	c, s := &w.cases[i], &w.at[i]
	if !s.decided && w.listens {
		s.decided = true
		for _, key := range w.keys(c, nil) {
			w.listed[key] = append(w.listed[key], i)
		}
	}
	for _, o := range w.alike(i) {
		if !w.at[o].waits {
			continue
		}
		if missing := w.missing(o, at); missing == nil && !slices.Contains(w.woken, o) {
			w.woken = append(w.woken, o)
		} else if missing != nil {
			w.wait(o, missing.till)
		}
	}
}

// wait has a case look again when a word that it waits for takes effect.
func (w *walk) wait(i int, till time.Time) {
	if s := &w.at[i]; !till.IsZero() && (s.until.IsZero() || till.Before(s.until)) {
		s.until = till
		w.lapses = append(w.lapses, i)
	}
}

// lapse wakes those that wait for a word which takes effect by now.
func (w *walk) lapse(at time.Time) {
	w.lapses = slices.DeleteFunc(w.lapses, func(i int) bool {
		s := w.at[i]
		if s.waits && s.until.After(at) {
			return false
		}
		if s.waits && !s.until.IsZero() && !slices.Contains(w.woken, i) {
			w.at[i].until = time.Time{}
			w.woken = append(w.woken, i)
		}
		return true
	})
}

// unsaid is the word that a case still needs.
type unsaid struct {
	why  string
	till time.Time // when one that would do takes effect; zero = none is known
}

// missing says whose word a case still needs; nil = nobody's.
func (w *walk) missing(i int, at time.Time) *unsaid {
	c := &w.cases[i]
	rules := c.judged[w.rules].Confirm
	if len(rules) == 0 {
		return nil
	}
	others := w.alike(i)
	for _, rule := range rules {
		heard, soon := false, time.Time{}
		for _, o := range others {
			other := &w.cases[o]
			switch {
			case w.at[o].silent || !rule.Counts(c.Source, other.Source) || other.Accepted.Sub(c.Accepted).Abs() > rule.Within:
			case !other.Effective.After(at):
				heard = true
			case soon.IsZero() || other.Effective.Before(soon):
				soon = other.Effective
			}
		}
		if !heard {
			return &unsaid{unheard(rule), soon}
		}
	}
	return nil
}

// alike gives the cases that are about the same: those of the same type under one of its names, of the same person or of
// the same subject, unless they contradict it.
func (w *walk) alike(i int) []int {
	if !w.listens {
		return nil
	}
	c := &w.cases[i]
	own := w.who.identity(c)
	var list []int
	for _, key := range w.keys(c, own.Keys) {
		for _, o := range w.listed[key] {
			if o != i && !slices.Contains(list, o) && w.about(c, own, &w.cases[o]) {
				list = append(list, o)
			}
		}
	}
	return list
}

// about reports whether another case of the same type is about the same.
func (w *walk) about(c *Case, own people.Called, other *Case) bool {
	switch {
	case playbook.Contradict(c.ids, other.ids):
		return false
	case other.Principal == c.Principal:
		return true
	}
	return strings.HasPrefix(c.Principal, "user:") && w.who.identity(other).Key == own.Key
}

// keys are what a case is listed under, and with more names what it is looked for by.
func (w *walk) keys(c *Case, more []string) []string {
	keys := []string{c.Event + " " + w.who.keyOf(c.Principal)}
	add := func(n string) {
		if key := c.Event + " " + n; !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	for _, id := range c.ids {
		add(w.who.keyOf(id.Principal()))
	}
	for _, n := range more {
		add(n)
	}
	return keys
}
