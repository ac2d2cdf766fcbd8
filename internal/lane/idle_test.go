package lane

import (
	"testing"

	"keyturn/internal/events"
)

// TestWhoWaitsForAReadingHoldsNoSlot: one that waits for what another action reads makes room, and has its slot again
// when the wait is over.
func TestWhoWaitsForAReadingHoldsNoSlot(t *testing.T) {
	h := newHands(1)
	g := newGate(1)
	p := g.pass(events.Normal)
	_, over := p.Idle() // of no class
	over()
	p.hands = h
	if err := h.take(t.Context()); err != nil {
		t.Fatal(err)
	}
	if h.try() {
		t.Fatal("two slots of one")
	}
	gone, over := p.Idle()
	if !h.try() {
		t.Fatal("no slot while the first one waits for another")
	}
	over()
	if h.busy != 2 || h.total != 2 || h.try() {
		t.Errorf("%d slots are held, of %d in hand", h.busy, h.total)
	}
	select {
	case <-gone:
		t.Error("the tenure goes on, and who waits is sent away")
	default:
	}
	g.finish()
	g.finish()
	<-gone
}
