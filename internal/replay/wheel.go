package replay

import (
	"time"

	"keyturn/internal/playbook"
)

// Counts says how many a provider has of what a brake is a share of; known is false when nobody can say.
type Counts func(of playbook.Count) (n int, known bool)

// wheels are the brakes of one set of playbooks, in the time of the events.
type wheels struct {
	counts Counts
	byName map[string]*playbook.Tally // by name and key
}

func newWheels(counts Counts) *wheels {
	return &wheels{counts: counts, byName: map[string]*playbook.Tally{}}
}

// ask counts a case at every one of its brakes at a time, and says which one it is too much for; empty = it passes. All
// are asked before the first counts.
func (w *wheels) ask(r playbook.Rider, at time.Time, brakes []playbook.Brake) string {
	for _, b := range brakes {
		most := b.Max
		if b.Share != nil {
			n, known := 0, false
			if w.counts != nil {
				n, known = w.counts(b.Share.Of)
			}
			if !known {
				return b.Unknown()
			}
			most = b.Share.Max(n)
		}
		t := w.of(b)
		t.Begin(at.Add(-b.Per))
		if over := t.Over(r, most); over != "" {
			return "brake " + b.Title() + ": " + over
		}
	}
	for _, b := range brakes {
		w.of(b).Count(r, at)
	}
	return ""
}

// of is the tally of a brake.
func (w *wheels) of(b playbook.Brake) *playbook.Tally {
	key := b.Name + "\x00" + b.Key
	if w.byName[key] == nil {
		w.byName[key] = &playbook.Tally{}
	}
	return w.byName[key]
}
