package lane

import (
	"testing"
	"testing/synctest"
	"time"

	"keyturn/internal/apiclient"
	"keyturn/internal/events"
)

// told is a reply in the window of that number; a window is a minute.
func told(limit, remaining, window int, reset time.Duration) apiclient.Budget {
	ends := time.Date(2026, 3, 1, 9, window, 0, 0, time.UTC)
	return apiclient.Budget{Limit: limit, Remaining: remaining, Reset: reset, Ends: ends}
}

func TestTheFirstCallOfAWindowGoesAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(8)
		p, urgent := g.pass(events.Normal), g.pass(events.Urgent)
		for window := range 3 {
			admit(t, p, "b")
			second := ask(t.Context(), p, "b")
			if !second.waits() {
				t.Fatalf("window %d: a second call went out although nobody knows what is left", window)
			}
			admit(t, urgent, "b") // the first may hang
			third := ask(t.Context(), urgent, "b")
			if !third.waits() {
				t.Fatalf("window %d: a third call went out although nobody knows what is left", window)
			}
			p.Learn("b", told(100, 99, window, 40*time.Second))
			if second.waits() || third.waits() {
				t.Fatalf("window %d: a call waits although 99 are left", window)
			}
			for left := range 3 {
				p.Learn("b", told(100, 98-left, window, 40*time.Second))
			}
			time.Sleep(40 * time.Second)
		}
	})
}

// TestAHungCallDoesNotHoldUpTheNextWindow: its reply may come or not.
func TestAHungCallDoesNotHoldUpTheNextWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newGate(8).pass(events.Normal)
		admit(t, p, "b")
		p.Learn("b", told(10, 9, 0, 20*time.Second))
		admit(t, p, "b") // hangs
		time.Sleep(20 * time.Second)
		admit(t, p, "b")
		p.Learn("b", told(10, 9, 1, time.Minute))
		admit(t, p, "b")
		p.Learn("b", told(10, 8, 0, 0)) // the hung one, of the window before
		admit(t, p, "b")
	})
}

func TestRepliesOutOfOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(8)
		p := g.pass(events.Urgent)
		admit(t, p, "b")
		p.Learn("b", told(100, 50, 5, 30*time.Second))
		left := func(want int, why string) {
			t.Helper()
			b := g.bucket("b")
			if got := b.left - b.lost - b.inFlight; got != want {
				t.Errorf("%d left %s, want %d", got, why, want)
			}
		}
		for range 4 {
			admit(t, p, "b")
		}
		left(46, "with four out")
		p.Learn("b", told(100, 46, 5, 30*time.Second))
		left(43, "when the last of them answers first: the others may count or not")
		p.Learn("b", told(100, 49, 5, 29*time.Second))
		p.Learn("b", told(100, 47, 5, 31*time.Second))
		left(45, "with one out")
		p.Learn("b", told(100, 3, 4, 0))
		left(46, "after a reply of the window before")
		admit(t, p, "b")
		p.Learn("b", nothing)
		left(45, "after a reply that was lost")
		admit(t, p, "b")
		p.Learn("b", apiclient.Budget{Limit: -1, Remaining: -1, Wait: time.Second})
		left(44, "after a reply that told to wait and nothing else")
		time.Sleep(time.Second)
		admit(t, p, "b")
		p.Learn("b", told(200, 150, 6, time.Minute))
		left(150, "in a new window that began early, with another limit")
	})
}

// TestALostReplyCountsAsSpent until its window ends: nobody knows whether the server counted the call.
func TestALostReplyCountsAsSpent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newGate(4).pass(events.Urgent)
		admit(t, p, "b")
		p.Learn("b", told(3, 2, 0, 20*time.Second))
		admit(t, p, "b")
		p.Learn("b", nothing)
		admit(t, p, "b")
		p.Learn("b", told(3, 1, 0, 20*time.Second))
		next := ask(t.Context(), p, "b")
		time.Sleep(20*time.Second - time.Millisecond)
		if !next.waits() {
			t.Error("the call of the lost reply was spent once more")
		}
		time.Sleep(time.Millisecond)
		if next.waits() {
			t.Error("it counts in the next window too")
		}
	})
}

// TestTheEndOfAWindow is as early as the fastest reply says, and servers may name it a second earlier or later.
func TestTheEndOfAWindow(t *testing.T) {
	for name, wobble := range map[string][2]time.Duration{"earlier": {-time.Second, 0}, "later": {0, time.Second}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newGate(4).pass(events.Urgent)
				admit(t, p, "b")
				p.Learn("b", told(10, 9, 0, 30*time.Second)) // it was under way for nine seconds
				admit(t, p, "b")
				admit(t, p, "b")
				for i, left := range []int{0, 8} { // the second was overtaken
					said := told(10, left, 0, 21*time.Second)
					said.Ends = said.Ends.Add(wobble[i])
					p.Learn("b", said)
				}
				next := ask(t.Context(), p, "b")
				time.Sleep(21*time.Second - time.Millisecond)
				if !next.waits() {
					t.Error("a call went out that is refused")
				}
				time.Sleep(time.Millisecond)
				if next.waits() {
					t.Error("the call waits although the window is over")
				}
			})
		})
	}
}

// TestASilentProviderIsNotHeldBack: one without limits, or one that does not tell.
func TestASilentProviderIsNotHeldBack(t *testing.T) {
	for name, said := range map[string]apiclient.Budget{
		"nothing": nothing, "no window": {Limit: 10, Remaining: 0}, "a window long ago": told(10, 0, 0, 0),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newGate(4).pass(events.Normal)
				for range 8 {
					admit(t, p, "b")
					p.Learn("b", said)
				}
				for range 4 {
					admit(t, p, "b")
				}
			})
		})
	}
}

// TestAClockThatWasSetBack: the figures of a server whose clock went back count again from the next window on.
func TestAClockThatWasSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(4)
		p := g.pass(events.Normal)
		admit(t, p, "b")
		p.Learn("b", told(10, 9, 30, 20*time.Second))
		time.Sleep(20 * time.Second)
		admit(t, p, "b")
		p.Learn("b", told(10, 7, 2, time.Minute))
		if b := g.bucket("b"); !b.open || b.left != 7 {
			t.Errorf("the window is not taken over: %+v", b)
		}
	})
}

// TestSomethingIsLeftToTheUrgent: and little in the last seconds of a window, when it would only be lost.
func TestSomethingIsLeftToTheUrgent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(64)
		urgent, normal, bulk := g.pass(events.Urgent), g.pass(events.Normal), g.pass(events.Bulk)
		admit(t, urgent, "b")
		urgent.Learn("b", told(40, 21, 0, time.Minute))
		admit(t, bulk, "b") // leaves 20 of 40
		late := ask(t.Context(), bulk, "b")
		for range 14 { // leaves 6
			admit(t, normal, "b")
		}
		one := ask(t.Context(), normal, "b")
		for range 4 {
			admit(t, urgent, "b")
		}
		time.Sleep(time.Minute - lastCalls - time.Millisecond)
		if !late.waits() || !one.waits() {
			t.Fatal("what is left to the urgent was spent")
		}
		time.Sleep(time.Millisecond)
		if one.waits() || !late.waits() {
			t.Error("the last call of the window but the one that is kept should be the normal one's")
		}
		admit(t, urgent, "b") // leaves none
		last := ask(t.Context(), urgent, "b")
		time.Sleep(lastCalls - time.Millisecond)
		if !last.waits() {
			t.Error("a call went out that is refused")
		}
		time.Sleep(time.Millisecond)
		if last.waits() || !late.waits() {
			t.Error("the first call of the next window should be the urgent one")
		}
	})
}

func TestAPauseHoldsOneBucket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(1)
		p := g.pass(events.Normal)
		admit(t, p, "b")
		said := told(10, 0, 0, 9*time.Second)
		said.Wait = 10 * time.Second
		p.Learn("b", said)
		admit(t, p, "long")
		p.Learn("long", apiclient.Budget{Limit: -1, Remaining: -1, Wait: time.Minute})
		long := ask(t.Context(), p, "long")
		waiting := ask(t.Context(), g.pass(events.Bulk), "b")
		admit(t, p, "other")
		p.Learn("other", nothing)
		time.Sleep(10*time.Second - time.Millisecond)
		if !waiting.waits() {
			t.Error("the call did not wait as long as it was told")
		}
		time.Sleep(time.Millisecond)
		if waiting.waits() || !long.waits() {
			t.Error("the call waits on, or another one does not")
		}
	})
}

func TestLongWaitsAreGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(2)
		p := g.pass(events.Normal)
		admit(t, p, "b")
		waiting := make(chan error)
		go func() { waiting <- p.Admit(t.Context(), "b") }()
		synctest.Wait()
		p.Learn("b", apiclient.Budget{Limit: -1, Remaining: -1, Wait: 10 * time.Minute})
		if d := isLater(t, <-waiting); d != 10*time.Minute {
			t.Errorf("told to come again in %s", d)
		}
		time.Sleep(10*time.Minute - holdAtMost)
		late := ask(t.Context(), p, "b")
		time.Sleep(holdAtMost)
		if late.waits() {
			t.Error("the call waits on")
		}
		p.Learn("b", told(10, 0, 0, time.Hour)) // an hourly window
		if d := isLater(t, p.Admit(t.Context(), "b")); d != time.Hour {
			t.Errorf("told to come again in %s", d)
		}
	})
}

// TestMoreLeftThanThereIs: a reply by which more calls are left than a window has gives no more than the window, and none of
// the share of others.
func TestMoreLeftThanThereIs(t *testing.T) {
	for share, want := range map[float64]int{0: 10, 0.5: 5} { // by such a reply no call has counted yet
		synctest.Test(t, func(t *testing.T) {
			g := newGate(100)
			g.budget = Budget{Share: share}
			p := g.pass(events.Urgent)
			admit(t, p, "b")
			p.Learn("b", told(10, 1000, 0, time.Minute))
			for range want {
				admit(t, p, "b")
			}
			if next := ask(t.Context(), p, "b"); !next.waits() {
				t.Errorf("share %v: more than %d calls go", share, want)
			}
			g.finish()
		})
	}
}
