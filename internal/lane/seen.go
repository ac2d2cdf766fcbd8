package lane

import (
	"cmp"
	"slices"
	"time"
)

// Seen is what a lane knows of one rate bucket at a moment, for a person.
type Seen struct {
	Bucket string
	Known  bool      // a reply of this window said what is left, or the provider tells nothing
	Limit  int       // calls a window; 0 when the provider tells nothing
	Left   int       // calls left in the window
	Reset  time.Time // when the window ends
	Pause  time.Time // until when the provider wants to be left alone; in the past = it does not
	Flying int       // calls under way

	Calls   int           // that went out since this worker holds the lane
	Allowed int           // of Limit, what the lane may use of a window
	Span    time.Duration // how long a window is, as far as it was seen; 0 = none was
}

// Seen tells what was learned since this worker holds the lane, by bucket, and how many calls at a time the provider
// takes at present; nothing and 0 while the lane is not held.
func (l *Lane) Seen() (buckets []Seen, atOnce int) {
	t := l.tenure()
	if t == nil {
		return nil, 0
	}
	return t.gate.seen(time.Now())
}

func (g *gate) seen(now time.Time) (buckets []Seen, atOnce int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for name, b := range g.buckets {
		pause := b.paused
		b = b.tighter()
		b.turn(now)
		buckets = append(buckets, Seen{
			Bucket: name, Known: b.open || b.window.IsZero() && b.blind > 0, Limit: b.limit,
			Left: max(b.rest(), 0), Reset: b.ends, Pause: pause, Flying: b.inFlight,
			Calls: b.calls, Allowed: b.budget.allowed(b.limit), Span: b.span,
		})
	}
	slices.SortFunc(buckets, func(a, b Seen) int { return cmp.Compare(a.Bucket, b.Bucket) })
	return buckets, g.ceiling
}
