package lane

import (
	"context"
	"fmt"
	"sync"
	"time"

	"keyturn/internal/apiclient"
	"keyturn/internal/events"
)

const (
	// holdAtMost is how long a call waits in place for its budget. A longer wait gives the action back: it must not hold
	// a slot, and a window of Okta is a minute ("Rate limits").
	holdAtMost = 60 * time.Second
	// startInFlight is how many calls go out at once to a bucket that nobody knows yet; each good reply lets one more go.
	startInFlight = 2
	// sameWindow is how far the ends of one window may be apart in two replies: servers tell it in whole seconds.
	sameWindow = 2 * time.Second
)

// Gate spends one connection's budget: it lets a call go only when the provider's own figures say that the call will
// not be refused. What it knows, it learned from replies; it begins slowly. All classes share one Gate, each through
// its own view (For).
type Gate struct {
	mu       sync.Mutex
	changed  chan struct{} // closed and renewed whenever a waiter should look again
	buckets  map[string]*bucket
	inFlight int // over all buckets
	ceiling  int // how many may be in flight, over all buckets
	most     int // what the ceiling creeps up to
	calls    int // since the ceiling last changed
}

// bucket is what is known of one rate limit.
type bucket struct {
	limit     int       // calls a window; 0 = unknown
	remaining int       // calls left, by the last reply, less those sent since
	ends      time.Time // of the window
	paused    time.Time // told to wait until then
	inFlight  int
	slowStart int // calls that may be in flight while the limit is unknown
}

// NewGate makes the gate of a connection on which at most so many calls may be in flight at once.
func NewGate(most int) *Gate {
	most = max(most, 1)
	return &Gate{changed: make(chan struct{}), buckets: map[string]*bucket{}, ceiling: most, most: most}
}

// For is the gate as the calls of a class see it.
func (g *Gate) For(class events.Class) apiclient.Gate { return view{gate: g, class: class} }

// view is the gate for one class. Every class has the whole budget: who comes first is settled by the lane's slots.
type view struct {
	gate  *Gate
	class events.Class
}

func (v view) Admit(ctx context.Context, bucket string) error { return v.gate.admit(ctx, bucket) }

func (v view) Learn(bucket string, b apiclient.Budget) { v.gate.learn(bucket, b, time.Now()) }

// admit returns when a call may be sent.
func (g *Gate) admit(ctx context.Context, name string) error {
	for {
		g.mu.Lock()
		wait, ok := g.take(name, time.Now())
		changed := g.changed
		g.mu.Unlock()
		if ok {
			return nil
		}
		if wait > holdAtMost {
			return &apiclient.Error{
				Op: "gate " + name, Cause: apiclient.Later, RetryAfter: wait,
				Err: fmt.Errorf("the provider's budget is spent for %s", wait.Round(time.Second)),
			}
		}
		timer := time.NewTimer(wait)
		select {
		case <-changed:
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
		timer.Stop()
	}
}

// take spends one call of the bucket, or says how long to wait before looking again, at the latest.
func (g *Gate) take(name string, now time.Time) (time.Duration, bool) {
	b := g.bucket(name)
	if now.Before(b.paused) {
		return b.paused.Sub(now), false
	}
	if b.limit > 0 && !now.Before(b.ends) {
		// The window is over and nobody said anything since: the next one is as large. Its own replies correct this.
		b.remaining, b.ends = b.limit-b.inFlight, now.Add(holdAtMost)
	}
	switch {
	case g.inFlight >= g.ceiling, b.limit == 0 && b.inFlight >= b.slowStart:
		return holdAtMost, false // a reply wakes it
	case b.limit > 0 && b.remaining <= 0:
		return b.ends.Sub(now), false
	}
	b.remaining--
	b.inFlight++
	g.inFlight++
	return 0, true
}

// learn takes what the reply to an admitted call said.
func (g *Gate) learn(name string, said apiclient.Budget, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	b := g.bucket(name)
	b.inFlight = max(b.inFlight-1, 0)
	g.inFlight = max(g.inFlight-1, 0)
	b.slowStart++
	switch {
	case said.Crowded:
		g.ceiling, g.calls = max(g.ceiling/2, 1), 0
	case said.Limit > 0 && said.Remaining >= 0:
		b.window(said, now)
	}
	if said.Wait > 0 {
		if until := now.Add(said.Wait); until.After(b.paused) {
			b.paused = until
		}
	}
	g.creep(said)
	close(g.changed)
	g.changed = make(chan struct{})
}

// window takes a reply's figures over. Replies come out of order: within one window the smaller remainder is right,
// and one of a window that is over says nothing.
func (b *bucket) window(said apiclient.Budget, now time.Time) {
	ends := now.Add(said.Reset)
	left := said.Remaining - b.inFlight // those under way are not in the reply's figure, or are: never too many
	switch {
	case b.limit == 0 || ends.After(b.ends.Add(sameWindow)) || now.After(b.ends):
		b.remaining, b.ends = left, ends
	case ends.After(b.ends.Add(-sameWindow)):
		b.remaining, b.ends = min(b.remaining, said.Remaining), ends
	default:
		b.remaining, b.ends = min(b.remaining, left), ends // an assumed end was too late
	}
	b.limit = said.Limit
}

// creep raises the ceiling by one after as many good replies as it is high: additive increase, after the halving in
// learn.
func (g *Gate) creep(said apiclient.Budget) {
	if said.Crowded || said.Wait > 0 || g.ceiling >= g.most {
		return
	}
	if g.calls++; g.calls >= g.ceiling {
		g.ceiling, g.calls = g.ceiling+1, 0
	}
}

func (g *Gate) bucket(name string) *bucket {
	b := g.buckets[name]
	if b == nil {
		b = &bucket{slowStart: startInFlight}
		g.buckets[name] = b
	}
	return b
}
