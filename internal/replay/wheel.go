package replay

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/playbook"
)

// Counts says how many a provider has of what a brake is a share of; known is false when nobody can say.
type Counts func(of playbook.Count) (n int, known bool)

// wheels are the brakes of one set of playbooks, in the time of the events.
type wheels struct {
	counts Counts
	people people
	byName map[string]*wheel // by name and key
}

func newWheels(counts Counts) *wheels {
	return &wheels{counts: counts, people: people{who: map[string]string{}, proper: map[string]string{}}, byName: map[string]*wheel{}}
}

// wheel is what one brake let pass in its window, as the planner's tally is: a person once, however often they pass,
// and not under too many names.
type wheel struct {
	passed []*pass // oldest first
	byWho  map[string]*pass
	names  int
}

// pass is one person, or one of what else events are about.
type pass struct {
	who   string
	names []string
	at    time.Time
}

// ask counts a case, and what its plan named, at every one of its brakes at a time, and says which one it is too much
// for; empty = it passes. All are asked before the first counts.
func (w *wheels) ask(c *Case, named string, at time.Time, brakes []playbook.Brake) string {
	if len(brakes) == 0 {
		return ""
	}
	who := w.people.of(c)
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
		if over := w.at(b).over(at.Add(-b.Per), who, named, most); over != "" {
			return "brake " + title(b) + ": " + over
		}
	}
	for _, b := range brakes {
		w.at(b).count(who, named, at)
	}
	return ""
}

// at is the wheel of a brake.
func (w *wheels) at(b playbook.Brake) *wheel {
	key := b.Name + "\x00" + b.Key
	if w.byName[key] == nil {
		w.byName[key] = &wheel{byWho: map[string]*pass{}}
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
func (w *wheel) over(begin time.Time, who, name string, most int) string {
	for len(w.passed) > 0 && !w.passed[0].at.After(begin) {
		w.names -= len(w.passed[0].names)
		delete(w.byWho, w.passed[0].who)
		w.passed = w.passed[1:]
	}
	p := w.byWho[who]
	switch {
	case p != nil && slices.Contains(p.names, name):
		return ""
	case p == nil && len(w.passed) >= most:
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

// count lets one pass. The window of a person begins with the last case of theirs.
func (w *wheel) count(who, name string, at time.Time) {
	p := w.byWho[who]
	if p == nil {
		p = &pass{who: who}
		w.byWho[who] = p
	} else {
		w.passed = slices.DeleteFunc(w.passed, func(o *pass) bool { return o == p })
	}
	if !slices.Contains(p.names, name) {
		p.names = append(p.names, name)
		w.names++
	}
	p.at = at
	w.passed = append(w.passed, p)
}

// people know who is who by the names that events gave one person so far. Two who have other proper identifiers are two.
type people struct {
	who    map[string]string // name → the first name of that person
	proper map[string]string // person and kind of identifier → the identifier that is given once and never again
}

// of says whom a case is about.
func (p people) of(c *Case) string {
	who := ""
	for _, id := range c.ids {
		if known := p.who[id.String()]; known != "" && !p.stranger(known, c.ids) {
			who = known
			break
		}
	}
	if who == "" {
		who = c.Principal
		if len(c.ids) > 0 {
			who = c.ids[0].String()
		}
	}
	for _, id := range c.ids {
		if p.who[id.String()] == "" {
			p.who[id.String()] = who
		}
		if given(id.Kind) && p.proper[who+string(id.Kind)] == "" {
			p.proper[who+string(id.Kind)] = id.Value
		}
	}
	return who
}

// stranger reports whether the person has another proper identifier than the event gives.
func (p people) stranger(who string, ids []events.Identifier) bool {
	return slices.ContainsFunc(ids, func(id events.Identifier) bool {
		own := p.proper[who+string(id.Kind)]
		return given(id.Kind) && own != "" && own != id.Value
	})
}

// given reports whether identifiers of a kind are given to one person and never to another.
func given(k events.Kind) bool { return k == events.OktaID || k == events.EmployeeNumber }
