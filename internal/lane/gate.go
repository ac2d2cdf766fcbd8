package lane

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"keyturn/internal/apiclient"
	"keyturn/internal/events"
)

const (
	// holdAtMost is how long a provider may want to be left alone before the actions are given back. It is as long as
	// any wait that the clients of Okta and ASA read from a window.
	holdAtMost = 90 * time.Second
	// againSoon is when an action comes again that could not be finished for no reason of the provider's.
	againSoon = time.Second
	// urgentPlaces are how many calls of the urgent may be in flight beside the others: none waits for a leaver's call.
	urgentPlaces = 2
	// wallFor is how long a number of calls in flight that was too many is not tried again: the limit is the org's
	// (Okta, vendor page rl2-concurrency), and others who come and go meet it too.
	wallFor = time.Minute
)

// gate spends one connection's budget during one tenure: it lets a call go only when the provider's own figures say
// that it will not be refused, and no more at a time than the provider takes. All it knows it learned from replies.
//
// Whoever must wait is served by class, the most urgent first, and within a class by the age of the action: what was
// begun is ended first. A wait ends when there is budget, however long the queue is: an action that was sent away for
// it would begin anew, and with enough of them none would ever end.
type gate struct {
	mu       sync.Mutex
	buckets  map[string]*bucket
	waiting  []*waiter   // in the order in which they are served
	wake     *time.Timer // runs when time alone lets one of them go
	inFlight int
	passes   int
	calls    rate                    // that went out
	shut     bool                    // the breaker is open
	shutAt   time.Time               // since when, or when it was the last time
	stood    time.Duration           // how long it was open in all, the present time left out
	over     bool                    // the tenure ends
	gone     chan struct{}           // closed when it does
	idle     map[*pass]chan struct{} // who waits for others than the provider; closed to send them away
	lease    func() error            // an error when it is over, before those whose work it is hear so; nil = there is none

	budget Budget // of every bucket

	ceiling int // how many calls may be in flight
	most    int // what the ceiling creeps up to
	good    int // calls that went well since the ceiling last changed
	echoes  int // calls still out of those in flight when it last sank: that they were too many is known
	wall    int // so many in flight were too many; 0 = nobody knows
	walled  time.Time

	outage *outage // hears of each call whether it failed
}

// waiter is one call before the gate.
type waiter struct {
	pass    *pass
	bucket  string
	patient bool // waits, however long the provider wants to be left alone
	answer  chan error
	rests   bool // holds no slot of its class meanwhile
}

// rest lets go of the action's slot, if it has one, or takes it again.
func (w *waiter) rest(rests bool) {
	h := w.pass.hands
	if h == nil || w.rests == rests {
		return
	}
	w.rests = rests
	h.rest(w.pass.kind, rests)
}

// end answers the call.
func (w *waiter) end(err error) {
	w.rest(false)
	w.answer <- err
}

// newGate makes a gate that lets at most so many calls be in flight, and a few urgent ones more.
func newGate(most int) *gate {
	most = max(most, 1)
	g := &gate{gone: make(chan struct{}), idle: map[*pass]chan struct{}{}, buckets: map[string]*bucket{}, ceiling: most, most: most, outage: newOutage()}
	g.wake = time.AfterFunc(time.Hour, func() { g.change(func() {}) })
	g.wake.Stop()
	return g
}

// pass lets the calls of one action through a gate. It implements apiclient.Gate.
type pass struct {
	gate   *gate
	rank   int // of the class; 0 is the most urgent
	number int
	hands  *hands // of which the action holds a slot; nil = of none
	kind   string // of the action
	asked  bool   // a person asks: goes even while the gate is shut
	inWay  bool   // one of a more urgent class waits for its end

	short string // the bucket of the last call that had too little time to wait for; empty = none
	room  string // the bucket in which the next call is admitted already; empty = none

	// may asks once more whether the next call, which is the action's first change, may be made; nil = nothing is to be asked.
	may func(context.Context) error
}

func (g *gate) pass(c events.Class) *pass {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.passes++
	return &pass{gate: g, rank: rank(c), number: g.passes}
}

// rank is where a class stands in the order of service; one that is unknown is the last.
func rank(c events.Class) int {
	classes := events.Classes()
	if i := slices.Index(classes, c); i >= 0 {
		return i
	}
	return len(classes) - 1
}

// Admit implements apiclient.Gate.
func (p *pass) Admit(ctx context.Context, bucket string) error {
	if at, ok := ctx.Deadline(); ok {
		// Time spent here is missing from the call: one that goes late ends with nobody knowing what it did.
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(at)/2)
		defer cancel()
	}
	if err := ctx.Err(); err != nil {
		return overdue(err)
	}
	if p.admitted(bucket) {
		return nil
	}
	began := time.Now()
	err := p.wait(ctx, &waiter{pass: p, bucket: bucket})
	if errors.Is(err, apiclient.ErrNoRoom) {
		p.gate.change(func() { p.short = bucket })
	}
	if err != nil {
		return err
	}
	return p.still(ctx, bucket, began)
}

// wait waits until the call may go, or for the end of ctx.
func (p *pass) wait(ctx context.Context, w *waiter) error {
	w.answer = make(chan error, 1)
	p.gate.change(func() { p.gate.queue(w) })
	select {
	case err := <-w.answer:
		return err
	case <-ctx.Done():
		return p.gate.leave(w, overdue(ctx.Err()))
	}
}

// Learn implements apiclient.Gate.
func (p *pass) Learn(bucket string, said apiclient.Budget) {
	g := p.gate
	g.change(func() {
		g.inFlight--
		g.bucket(bucket).learn(said, time.Now())
		g.adapt(said, time.Now())
	})
	g.outage.learn(said.Failed, time.Now())
}

// change changes the gate and lets go whoever may go then.
func (g *gate) change(f func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f()
	g.serve(time.Now())
}

// leave ends a wait with err, unless the call was admitted meanwhile: then it goes, and tells by Learn what came of it.
func (g *gate) leave(w *waiter, err error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case answer := <-w.answer:
		return answer
	default:
	}
	w.rest(false)
	g.waiting = slices.DeleteFunc(g.waiting, func(v *waiter) bool { return v == w })
	return err
}

// serve answers all that can be answered now, and sets the timer for the first of the rest. Where no place is left, time
// alone lets nobody go: whoever waits from there on is looked at when a call comes back.
func (g *gate) serve(now time.Time) {
	g.wake.Stop()
	if !g.over && g.lease != nil && g.lease() != nil {
		return // a call that was cut off makes room for nobody: all who wait are cut off as well in a moment
	}
	rest := g.waiting[:0]
	next := time.Duration(0)
	for i, w := range g.waiting {
		if !g.over && g.inFlight >= g.places(w.pass.rank) {
			rest = append(rest, g.waiting[i:]...)
			break
		}
		wait, ok := g.take(w, now)
		switch {
		case g.over:
			w.end(later(againSoon, "the lane changes hands"))
		case ok:
			w.end(nil)
		case wait > holdAtMost && !w.patient:
			w.end(later(wait, "the provider wants to be left alone"))
		default:
			w.rest(wait > 0) // for time to pass, not for a place
			rest = append(rest, w)
			if next == 0 || wait > 0 && wait < next {
				next = wait
			}
		}
	}
	clear(g.waiting[len(rest):])
	g.waiting = rest
	if next > 0 {
		g.wake.Reset(next)
	}
}

// places is how many calls may be in flight for one of a class to go.
func (g *gate) places(rank int) int {
	places := g.ceiling
	if rank == 0 {
		places += min(urgentPlaces, g.ceiling)
	}
	if g.wall > 0 {
		places = min(places, g.wall-1)
	}
	return places
}

// take admits a call, or says how long it may certainly not go; 0 = nobody knows.
func (g *gate) take(w *waiter, now time.Time) (wait time.Duration, ok bool) {
	b := g.bucket(w.bucket)
	if wait, ok := b.free(w.pass.rank, now); !ok || g.over {
		return wait, false
	}
	if g.shut && !w.pass.asked || g.inFlight >= g.places(w.pass.rank) {
		return 0, false
	}
	b.take(now)
	g.inFlight++
	g.calls.add(now)
	return 0, true
}

// adapt halves the ceiling when the provider says that too many calls are in flight, once for all that were, and
// raises it by one after as many good calls as it is high; up to what was too many only when that is a while ago.
func (g *gate) adapt(said apiclient.Budget, now time.Time) {
	echo := g.echoes > 0
	g.echoes = max(g.echoes-1, 0)
	switch {
	case said.Crowded && echo: // those that are taken up take longer than a refusal: the last of these knows best
		if g.wall > 0 {
			g.wall = max(min(g.wall, g.inFlight+1), g.ceiling+1)
		}
	case said.Crowded:
		g.walled = now
		if g.wall = g.inFlight + 1; g.wall == 1 {
			g.wall = 0 // it was alone: others are the many
		}
		g.ceiling = max(min(g.ceiling, g.inFlight+1)/2, 1)
		g.echoes, g.good = g.inFlight, 0
	case said.Wait > 0, said.Failed:
	default:
		if now.Sub(g.walled) >= wallFor {
			g.wall = 0 // also where the ceiling is as high as it may be: the urgent have places beyond it
		}
		if g.ceiling >= g.most {
			return
		}
		if g.good++; g.good >= g.ceiling && g.ceiling+1 != g.wall {
			g.ceiling, g.good = g.ceiling+1, 0
		}
	}
}

// hurry serves an action by another class from now on, if that is more urgent: one of that class waits for its end. What it
// waits for beside the provider goes at its own pace, and is not waited for.
func (g *gate) hurry(p *pass, c events.Class) {
	g.change(func() {
		if rank(c) >= p.rank {
			return
		}
		p.rank, p.inWay = rank(c), true
		g.sendAway(p)
		slices.SortStableFunc(g.waiting, before)
	})
}

// queue has a call wait behind all that are served before it.
func (g *gate) queue(w *waiter) {
	at, _ := slices.BinarySearchFunc(g.waiting, w, func(v, w *waiter) int { return cmp.Or(before(v, w), -1) })
	g.waiting = slices.Insert(g.waiting, at, w)
}

// before orders those who wait.
func before(v, w *waiter) int {
	return cmp.Or(cmp.Compare(v.pass.rank, w.pass.rank), cmp.Compare(v.pass.number, w.pass.number))
}

// stop holds every call back, without an end; with false they go on, one at a time at first: a provider that has just come
// back, and may be half dead, must not meet all that waits at once.
func (g *gate) stop(shut bool) {
	g.change(func() {
		switch {
		case g.shut && !shut:
			g.ceiling, g.good = 1, 0
			g.stood += time.Since(g.shutAt)
		case shut && !g.shut:
			g.shutAt = time.Now()
		}
		g.shut = shut
	})
}

// finish sends away whoever waits, and whoever comes: calls that are out come to their end, and none begins.
func (g *gate) finish() {
	g.change(func() {
		if !g.over {
			close(g.gone)
		}
		g.over = true
		for p := range g.idle {
			g.sendAway(p)
		}
	})
}

// idles notes that an action waits for others, or does not, and gives what is closed to send it away.
func (g *gate) idles(p *pass, waits bool) (sent chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !waits {
		delete(g.idle, p)
		return nil
	}
	sent = make(chan struct{})
	g.idle[p] = sent
	if g.over || p.inWay {
		g.sendAway(p)
	}
	return sent
}

// sendAway ends the wait of an action for others, if it does. g.mu is held.
func (g *gate) sendAway(p *pass) {
	if sent := g.idle[p]; sent != nil {
		close(sent)
		delete(g.idle, p)
	}
}

func (g *gate) bucket(name string) *bucket {
	b := g.buckets[name]
	if b == nil {
		b = &bucket{budget: g.budget, known: newKnown(g.budget, name)}
		g.buckets[name] = b
	}
	return b
}

// overdue is the answer to a call whose context ended before the gate. One whose own time was up was not sent, and
// that is no failure of it.
func overdue(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return &apiclient.Error{Cause: apiclient.Later, RetryAfter: againSoon, Err: apiclient.ErrNoRoom}
	}
	return err
}

func later(wait time.Duration, why string) error {
	return &apiclient.Error{Cause: apiclient.Later, RetryAfter: wait, Err: errors.New(why)}
}
