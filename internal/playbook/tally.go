package playbook

import (
	"fmt"
	"slices"
	"time"
)

// Tally counts for a brake: whom and what it let pass within its window. A person stands in it once, by whatever names
// events call them and however often an event is sent; what is about no person stands in it by its subject. Who is held
// does not stand in it: it bounds whom is acted upon.
//
// It is the one rule for the planner, which keeps what passed in the ledger, and for a replay. The zero value has let
// nobody pass.
type Tally struct {
	passed []*Pass            // in the order in which they passed; none is changed
	byWho  map[string][]*Pass // more than one only in records of old, which did not say who
	byCase map[string]int
	names  int
	mixed  bool // somebody in passed is older than who passed before: the clocks of two planners differ
}

// Pass is one person, or one of what else events are about, that a brake let go. The ledger keeps it in this form for
// ever.
type Pass struct {
	Who   string    `json:"who,omitempty"`   // the person's key
	Names []string  `json:"names,omitempty"` // what the cases named: all that one gives, as one name
	Case  string    `json:"case"`            // the last of the cases
	Time  time.Time `json:"time"`            // when that one passed
}

// Rider is the case that asks to pass.
type Rider struct {
	Who  string   // the key of whom or what it is about
	Keys []string // Who, and the others under which whoever passed was the same
	Name string   // of all that it names
	Case string   // its id
}

// NewTally counts on from what passed, which must not be changed afterwards.
func NewTally(passed []Pass) *Tally {
	t := &Tally{passed: make([]*Pass, 0, len(passed)+1)}
	for i := range passed {
		t.add(&passed[i])
	}
	return t
}

// Passed gives whom it let pass, the last one last.
func (t *Tally) Passed() []Pass {
	list := make([]Pass, len(t.passed))
	for i, p := range t.passed {
		list[i] = *p
	}
	return list
}

// Begin has the window begin after a moment: who passed until then is forgotten.
func (t *Tally) Begin(at time.Time) {
	if t.mixed {
		t.take(func(p *Pass) bool { return !p.Time.After(at) })
		return
	}
	for len(t.passed) > 0 && !t.passed[0].Time.After(at) {
		t.drop(t.passed[0])
		t.passed = t.passed[1:]
	}
}

// Over says why one more case is too much where so many may pass; empty = it may. What has passed may pass again.
func (t *Tally) Over(r Rider, most int) string {
	if t.byCase[r.Case] > 0 {
		return ""
	}
	known := t.known(r)
	switch {
	case slices.ContainsFunc(known, func(p *Pass) bool { return slices.Contains(p.Names, r.Name) }):
		return ""
	case len(known) == 0 && len(t.passed) >= most:
		return fmt.Sprintf("%d have passed and no more than %d may", len(t.passed), most)
	case t.names >= most+spellings(most):
		return fmt.Sprintf("%d have passed under %d names, which is too many to be sure who is who", len(t.passed), t.names)
	}
	return ""
}

// spellings is how many more names than persons may pass: that two names are one person's is what events say, and one
// who may send events must not make a whole company look like one person.
func spellings(most int) int {
	if most == 0 {
		return 0
	}
	return max(1, most/4)
}

// Count lets the case pass at a time, in place of what passed for the same person before: the window of a person begins
// with the last case of theirs. It reports whether that changed anything: a case that stands in it was counted.
func (t *Tally) Count(r Rider, at time.Time) bool {
	if t.byCase[r.Case] > 0 {
		return false
	}
	mine := &Pass{Who: r.Who, Names: []string{r.Name}, Case: r.Case, Time: at}
	if known := t.known(r); len(known) > 0 {
		for _, p := range t.take(func(p *Pass) bool { return slices.Contains(known, p) }) {
			for _, name := range p.Names {
				if !slices.Contains(mine.Names, name) {
					mine.Names = append(mine.Names, name)
				}
			}
		}
	}
	t.add(mine)
	return true
}

// known gives what passed for whom the case is about, under whichever key.
func (t *Tally) known(r Rider) []*Pass {
	var known []*Pass
	for _, key := range r.Keys {
		for _, p := range t.byWho[key] {
			if !slices.Contains(known, p) {
				known = append(known, p)
			}
		}
	}
	return known
}

// add puts one behind the others.
func (t *Tally) add(p *Pass) {
	if t.byWho == nil {
		t.byWho, t.byCase = make(map[string][]*Pass, cap(t.passed)), make(map[string]int, cap(t.passed))
	}
	t.mixed = t.mixed || len(t.passed) > 0 && p.Time.Before(t.passed[len(t.passed)-1].Time)
	t.passed, t.byWho[p.Who] = append(t.passed, p), append(t.byWho[p.Who], p)
	t.byCase[p.Case]++
	t.names += namesOf(p)
}

// take forgets some, and gives them in the order in which they passed.
func (t *Tally) take(which func(p *Pass) bool) []*Pass {
	var taken []*Pass
	rest := t.passed[:0]
	for _, p := range t.passed {
		if which(p) {
			t.drop(p)
			taken = append(taken, p)
		} else {
			rest = append(rest, p)
		}
	}
	t.passed = rest
	return taken
}

// drop forgets one, but for its place in the row.
func (t *Tally) drop(p *Pass) {
	if list := slices.DeleteFunc(t.byWho[p.Who], func(o *Pass) bool { return o == p }); len(list) > 0 {
		t.byWho[p.Who] = list
	} else {
		delete(t.byWho, p.Who)
	}
	if t.byCase[p.Case]--; t.byCase[p.Case] == 0 {
		delete(t.byCase, p.Case)
	}
	t.names -= namesOf(p)
}

// namesOf is under how many names one passed; records of old do not say.
func namesOf(p *Pass) int { return max(len(p.Names), 1) }
