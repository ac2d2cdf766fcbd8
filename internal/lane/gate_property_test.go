package lane

import (
	"context"
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
				took, err := crowd{seed: 7, actions: 32, each: 58, in: 8, classes: []events.Class{c.class}}.run(t, p)
				// 1856 calls, at most 288 a window: six are spent, and the calls in the seventh take as long as calls do.
				windows := 1856 / Budget{}.Most(c.class, p.limit)
				least := time.Duration(windows)*p.window + 128*c.slow/2/8
				if err != nil || took > least*105/100 || p.refusals > 0 || p.away > 0 {
					t.Errorf("it took %s, at least %s are needed; %d calls refused, %d sent away: %v", took, least, p.refusals, p.away, err)
				}
				t.Logf("%s of %s", took, least)
			})
		})
	}
}

// TestAPlaceGivenToOneWhoLeaves: the end of a wait and its success may come together.
func TestAPlaceGivenToOneWhoLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(1)
		p := g.pass(events.Normal)
		for range 500 {
			admit(t, p, "b")
			ctx, leave := context.WithCancel(t.Context())
			answer := make(chan error)
			go func() { answer <- p.Admit(ctx, "b") }()
			synctest.Wait()
			go leave()
			go p.Learn("b", nothing)
			if <-answer == nil {
				p.Learn("b", nothing)
			}
			synctest.Wait()
			if err := g.left(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// op is one thing that may happen to a gate.
type op struct {
	Do      string
	Class   events.Class
	Wait    time.Duration
	Said    int
	Limited bool
}

func drawOp(rt *rapid.T) op {
	return op{
		Do:      rapid.SampledFrom([]string{"ask", "ask", "learn", "sleep", "leave", "stop"}).Draw(rt, "do"),
		Class:   rapid.SampledFrom(events.Classes()).Draw(rt, "class"),
		Wait:    time.Duration(rapid.IntRange(0, 70_000).Draw(rt, "ms")) * time.Millisecond,
		Said:    rapid.IntRange(0, 4).Draw(rt, "said"),
		Limited: rapid.Bool().Draw(rt, "limited"),
	}
}

// turmoil is a gate to which anything happens.
type turmoil struct {
	gate  *gate
	calls sync.WaitGroup
	leave []context.CancelFunc // of the calls that were asked for

	mu  sync.Mutex
	out []*pass // calls in flight
}

// do lets o happen, as number i.
func (u *turmoil) do(ctx context.Context, i int, o op) {
	switch o.Do {
	case "ask":
		ctx, leave := context.WithCancel(ctx)
		if o.Limited {
			ctx, leave = context.WithTimeout(ctx, o.Wait)
		}
		u.leave = append(u.leave, leave)
		p := u.gate.pass(o.Class)
		u.calls.Go(func() {
			if p.Admit(ctx, "b") == nil {
				u.mu.Lock()
				defer u.mu.Unlock()
				u.out = append(u.out, p)
			}
		})
	case "learn":
		u.learn([]apiclient.Budget{
			nothing, told(5, i%5, i/8, time.Minute), {Wait: o.Wait}, {Crowded: true, Wait: time.Second}, told(3, 0, i/8, o.Wait),
		}[o.Said])
	case "sleep":
		time.Sleep(o.Wait)
	case "leave": // while a place comes free
		if len(u.leave) > 0 {
			u.calls.Go(u.leave[i%len(u.leave)])
			u.calls.Go(func() { u.learn(nothing) })
		}
	case "stop":
		u.gate.stop(o.Limited)
	}
}

// learn ends a call that is in flight, if one is.
func (u *turmoil) learn(said apiclient.Budget) (ended bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.out) == 0 {
		return false
	}
	i := len(u.out) / 2
	p := u.out[i]
	u.out = slices.Delete(u.out, i, i+1)
	p.Learn("b", said)
	return true
}

// left is an error where calls are in flight, or wait. The gate's timer may run at the same time.
func (g *gate) left() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if b := g.bucket("b").inFlight; g.inFlight != 0 || b != 0 || len(g.waiting) != 0 {
		return fmt.Errorf("%d in flight, %d of the bucket, %d wait", g.inFlight, b, len(g.waiting))
	}
	return nil
}

// TestNoPlaceIsLost: whatever comes between asking and learning, in the end all places are there.
func TestNoPlaceIsLost(t *testing.T) {
	check(t, func(rt *rapid.T) func(*testing.T) error {
		list, most := rapid.SliceOf(rapid.Custom(drawOp)).Draw(rt, "ops"), rapid.IntRange(1, 4).Draw(rt, "most")
		return func(t *testing.T) error {
			g := newGate(most)
			u := &turmoil{gate: g}
			for i, o := range list {
				u.do(t.Context(), i, o)
			}
			for _, leave := range u.leave {
				leave()
			}
			u.calls.Wait()
			for u.learn(nothing) {
			}
			if err := g.left(); err != nil {
				return err
			}
			g.stop(false)
			p := g.pass(events.Normal)
			time.Sleep(wallFor)
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
