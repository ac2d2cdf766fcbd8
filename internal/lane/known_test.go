package lane

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"keyturn/internal/apiclient"
	"keyturn/internal/events"
)

// knowing is a gate that knows a limit of the bucket "b".
func knowing(most, calls int, window time.Duration) *gate {
	g := newGate(most)
	g.budget.Known = map[string]Limit{"b": {Calls: calls, Window: window}}
	return g
}

// TestAKnownLimitIsKept where replies tell nothing, with the reserves and the slow start of one that is told.
func TestAKnownLimitIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := knowing(64, 40, time.Minute)
		urgent, normal, bulk := g.pass(events.Urgent), g.pass(events.Normal), g.pass(events.Bulk)
		call := func(n int, p *pass) {
			t.Helper()
			for range n {
				admit(t, p, "b")
				p.Learn("b", nothing)
			}
		}
		admit(t, bulk, "b")
		first := ask(t.Context(), bulk, "b")
		if !first.waits() {
			t.Error("a second call went out before the first one of the window returned")
		}
		bulk.Learn("b", nothing)
		if first.waits() {
			t.Error("the second call waits")
		}
		bulk.Learn("b", nothing)
		call(18, bulk) // leaves 20 of 40
		late := ask(t.Context(), bulk, "b")
		call(14, normal) // leaves 6
		one := ask(t.Context(), normal, "b")
		call(6, urgent)
		spent := ask(t.Context(), urgent, "b")
		admit(t, bulk, "other") // of which nothing is known
		time.Sleep(time.Minute - time.Millisecond)
		if !late.waits() || !one.waits() || !spent.waits() {
			t.Error("a call went out beyond the limit")
		}
		time.Sleep(time.Millisecond)
		if spent.waits() || !one.waits() {
			t.Error("the next window is not the urgent one's")
		}
		urgent.Learn("b", nothing)
		if one.waits() || late.waits() {
			t.Error("the next window serves nobody")
		}
	})
}

// TestALimitOfOne is kept by the urgent too: what is known from the start is known of the first call.
func TestALimitOfOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := knowing(8, 1, 20*time.Second).pass(events.Urgent)
		admit(t, p, "b")
		next := ask(t.Context(), p, "b")
		if !next.waits() {
			t.Error("two calls are in flight, of one")
		}
		p.Learn("b", nothing)
		time.Sleep(20*time.Second - time.Millisecond)
		if !next.waits() {
			t.Error("two calls of one window, of one")
		}
		time.Sleep(time.Millisecond)
		if next.waits() {
			t.Error("the call waits although the window is over")
		}
	})
}

// TestTheLongestPauseHolds: a reply that was told to wait less takes nothing back.
func TestTheLongestPauseHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newGate(4).pass(events.Urgent)
		admit(t, p, "b")
		admit(t, p, "b")
		p.Learn("b", apiclient.Budget{Limit: -1, Remaining: -1, Wait: time.Minute})
		p.Learn("b", apiclient.Budget{Limit: -1, Remaining: -1, Wait: time.Second})
		next := ask(t.Context(), p, "b")
		time.Sleep(time.Minute - time.Millisecond)
		if !next.waits() {
			t.Error("a shorter wait took back a longer one")
		}
		time.Sleep(time.Millisecond)
		if next.waits() {
			t.Error("the call waits on")
		}
	})
}

// TestAKnownLimitHoldsBesideATold: whichever is reached first.
func TestAKnownLimitHoldsBesideATold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := knowing(64, 3, 80*time.Second)
		p := g.pass(events.Urgent)
		for left := range 3 {
			admit(t, p, "b")
			p.Learn("b", told(100, 99-left, 0, time.Minute))
		}
		known := ask(t.Context(), p, "b")
		time.Sleep(80*time.Second - time.Millisecond)
		if !known.waits() {
			t.Error("the limit that is known was passed")
		}
		seen, _ := g.seen(time.Now())
		if b := seen[0]; b.Limit != 3 || b.Left != 0 || b.Span != 80*time.Second || !b.Known || b.Calls != 3 {
			t.Errorf("the tighter limit is not the one that is shown: %+v", b)
		}
		time.Sleep(time.Millisecond)
		if known.waits() {
			t.Error("the call waits although both windows are over")
		}
		said := told(100, 0, 3, 30*time.Second)
		said.Wait = 31 * time.Second
		p.Learn("b", said)
		paused := ask(t.Context(), p, "b")
		time.Sleep(31*time.Second - time.Millisecond)
		if !paused.waits() {
			t.Error("told to wait, and it did not")
		}
		time.Sleep(time.Millisecond)
		if paused.waits() {
			t.Error("the call waits on")
		}
		if seen, _ := g.seen(time.Now()); seen[0].Pause.IsZero() || seen[0].Limit != 3 {
			t.Errorf("%+v", seen[0])
		}
	})
}

// TestAKnownLimitOfManyCalls: whoever comes, however slow replies are and however many are lost, no window holds more
// calls than ours of the limit, and nearly none holds fewer while somebody waits.
func TestAKnownLimitOfManyCalls(t *testing.T) {
	check(t, func(rt *rapid.T) func(*testing.T) error {
		c := drawCrowd(rt)
		limit := rapid.IntRange(2, 40).Draw(rt, "limit")
		window := time.Duration(rapid.IntRange(8, 90).Draw(rt, "window")) * time.Second
		slow := rapid.SampledFrom([]time.Duration{20 * time.Millisecond, time.Second, 5 * time.Second}).Draw(rt, "slow")
		share := rapid.SampledFrom([]float64{0, 0.5}).Draw(rt, "share")
		return func(t *testing.T) error {
			g := knowing(c.in, limit, window)
			g.budget.Share = share
			held, began := map[time.Time]int{}, time.Now()
			var mu sync.Mutex
			var wg sync.WaitGroup
			for i := range c.actions {
				wg.Go(func() {
					rng, p := rand.New(rand.NewPCG(c.seed, uint64(i))), g.pass(c.classes[i%len(c.classes)])
					for range c.each {
						if err := p.Admit(t.Context(), "b"); err != nil {
							t.Error(err)
							return
						}
						of := g.windowOf("b")
						time.Sleep(upTo(rng, slow))
						p.Learn("b", apiclient.Budget{Limit: -1, Remaining: -1, Failed: rng.IntN(4) == 0})
						if of.IsZero() {
							of = g.windowOf("b")
						}
						mu.Lock()
						held[of]++
						mu.Unlock()
					}
				})
			}
			wg.Wait()
			calls, allowed := c.actions*c.each, g.budget.allowed(limit)
			for of, n := range held {
				if n > allowed {
					return fmt.Errorf("%d calls in the window that ends %s, of %d", n, of, allowed)
				}
			}
			bound := time.Duration(calls/allowed+2)*(window+2*slow) + time.Duration(calls)*slow
			if took := time.Since(began); took > bound {
				return fmt.Errorf("%d calls took %s, of %s", calls, took, bound)
			}
			return nil
		}
	})
}

// windowOf is the end of the known window that runs; zero = none does.
func (g *gate) windowOf(name string) time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	b := &g.bucket(name).known.bucket
	if b.turn(time.Now()); !b.open {
		return time.Time{}
	}
	return b.window
}
