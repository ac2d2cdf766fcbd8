package lane

import (
	"context"
	"errors"
	"sync"
	"time"

	"keyturn/internal/apiclient"
	"keyturn/internal/events"
)

const (
	// longestWait is how long a call is held back in place. For longer its action is given back: a slot that only
	// waits serves nobody.
	longestWait = 60 * time.Second
	// slowStart is how many calls may be under way in a bucket whose budget nobody has told yet.
	slowStart = 2
	// afterReset is what a reset is waited for beyond its time: servers tell it in whole seconds.
	afterReset = 250 * time.Millisecond
)

// reserveOf is the part of a bucket's limit that calls of a class leave to those above them: so many calls of a
// window are always there for a stolen laptop, however many leavers wait.
func reserveOf(c events.Class) float64 {
	switch c {
	case events.Urgent:
		return 0
	case events.Normal:
		return 0.1
	}
	return 0.2
}

// Gate spends the budget of one connection: for each rate bucket what the provider's own replies say is left, and for
// all of them together how many calls it takes at a time. Nothing about a provider is configured here, all is
// learned. Make it with NewGate. It is safe for concurrent use.
type Gate struct {
	mu      sync.Mutex
	changed chan struct{} // closed and made anew when somebody who waits should look again
	buckets map[string]*bucket
	most    float64 // calls at a time that were asked for
	now     float64 // calls at a time at present
	flying  int     // calls under way
}

// bucket is what is known of one rate bucket.
type bucket struct {
	known  bool      // a reply said what is left
	limit  int       // calls a window
	left   int       // calls left in the window, calls under way taken off
	reset  time.Time // when the window ends
	pause  time.Time // until when the provider wants to be left alone
	flying int
}

// NewGate makes the gate of a connection that takes so many calls at a time.
func NewGate(concurrency int) *Gate {
	n := float64(max(concurrency, 1) + urgentSlots)
	return &Gate{changed: make(chan struct{}), buckets: map[string]*bucket{}, most: n, now: n}
}

// For gives the gate as the calls of a class pass it.
func (g *Gate) For(c events.Class) apiclient.Gate { return passage{g, c} }

// passage is the gate for one class.
type passage struct {
	gate  *Gate
	class events.Class
}

// Learn implements apiclient.Gate.
func (p passage) Learn(bucket string, b apiclient.Budget) { p.gate.learn(bucket, b) }

// Admit implements apiclient.Gate. It blocks for 60 s at most, and not when the context's own end is nearer than the
// call: then, and for longer waits, the answer is Later.
func (p passage) Admit(ctx context.Context, name string) error {
	end := time.Now().Add(longestWait)
	if at, ok := ctx.Deadline(); ok && at.Before(end) {
		end = at
	}
	for {
		if err := ctx.Err(); err != nil {
			return ended(err)
		}
		wait, changed := p.gate.try(name, p.class)
		switch {
		case wait == 0:
			return nil
		case wait > 0 && time.Now().Add(wait).After(end):
			return later(wait)
		}
		if wait < 0 { // for another call to end: nobody knows how long
			wait = time.Until(end)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-changed:
		case <-timer.C:
			if !time.Now().Before(end) {
				timer.Stop()
				return later(time.Second)
			}
		}
		timer.Stop()
	}
}

// later is the answer to a call that should be tried again after wait.
func later(wait time.Duration) error {
	return &apiclient.Error{Cause: apiclient.Later, RetryAfter: wait, Err: errors.New("the budget of the connection is spent")}
}

// ended turns the end of a context into an answer: a call that was never sent because its time was up is only late.
func ended(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return later(time.Second)
	}
	return err
}

// try takes a call's place, and gives 0; or how long to wait, negative when that depends on other calls only.
func (g *Gate) try(name string, c events.Class) (time.Duration, <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	b := g.buckets[name]
	if b == nil {
		b = &bucket{}
		g.buckets[name] = b
	}
	now := time.Now()
	if wait := b.pause.Sub(now); wait > 0 {
		return wait, g.changed
	}
	places := int(g.now)
	if c != events.Urgent {
		places = max(1, places-1)
	}
	if g.flying >= places {
		return -1, g.changed
	}
	b.renew(now)
	if !b.known {
		if b.flying >= slowStart {
			return -1, g.changed
		}
	} else if b.limit > 0 && b.left <= int(float64(b.limit)*reserveOf(c)) {
		return max(b.reset.Sub(now), 0) + afterReset, g.changed
	}
	b.left--
	b.flying++
	g.flying++
	return 0, g.changed
}

// renew begins a new window when the old one is over. What it holds is not known before its first reply.
func (b *bucket) renew(now time.Time) {
	if b.known && b.limit > 0 && !now.Before(b.reset.Add(afterReset)) {
		b.known = false
	}
}

// learn takes what a reply said.
func (g *Gate) learn(name string, said apiclient.Budget) {
	g.mu.Lock()
	defer g.mu.Unlock()
	b := g.buckets[name]
	if b == nil {
		b = &bucket{flying: 1}
		g.buckets[name], g.flying = b, g.flying+1
	}
	b.flying--
	g.flying--
	now := time.Now()
	if said.Wait > 0 {
		if until := now.Add(said.Wait); until.After(b.pause) {
			b.pause = until
		}
	}
	switch {
	case said.Crowded:
		g.now = max(1, g.now/2)
	case said.Wait == 0:
		g.now = min(g.most, g.now+1/g.now) // one more at a time after as many calls as there are at a time
		b.take(said, now)
	default:
		b.take(said, now)
	}
	close(g.changed)
	g.changed = make(chan struct{})
}

// take notes what is left. Replies come out of order: within one window the smaller number is the later one.
func (b *bucket) take(said apiclient.Budget, now time.Time) {
	if said.Limit <= 0 || said.Remaining < 0 {
		// A provider that tells nothing is held back by its 429s alone.
		if !b.known {
			b.known, b.limit = said.Wait == 0 && said.Limit < 0, 0
		}
		return
	}
	reset := now.Add(said.Reset)
	left := said.Remaining - b.flying
	switch {
	case !b.known, reset.After(b.reset.Add(2 * time.Second)):
		b.reset, b.left = reset, left
	case reset.Before(b.reset.Add(-2 * time.Second)):
		return // of a window that is over
	default:
		b.left = min(b.left, left)
	}
	b.known, b.limit = true, said.Limit
}
