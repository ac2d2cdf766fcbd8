package lane

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"keyturn/internal/apiclient"
	"keyturn/internal/events"
)

// admit asks for a call that must be let go at once.
func admit(t *testing.T, g apiclient.Gate, bucket string) {
	t.Helper()
	began := time.Now()
	if err := g.Admit(t.Context(), bucket); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(began); d > 0 {
		t.Fatalf("it waited %s", d)
	}
}

// asked is a call that waits.
type asked struct{ answer chan error }

func ask(ctx context.Context, g apiclient.Gate, bucket string) *asked {
	a := &asked{answer: make(chan error, 1)}
	go func() { a.answer <- g.Admit(ctx, bucket) }()
	synctest.Wait()
	return a
}

// waits reports whether the call still waits. What it was answered is gone otherwise.
func (a *asked) waits() bool {
	synctest.Wait()
	select {
	case <-a.answer:
		return false
	default:
		return true
	}
}

// isLater gives the wait of an answer that must be Later.
func isLater(t *testing.T, err error) time.Duration {
	t.Helper()
	e, ok := errors.AsType[*apiclient.Error](err)
	if !ok || e.Cause != apiclient.Later {
		t.Fatalf("%v, want Later", err)
	}
	return e.RetryAfter
}

func TestTheUrgentComeFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(1)
		first := g.pass(events.Bulk)
		admit(t, first, "b")
		first.Learn("b", told(100, 99, 0, time.Minute))
		admit(t, first, "b")
		var wg sync.WaitGroup
		var mu sync.Mutex
		var order []string
		for i, class := range []events.Class{events.Bulk, events.Normal, events.Bulk, events.Normal, "unknown"} {
			p := g.pass(class)
			wg.Go(func() {
				if err := p.Admit(t.Context(), "b"); err != nil {
					t.Error(err)
				}
				mu.Lock()
				order = append(order, fmt.Sprint(class, i))
				mu.Unlock()
				p.Learn("b", nothing)
			})
			synctest.Wait()
		}
		one, two := g.pass(events.Urgent), g.pass(events.Urgent)
		admit(t, one, "b") // in a place of its own
		second := ask(t.Context(), two, "b")
		if !second.waits() {
			t.Error("two urgent calls beside a ceiling of one")
		}
		one.Learn("b", nothing)
		if second.waits() {
			t.Error("an urgent call waits for others")
		}
		two.Learn("b", nothing)
		first.Learn("b", nothing)
		wg.Wait()
		if want := []string{"normal1", "normal3", "bulk0", "bulk2", "unknown4"}; !slices.Equal(order, want) {
			t.Errorf("order %v, want %v", order, want)
		}
	})
}

func TestAnActionThatIsHurriedComesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(1)
		first, old, other, slow := g.pass(events.Urgent), g.pass(events.Normal), g.pass(events.Normal), g.pass(events.Bulk)
		admit(t, first, "b")
		first.Learn("b", told(100, 99, 0, time.Minute))
		admit(t, first, "b")
		admit(t, first, "b")
		later, bulk, older := ask(t.Context(), other, "b"), ask(t.Context(), slow, "b"), ask(t.Context(), old, "b")
		g.hurry(slow, events.Urgent)
		g.hurry(slow, events.Bulk)
		first.Learn("b", nothing)
		if bulk.waits() || !older.waits() || !later.waits() {
			t.Error("the one in an urgent one's way should go first")
		}
		first.Learn("b", nothing)
		slow.Learn("b", nothing)
		if older.waits() || !later.waits() {
			t.Error("the older of two actions should go first")
		}
	})
}

// TestACallWithATimeLimit leaves the gate in the first half of its time or not at all: it is never sent too late.
func TestACallWithATimeLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newGate(1).pass(events.Normal)
		admit(t, p, "b")
		limited := func() context.Context {
			ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
			t.Cleanup(cancel)
			return ctx
		}
		began := time.Now()
		isLater(t, p.Admit(limited(), "b"))
		if d := time.Since(began); d != 2*time.Second {
			t.Errorf("sent away after %s", d)
		}
		waiting := ask(limited(), p, "b")
		time.Sleep(time.Second)
		p.Learn("b", nothing)
		if waiting.waits() {
			t.Error("the call waits although it may go")
		}
		p = newGate(1).pass(events.Normal)
		over, cancel := context.WithTimeout(t.Context(), -time.Second)
		defer cancel()
		stopped, stop := context.WithCancel(t.Context())
		stop()
		for range 20 {
			isLater(t, p.Admit(over, "b"))
			if err := p.Admit(stopped, "b"); !errors.Is(err, context.Canceled) {
				t.Errorf("a call that nobody wants any more: %v", err)
			}
		}
	})
}

func TestTheCeilingHalvesAndCreepsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(8)
		p := g.pass(events.Normal)
		good := func(n int) {
			for range n {
				admit(t, p, "b")
				p.Learn("b", nothing)
			}
		}
		ceiling := func(want int, why string) {
			t.Helper()
			if g.ceiling != want {
				t.Errorf("ceiling %d %s, want %d", g.ceiling, why, want)
			}
		}
		good(8)
		for range 8 {
			admit(t, p, "b")
		}
		crowded := apiclient.Budget{Crowded: true, Wait: time.Second}
		for range 5 {
			p.Learn("b", crowded)
		}
		ceiling(4, "after five of eight in flight were too many")
		for range 3 {
			p.Learn("b", nothing)
		}
		time.Sleep(time.Second)
		admit(t, p, "b")
		p.Learn("b", crowded)
		ceiling(1, "after one alone was too many")
		time.Sleep(time.Second)
		admit(t, p, "b")
		p.Learn("b", apiclient.Budget{Limit: -1, Remaining: -1, Wait: time.Second})
		ceiling(1, "after a call that was told to wait")
		time.Sleep(time.Second)
		good(1)
		ceiling(2, "after one good call")
		good(2 + 3)
		ceiling(4, "after five more")
		good(100)
		ceiling(8, "in the end")
	})
}

// TestWhatWasTooManyIsNotTriedAgainForAWhile: neither by creeping up nor by the places of the urgent.
func TestWhatWasTooManyIsNotTriedAgainForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(8)
		p, urgent := g.pass(events.Normal), g.pass(events.Urgent)
		good := func(n int) {
			for range n {
				admit(t, p, "b")
				p.Learn("b", nothing)
			}
		}
		good(8)
		for range 4 {
			admit(t, p, "b")
		}
		p.Learn("b", apiclient.Budget{Crowded: true, Wait: time.Second})
		for range 3 {
			p.Learn("b", nothing)
		}
		time.Sleep(time.Second)
		good(100)
		if g.ceiling != 3 {
			t.Errorf("ceiling %d, and four in flight were too many", g.ceiling)
		}
		for range 3 {
			admit(t, urgent, "b")
		}
		fourth := ask(t.Context(), urgent, "b")
		if !fourth.waits() {
			t.Error("the urgent are four in flight")
		}
		for range 3 {
			urgent.Learn("b", nothing)
		}
		if fourth.waits() {
			t.Error("the fourth waits on")
		}
		urgent.Learn("b", nothing)
		time.Sleep(wallFor)
		good(100)
		if g.ceiling != 8 {
			t.Errorf("ceiling %d long after", g.ceiling)
		}
	})
}

// TestTheUrgentGetTheirPlacesBack: what was too many is forgotten after a while also where the ceiling never sank.
func TestTheUrgentGetTheirPlacesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(1)
		p, urgent := g.pass(events.Normal), g.pass(events.Urgent)
		for range 8 {
			admit(t, p, "b")
			p.Learn("b", nothing)
		}
		admit(t, p, "b")
		admit(t, urgent, "b")
		p.Learn("b", apiclient.Budget{Crowded: true, Wait: time.Second})
		urgent.Learn("b", nothing)
		time.Sleep(wallFor)
		admit(t, p, "b")
		p.Learn("b", nothing)
		admit(t, p, "b")
		if second := ask(t.Context(), urgent, "b"); second.waits() {
			t.Error("the urgent wait for a leaver's call long after two were too many")
		}
	})
}

func TestAGateThatIsShutHoldsAndOneThatIsOverSendsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(4)
		p := g.pass(events.Urgent)
		g.stop(true)
		waiting := ask(t.Context(), p, "b")
		person := g.pass(events.Bulk)
		person.asked = true
		admit(t, person, "b")
		person.Learn("b", nothing)
		time.Sleep(time.Hour)
		if !waiting.waits() {
			t.Error("a call went out while the gate was shut")
		}
		if got := p.Stood(); got != time.Hour {
			t.Errorf("it stood still for %s so far", got)
		}
		g.stop(false)
		time.Sleep(time.Minute)
		if got := p.Stood(); got != time.Hour {
			t.Errorf("it stood still for %s in all", got)
		}
		if waiting.waits() {
			t.Error("the call waits although the gate is open")
		}
		g.stop(true)
		last := make(chan error)
		go func() { last <- p.Admit(t.Context(), "b") }()
		synctest.Wait()
		g.finish()
		isLater(t, <-last)
		g.stop(false)
		isLater(t, p.Admit(t.Context(), "b"))
		p.Learn("b", nothing)
		if g.inFlight != 0 {
			t.Error("a call is in flight for ever")
		}
	})
}

// TestACallThatIsCutOffMakesRoomForNobody: when a lease is lost, the first call to hear of it must not let another one go whose
// action has not heard yet.
func TestACallThatIsCutOffMakesRoomForNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(1)
		defer g.finish()
		lease, lose := context.WithCancel(t.Context())
		g.change(func() { g.lease = lease.Err })
		one, two := g.pass(events.Normal), g.pass(events.Normal)
		admit(t, one, "users")
		hand, cut := context.WithCancel(t.Context())
		next := ask(hand, two, "users")
		lose()
		one.Learn("users", apiclient.Budget{Limit: -1, Remaining: -1, Failed: true})
		if !next.waits() {
			t.Error("a call went when the lease was lost")
		}
		cut()
		if err := <-next.answer; !errors.Is(err, context.Canceled) {
			t.Errorf("the next call ended by %v", err)
		}
	})
}

func TestAGateTellsWhatItKnows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(4)
		p := g.pass(events.Normal)
		for bucket, said := range map[string]apiclient.Budget{"a": told(100, 90, 0, time.Minute), "b": nothing, "c": {Wait: time.Hour}} {
			admit(t, p, bucket)
			p.Learn(bucket, said)
		}
		admit(t, p, "a")
		now := time.Now()
		got, atOnce := g.seen(now)
		want := []Seen{
			{Bucket: "a", Known: true, Limit: 100, Left: 89, Reset: now.Add(time.Minute), Flying: 1, Calls: 2, Allowed: 100, Span: time.Minute},
			{Bucket: "b", Known: true, Calls: 1},
			{Bucket: "c", Pause: now.Add(time.Hour), Calls: 1},
		}
		if !slices.Equal(got, want) || atOnce != 4 {
			t.Errorf("%d at once, of\n%+v, want\n%+v", atOnce, got, want)
		}
		time.Sleep(time.Minute)
		if got, _ := g.seen(time.Now()); got[0].Known {
			t.Errorf("a window that is over is known: %+v", got[0])
		}
	})
}
