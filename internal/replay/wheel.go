package replay

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"keyturn/internal/people"
	"keyturn/internal/playbook"
)

// Counts says how many a provider has of what a brake is a share of; known is false when nobody can say.
type Counts func(of playbook.Count) (n int, known bool)

// wheels are the brakes of one set of playbooks, in the time of the events.
type wheels struct {
	counts Counts
	byName map[string]*wheel // by name and key
}

func newWheels(counts Counts) *wheels { return &wheels{counts: counts, byName: map[string]*wheel{}} }

// wheel is what one brake let pass in its window, as the planner's tally is: a person once, however often they pass,
// and not under too many names.
type wheel struct {
	passed []*pass // oldest first
	byWho  map[string]*pass
	byCase map[int]*pass
	names  int
}

// pass is one person, or one of what else events are about.
type pass struct {
	who   string
	names []string
	of    int // the last of the cases
	at    time.Time
}

// rider is the case that asks to pass.
type rider struct {
	people.Called
	name string // what its plan names
	of   int    // which case it is
}

// ask counts a case at every one of its brakes at a time, and says which one it is too much for; empty = it passes. All
// are asked before the first counts.
func (w *wheels) ask(r rider, at time.Time, brakes []playbook.Brake) string {
	for _, b := range brakes {
		most := b.Max
		if b.Share != nil {
			n, known := 0, false
			if w.counts != nil {
				n, known = w.counts(b.Share.Of)
			}
			if !known {
				return fmt.Sprintf("brake %s: it is not known how many %s %s has", title(b), strings.ReplaceAll(b.Share.Of.What, "_", " "), b.Share.Of.Connection)
			}
			most = b.Share.Max(n)
		}
		if over := w.at(b).over(at.Add(-b.Per), r, most); over != "" {
			return "brake " + title(b) + ": " + over
		}
	}
	for _, b := range brakes {
		w.at(b).count(r, at)
	}
	return ""
}

// at is the wheel of a brake.
func (w *wheels) at(b playbook.Brake) *wheel {
	key := b.Name + "\x00" + b.Key
	if w.byName[key] == nil {
		w.byName[key] = &wheel{byWho: map[string]*pass{}, byCase: map[int]*pass{}}
	}
	return w.byName[key]
}

// title names a brake for a person.
func title(b playbook.Brake) string {
	if b.Key == "" {
		return b.Name
	}
	return b.Name + " (" + b.Key + ")"
}

// over says why one more is too much in the window that begins after begin; empty = it may pass.
func (w *wheel) over(begin time.Time, r rider, most int) string {
	for len(w.passed) > 0 && !w.passed[0].at.After(begin) {
		w.drop(w.passed[0])
		w.passed = w.passed[1:]
	}
	if w.byCase[r.of] != nil {
		return ""
	}
	known := w.of(r)
	switch {
	case slices.ContainsFunc(known, func(p *pass) bool { return slices.Contains(p.names, r.name) }):
		return ""
	case len(known) == 0 && len(w.passed) >= most:
		return fmt.Sprintf("%d have passed and no more than %d may", len(w.passed), most)
	case w.names >= most+spellings(most):
		return fmt.Sprintf("%d have passed under %d names, which is too many to be sure who is who", len(w.passed), w.names)
	}
	return ""
}

// spellings is how many more names than persons may pass, as the planner counts.
func spellings(most int) int {
	if most == 0 {
		return 0
	}
	return max(1, most/4)
}

// of gives what passed for the same person, under whichever name.
func (w *wheel) of(r rider) []*pass {
	var known []*pass
	for _, key := range r.Keys {
		if p := w.byWho[key]; p != nil && (key == r.Key || !slices.Contains(r.Taken, key)) && !slices.Contains(known, p) {
			known = append(known, p)
		}
	}
	return known
}

// drop forgets who passed, but for its place in the row.
func (w *wheel) drop(p *pass) {
	w.names -= len(p.names)
	delete(w.byWho, p.who)
	delete(w.byCase, p.of)
}

// count lets one pass, in place of what passed for the same person before: the window of a person begins with the last
// case of theirs.
func (w *wheel) count(r rider, at time.Time) {
	if w.byCase[r.of] != nil {
		return
	}
	mine := &pass{who: r.Key, names: []string{r.name}, of: r.of, at: at}
	if known := w.of(r); len(known) > 0 {
		w.passed = slices.DeleteFunc(w.passed, func(o *pass) bool { return slices.Contains(known, o) })
		for _, p := range known {
			w.drop(p)
			for _, n := range p.names {
				if !slices.Contains(mine.names, n) {
					mine.names = append(mine.names, n)
				}
			}
		}
	}
	w.names += len(mine.names)
	w.byWho[mine.who], w.byCase[mine.of] = mine, mine
	w.passed = append(w.passed, mine)
}
