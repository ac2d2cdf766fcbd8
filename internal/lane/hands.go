package lane

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// handsAtMost is how many actions of a class are in hand at most, with those that wait for budget, unless there are
// more slots: half of what the consumer gives out, so that what was given back with a delay has room beside them.
const handsAtMost = 256

// hands are the slots of a class. An action whose call waits for the budget of its bucket rests: it holds no slot, and
// others, of buckets that have some left, are taken up in its place. Of those in hand the resting of one kind leave some
// places to other kinds, however many wait: the rest of them waits at the broker.
type hands struct {
	most int // slots

	mu    sync.Mutex
	busy  int            // slots that are held. One that comes back from its rest is not sent away: there may be a few too many
	total int            // actions in hand, with those that rest
	rests map[string]int // those that rest, by kind
	off   rate           // actions that were put off
	back  []given        // to the broker, and not yet come again
	freed chan struct{}
}

// given is an action that was given back with a delay. Until it comes again it holds a place of its consumer.
type given struct {
	kind  string
	until time.Time
}

const (
	// crowdTimes is how many times as many actions of one kind may rest as places are left. With 7 a kind alone takes seven
	// eighths of them, two kinds that wait for two buckets 119 of 256 each: there are always some to take up what need not
	// wait (dynamic thresholds, Choudhury and Hahne 1998).
	crowdTimes = 7
	// offFor is how long an action at least is put off: it leaves its consumer, where it would hold a place.
	offFor = 61 * time.Second
	// offSpread is over how long those come back that were put off together, if they are many; and offAMinute how many come
	// back in it at most: more than any window serves, and few enough that they cost the broker nothing, however many wait.
	offSpread  = time.Minute
	offAMinute = 1024
)

func newHands(most int) *hands {
	return &hands{most: most, rests: map[string]int{}, freed: make(chan struct{}, 1)}
}

// places is how many actions of the class are in hand at most.
func (h *hands) places() int { return max(h.most, handsAtMost) }

// crowded says for how long an action of a kind, which is in hand and did not begin, is put off because too many of its
// kind rest; 0 = it is not. It is not begun: that would be a record each time, and a read that is repeated.
func (h *hands) crowded(kind string, now time.Time) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	if n := h.rests[kind]; n == 0 || n < crowdTimes*(h.places()-h.total) {
		return 0
	}
	return h.putOff(now)
}

// giveBack says for how long an action of a kind is given back that is to come again after d. Those that are given back for
// seconds hold places of their consumer, as many as those in hand may: when too many of a kind do so, because one endpoint
// fails, the next ones are put off.
func (h *hands) giveBack(kind string, d time.Duration, now time.Time) time.Duration {
	if d < time.Second || d >= offFor {
		return d
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	h.back = slices.DeleteFunc(h.back, func(g given) bool { return !g.until.After(now) })
	for _, g := range h.back {
		if g.kind == kind {
			n++
		}
	}
	if n > 0 && n >= crowdTimes*(handsAtMost-len(h.back)) {
		return h.putOff(now)
	}
	h.back = append(h.back, given{kind, now.Add(d)})
	return d
}

// putOff is for how long an action is put off. h.mu is held.
func (h *hands) putOff(now time.Time) time.Duration {
	h.off.add(now)
	lately, places := time.Duration(h.off.last(now)), time.Duration(h.places())
	return offFor + rand.N(max(offSpread*min(lately, places)/places, offSpread*lately/offAMinute))
}

// rest lets an action of a kind hold no slot, or one again.
func (h *hands) rest(kind string, rests bool) {
	by := 1
	if !rests {
		by = -1
	}
	h.mu.Lock()
	if h.rests[kind] += by; h.rests[kind] == 0 {
		delete(h.rests, kind)
	}
	h.mu.Unlock()
	h.change(-by, 0)
}

// take waits for a slot, or gives the error of ctx. It is called by one goroutine.
func (h *hands) take(ctx context.Context) error {
	for !h.try() {
		select {
		case <-h.freed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (h *hands) try() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.busy >= h.most || h.total >= h.places() {
		return false
	}
	h.busy++
	h.total++
	return true
}

// change adds to the slots held and the actions in hand.
func (h *hands) change(busy, total int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.busy += busy
	h.total += total
	select {
	case h.freed <- struct{}{}:
	default: // whoever waits looks anyway
	}
}

// Idle lets go of the action's slot while it waits for what another action reads, until over is called. gone is closed
// when the tenure ends, as nobody reads any more then, and when an action of a more urgent class waits for the same target.
func (p *pass) Idle() (gone <-chan struct{}, over func()) {
	if p.hands == nil {
		return p.gate.gone, func() {}
	}
	p.hands.rest(p.kind, true)
	return p.gate.idles(p, true), func() {
		p.gate.idles(p, false)
		p.hands.rest(p.kind, false)
	}
}

// Stood is how long the lane has stood still behind its breaker in all: whoever takes the time of what he did takes it off.
func (p *pass) Stood() time.Duration {
	g := p.gate
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut {
		return g.stood + time.Since(g.shutAt)
	}
	return g.stood
}
