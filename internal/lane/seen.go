package lane

import (
	"cmp"
	"slices"
	"time"
)

// Seen is what a gate knows of one rate bucket at a moment, for a person.
type Seen struct {
	Bucket string
	Known  bool      // a reply of this window said what is left
	Limit  int       // calls a window; 0 when the provider tells nothing
	Left   int       // calls left in the window
	Reset  time.Time // when the window ends
	Pause  time.Time // until when the provider wants to be left alone; in the past = it does not
	Flying int       // calls under way
}

// Seen tells what was learned so far, by bucket, and how many calls at a time the connection takes at present.
func (g *Gate) Seen() (buckets []Seen, atOnce int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for name, b := range g.buckets {
		buckets = append(buckets, Seen{Bucket: name, Known: b.known, Limit: b.limit, Left: b.left, Reset: b.reset,
			Pause: b.pause, Flying: b.flying})
	}
	slices.SortFunc(buckets, func(a, b Seen) int { return cmp.Compare(a.Bucket, b.Bucket) })
	return buckets, int(g.now)
}
