package lane

import (
	"context"
	"sync"
)

// handsAtMost is how many actions of a class are in hand at most, with those that wait for budget, unless there are
// more slots: half of what the consumer gives out, so that what was given back with a delay has room beside them.
const handsAtMost = 256

// hands are the slots of a class. An action whose call waits for the budget of its bucket rests: it holds no slot, and
// others, of buckets that have some left, are taken up in its place.
type hands struct {
	most int // slots

	mu    sync.Mutex
	busy  int // slots that are held. One that comes back from its rest is not sent away: there may be a few too many
	total int // actions in hand, with those that rest
	freed chan struct{}
}

func newHands(most int) *hands {
	return &hands{most: most, freed: make(chan struct{}, 1)}
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
	if h.busy >= h.most || h.total >= max(h.most, handsAtMost) {
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
// when the tenure ends: nobody reads any more then.
func (p *pass) Idle() (gone <-chan struct{}, over func()) {
	if p.hands == nil {
		return p.gate.gone, func() {}
	}
	p.hands.change(-1, 0)
	return p.gate.gone, func() { p.hands.change(1, 0) }
}
