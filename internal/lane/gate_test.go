package lane

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"keyturn/internal/apiclient"
	"keyturn/internal/events"
)

// check runs a property in bubbles of virtual time.
func check(t *testing.T, property func(rt *rapid.T) func(t *testing.T) error) {
	t.Helper()
	rapid.Check(t, func(rt *rapid.T) {
		run := property(rt)
		var err error
		synctest.Test(t, func(t *testing.T) { err = run(t) })
		if err != nil {
			rt.Fatal(err)
		}
	})
}

// drawProvider and drawCrowd make samples of everything that a lane may meet.
func drawProvider(rt *rapid.T) *provider {
	return &provider{
		limit:    rapid.IntRange(1, 60).Draw(rt, "limit"),
		window:   time.Duration(rapid.IntRange(4, 90).Draw(rt, "window")) * time.Second,
		adjacent: rapid.Bool().Draw(rt, "adjacent"),
		slow:     rapid.SampledFrom([]time.Duration{20 * time.Millisecond, time.Second, 5 * time.Second, 20 * time.Second}).Draw(rt, "slow"),
	}
}

func drawCrowd(rt *rapid.T) crowd {
	return crowd{
		seed:    rapid.Uint64().Draw(rt, "seed"),
		actions: rapid.IntRange(1, 24).Draw(rt, "actions"),
		each:    rapid.IntRange(1, 10).Draw(rt, "each"),
		in:      rapid.IntRange(1, 8).Draw(rt, "in"),
		classes: rapid.SliceOfN(rapid.SampledFrom(events.Classes()), 1, 4).Draw(rt, "classes"),
	}
}

// TestGateNeverMeetsTheLimit: alone with a provider, whatever the order in which replies arrive, no call is refused.
// (An urgent call does not wait for the very first one. For that the window must hold two.)
func TestGateNeverMeetsTheLimit(t *testing.T) {
	check(t, func(rt *rapid.T) func(*testing.T) error {
		p, c := drawProvider(rt), drawCrowd(rt)
		if p.limit == 1 {
			c.classes = []events.Class{events.Normal, events.Bulk}
		}
		return func(t *testing.T) error {
			took, err := c.run(t, p)
			windows := time.Duration(p.calls/p.limit + 2)
			bound := windows*(p.window+2*p.slow+time.Second) + time.Duration(p.calls)*p.slow
			if err != nil || p.refusals > 0 || p.calls != c.actions*c.each || took > bound {
				return fmt.Errorf("%d calls and %d refusals in %s of %s: %w", p.calls, p.refusals, took, bound, err)
			}
			return nil
		}
	})
}

// TestGateSurvivesLostReplies: a reply that is lost costs two refusals at most, for nothing stands still for it.
func TestGateSurvivesLostReplies(t *testing.T) {
	check(t, func(rt *rapid.T) func(*testing.T) error {
		p, c := drawProvider(rt), drawCrowd(rt)
		p.limit = max(p.limit, 2)
		p.loses = rapid.Float64Range(0, 0.6).Draw(rt, "loses")
		return func(t *testing.T) error {
			if _, err := c.run(t, p); err != nil || p.refusals > 2*p.lost {
				return fmt.Errorf("%d refusals with %d lost replies, of %d: %w", p.refusals, p.lost, p.calls, err)
			}
			return nil
		}
	})
}

// TestGateSharesWithOthers: somebody else spends the same budget. What is refused then is what was in flight.
func TestGateSharesWithOthers(t *testing.T) {
	check(t, func(rt *rapid.T) func(*testing.T) error {
		p, c := drawProvider(rt), drawCrowd(rt)
		every := time.Duration(rapid.IntRange(50, 5000).Draw(rt, "every")) * time.Millisecond
		every = max(every, 2*p.window/time.Duration(p.limit)) // half the budget is ours
		return func(t *testing.T) error {
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			var others sync.WaitGroup
			others.Go(func() {
				rng := rand.New(rand.NewPCG(c.seed, 1<<32))
				for sleep(ctx, upTo(rng, 2*every)) == nil {
					p.spend()
				}
			})
			_, err := c.run(t, p)
			stop()
			others.Wait()
			if limit := c.in + min(urgentPlaces, c.in); err != nil || p.worst > limit {
				return fmt.Errorf("%d calls refused in one window, with %d in flight at most: %w", p.worst, limit, err)
			}
			return nil
		}
	})
}

// TestGateWastesNothing: a burst is over little later than the budget allows, with nearly no refusal.
func TestGateWastesNothing(t *testing.T) {
	for _, c := range []struct {
		name     string
		adjacent bool
		slow     time.Duration
		class    events.Class
	}{
		{"windows that adjoin", true, 300 * time.Millisecond, events.Normal},
		{"windows from the first call", false, 300 * time.Millisecond, events.Normal},
		{"bulk", true, 300 * time.Millisecond, events.Bulk},
		{"slow", true, time.Second, events.Normal},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &provider{limit: 300, window: time.Minute, adjacent: c.adjacent, slow: c.slow}
				took, err := crowd{seed: 7, actions: 32, each: 60, in: 8, classes: []events.Class{c.class}}.run(t, p)
				// 1920 calls: six windows are spent, and those in the seventh take as long as calls do.
				least := 6*p.window + 120*c.slow/2/8
				if err != nil || took > least*105/100 || p.refusals > 0 || p.away > 0 {
					t.Errorf("it took %s, at least %s are needed; %d calls refused, %d sent away: %v", took, least, p.refusals, p.away, err)
				}
				t.Logf("%s of %s", took, least)
			})
		})
	}
}

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

// TestSomethingIsLeftToTheUrgent: and to nobody in the last seconds of a window, when it would only be lost.
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
		for range 5 {
			admit(t, urgent, "b")
		}
		time.Sleep(time.Minute - lastCalls - time.Millisecond)
		if !late.waits() || !one.waits() {
			t.Fatal("what is left to the urgent was spent")
		}
		time.Sleep(time.Millisecond)
		if one.waits() || !late.waits() {
			t.Error("the last call of the window should be the normal one's")
		}
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

func TestAnActionThatIsHurriedComesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(1)
		holds, slow, other := g.pass(events.Normal), g.pass(events.Bulk), g.pass(events.Normal)
		admit(t, holds, "b")
		holds.Learn("b", told(100, 99, 0, time.Minute))
		admit(t, holds, "b")
		before, bulk := ask(t.Context(), other, "b"), ask(t.Context(), slow, "b")
		g.hurry(slow, events.Urgent)
		if bulk.waits() || !before.waits() {
			t.Error("an action in an urgent one's way waits")
		}
		g.hurry(slow, events.Bulk)
		if slow.rank != 0 {
			t.Error("it was slowed down")
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
		waiting := ask(t.Context(), p, "b")
		admit(t, p, "other")
		p.Learn("other", nothing)
		time.Sleep(10*time.Second - time.Millisecond)
		if !waiting.waits() {
			t.Error("the call did not wait as long as it was told")
		}
		time.Sleep(time.Millisecond)
		if waiting.waits() {
			t.Error("the call waits on")
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
		over, cancel := context.WithTimeout(t.Context(), -time.Second)
		defer cancel()
		isLater(t, p.Admit(over, "c"))
		stopped, stop := context.WithCancel(t.Context())
		stop()
		if err := p.Admit(stopped, "c"); !errors.Is(err, context.Canceled) {
			t.Errorf("a call that nobody wants any more: %v", err)
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
		good(1)
		ceiling(2, "after one good call")
		good(2 + 3)
		ceiling(4, "after five more")
		good(100)
		ceiling(8, "in the end")
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
		g.stop(false)
		if waiting.waits() {
			t.Error("the call waits although the gate is open")
		}
		g.stop(true)
		last := make(chan error)
		go func() { last <- p.Admit(t.Context(), "b") }()
		synctest.Wait()
		g.finish()
		isLater(t, <-last)
		isLater(t, p.Admit(t.Context(), "b"))
		p.Learn("b", nothing)
		if g.inFlight != 0 {
			t.Error("a call is in flight for ever")
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
			{Bucket: "a", Known: true, Limit: 100, Left: 89, Reset: now.Add(time.Minute), Flying: 1},
			{Bucket: "b", Known: true},
			{Bucket: "c", Pause: now.Add(time.Hour)},
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

// TestNoPlaceIsLost: whatever comes between asking and learning, in the end all places are there.
func TestNoPlaceIsLost(t *testing.T) {
	type op struct {
		Do      int // what is done
		Class   events.Class
		Wait    time.Duration
		Said    int
		Limited bool
	}
	ops := rapid.SliceOf(rapid.Custom(func(rt *rapid.T) op {
		return op{
			rapid.IntRange(0, 5).Draw(rt, "do"), rapid.SampledFrom(events.Classes()).Draw(rt, "class"),
			time.Duration(rapid.IntRange(0, 70_000).Draw(rt, "ms")) * time.Millisecond, rapid.IntRange(0, 4).Draw(rt, "said"),
			rapid.Bool().Draw(rt, "limited"),
		}
	}))
	check(t, func(rt *rapid.T) func(*testing.T) error {
		list, most := ops.Draw(rt, "ops"), rapid.IntRange(1, 4).Draw(rt, "most")
		return func(t *testing.T) error {
			g := newGate(most)
			var mu sync.Mutex
			var out []*pass // calls in flight
			var stops []context.CancelFunc
			learn := func(said apiclient.Budget) {
				mu.Lock()
				defer mu.Unlock()
				if len(out) > 0 {
					p := out[len(out)/2]
					out = slices.DeleteFunc(out, func(q *pass) bool { return q == p })
					p.Learn("b", said)
				}
			}
			var wg sync.WaitGroup
			for i, o := range list {
				switch o.Do {
				case 0, 1:
					ctx, stop := context.WithCancel(t.Context())
					if o.Limited {
						ctx, stop = context.WithTimeout(t.Context(), o.Wait)
					}
					stops = append(stops, stop)
					p := g.pass(o.Class)
					wg.Go(func() {
						if p.Admit(ctx, "b") == nil {
							mu.Lock()
							defer mu.Unlock()
							out = append(out, p)
						}
					})
				case 2:
					said := []apiclient.Budget{
						nothing, told(5, i%5, i/8, time.Minute), {Wait: o.Wait}, {Crowded: true, Wait: time.Second}, told(3, 0, i/8, o.Wait),
					}[o.Said]
					learn(said)
				case 3:
					time.Sleep(o.Wait)
				case 4:
					if len(stops) > 0 {
						stop := stops[i%len(stops)]
						wg.Go(func() { stop() })
						wg.Go(func() { learn(nothing) })
					}
				case 5:
					g.stop(o.Limited)
				}
			}
			for _, stop := range stops {
				stop()
			}
			wg.Wait()
			for len(out) > 0 {
				learn(nothing)
			}
			if g.inFlight != 0 || g.bucket("b").inFlight != 0 || len(g.waiting) != 0 {
				return fmt.Errorf("%d in flight, %d of the bucket, %d wait", g.inFlight, g.bucket("b").inFlight, len(g.waiting))
			}
			g.stop(false)
			p := g.pass(events.Normal)
			for range 100 { // the ceiling may have sunk
				admit(t, p, "fresh")
				p.Learn("fresh", nothing)
			}
			for range most {
				admit(t, p, "fresh")
			}
			return nil
		}
	})
}
