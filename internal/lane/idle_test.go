package lane

import (
	"testing"

	"keyturn/internal/events"
)

// TestWhoWaitsForAReadingHoldsNoSlot: one that waits for what another action reads makes room, and has its slot again
// when the wait is over.
func TestWhoWaitsForAReadingHoldsNoSlot(t *testing.T) {
	h := newHands(1)
	p := newGate(1).pass(events.Normal)
	p.Idle()() // of no class
	p.hands = h
	if err := h.take(t.Context()); err != nil {
		t.Fatal(err)
	}
	if h.try() {
		t.Fatal("two slots of one")
	}
	over := p.Idle()
	if !h.try() {
		t.Fatal("no slot while the first one waits for another")
	}
	over()
	if h.busy != 2 || h.total != 2 || h.try() {
		t.Errorf("%d slots are held, of %d in hand", h.busy, h.total)
	}
}
