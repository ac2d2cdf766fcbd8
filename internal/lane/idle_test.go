package lane

import (
	"testing"
	"time"

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
	gone, over = p.Idle()
	g.finish()
	g.finish()
	<-gone
	over()
	gone, over = p.Idle()
	<-gone // nobody begins to wait in a lane that stops
	over()
	if len(g.idle) != 0 {
		t.Errorf("%d wait", len(g.idle))
	}
}

// TestWhoWaitsForOthersIsInNobodysWay: an action that waits for what others read, at their pace, is sent away when one of a
// more urgent class waits for its target, and does not begin to wait after that.
func TestWhoWaitsForOthersIsInNobodysWay(t *testing.T) {
	g, h := newGate(1), newHands(2)
	p, other := g.pass(events.Bulk), g.pass(events.Normal)
	p.hands, other.hands = h, h
	gone, over := p.Idle()
	stays, still := other.Idle()
	defer still()
	for _, c := range []events.Class{events.Bulk, events.Normal} {
		select {
		case <-gone:
			t.Fatalf("sent away before one of class %s came", c)
		default:
		}
		g.hurry(p, c)
	}
	<-gone
	g.hurry(p, events.Urgent)
	over()
	again, over := p.Idle()
	<-again
	over()
	select {
	case <-stays:
		t.Error("one who is in nobody's way is sent away")
	default:
	}
	if len(g.idle) != 1 || len(h.rests) != 1 {
		t.Errorf("%d wait, %v rest", len(g.idle), h.rests)
	}
}

// TestWhatIsGivenBackHoldsPlaces: a kind of which many are to come again soon leaves places to others, until they came.
func TestWhatIsGivenBackHoldsPlaces(t *testing.T) {
	h, now := newHands(8), time.Now()
	for i := range 3 * handsAtMost {
		d := h.giveBack("fails", 20*time.Second, now)
		if soon := d == 20*time.Second; soon != (i < 224) || !soon && (d < offFor || d > offFor+2*offSpread) {
			t.Fatalf("number %d comes again after %s", i, d)
		}
	}
	for _, d := range []time.Duration{20 * time.Second, 25 * time.Millisecond, 10 * time.Minute} {
		if got := h.giveBack("other", d, now); got != d {
			t.Errorf("one of another kind comes again after %s, not %s", got, d)
		}
	}
	if d := h.giveBack("fails", 20*time.Second, now.Add(20*time.Second)); d != 20*time.Second {
		t.Errorf("put off for %s when all others came again", d)
	}
}
