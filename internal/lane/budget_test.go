package lane

import (
	"testing/synctest"

	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"keyturn/internal/events"
)

// TestGateKeepsToItsShare: whatever others do, no window holds more calls of ours than its share, nothing is refused
// for it alone, and the share is used.
func TestGateKeepsToItsShare(t *testing.T) {
	check(t, func(rt *rapid.T) func(*testing.T) error {
		p, c := drawProvider(rt), drawCrowd(rt)
		c.budget.Share = float64(rapid.IntRange(1, 99).Draw(rt, "percent")) / 100
		c.each = min(c.each, 4)
		allowed := c.budget.allowed(p.limit)
		if allowed == 1 { // an urgent call does not wait for the very first one
			c.classes = []events.Class{events.Normal, events.Bulk}
		}
		others := rapid.Bool().Draw(rt, "others")
		return func(t *testing.T) error {
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			var wg sync.WaitGroup
			if others { // they take about the part of a window that is theirs
				wg.Go(func() {
					rng := rand.New(rand.NewPCG(c.seed, 1<<33))
					for sleep(ctx, upTo(rng, 2*p.window/time.Duration(max(p.limit-allowed, 1)))+time.Millisecond) == nil {
						p.spend()
					}
				})
			}
			took, err := c.run(t, p)
			stop()
			wg.Wait()
			windows := time.Duration(p.calls/allowed + 2)
			bound := windows*(p.window+2*p.slow+time.Second) + time.Duration(p.calls)*p.slow
			if err != nil || p.peak > allowed || !others && (p.refusals > 0 || took > bound) {
				return fmt.Errorf("%d calls in one window of %d, share %v: %d; %d refused, in %s of %s: %w",
					p.peak, p.limit, c.budget.Share, allowed, p.refusals, took, bound, err)
			}
			return nil
		}
	})
}

// TestGateKeepsReserves: bulk alone, at any reserve and share, leaves of each window what is reserved, until its end.
func TestGateKeepsReserves(t *testing.T) {
	check(t, func(rt *rapid.T) func(*testing.T) error {
		p, c := drawProvider(rt), drawCrowd(rt)
		p.window = max(p.window, 20*time.Second)
		p.slow = min(p.slow, time.Second)
		reserve := rapid.IntRange(0, 95).Draw(rt, "reserve")
		c.classes = []events.Class{events.Bulk}
		c.budget = Budget{Share: float64(rapid.IntRange(1, 100).Draw(rt, "percent")) / 100, Reserve: map[events.Class]int{events.Bulk: reserve}}
		c.each = min(c.each, 4)
		allowed := c.budget.allowed(p.limit)
		most := max(allowed-allowed*reserve/100, 1)
		return func(t *testing.T) error {
			if _, err := c.run(t, p); err != nil || p.peakEarly > most || p.peak > allowed || p.refusals > 0 {
				return fmt.Errorf("%d calls early in a window, of %d at %d per cent (%d): %w", p.peakEarly, allowed, reserve, most, err)
			}
			return nil
		}
	})
}

func TestBudgetsThatCannotBe(t *testing.T) {
	for want, b := range map[string]Budget{
		"":                           {},
		"share -0.1":                 {Share: -0.1},
		"share 1.1":                  {Share: 1.1},
		"reserve 10 of class bulk":   {Reserve: map[events.Class]int{events.Normal: 20, events.Bulk: 10}},
		"reserve 96 of class bulk":   {Reserve: map[events.Class]int{events.Bulk: 96}},
		"reserve -1 of class normal": {Reserve: map[events.Class]int{events.Normal: -1}},
	} {
		if err := b.check(); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", b, err, want)
		}
	}
	for limit, want := range map[int]int{100: 29, 10: 2, 1: 1, 0: 0} {
		if got := (Budget{Share: 0.29}).allowed(limit); got != want {
			t.Errorf("0.29 of %d is %d, want %d", limit, got, want)
		}
	}
}

// TestWhatAClassLeavesByDefault: of a window of 100 calls that has just begun, bulk makes 50 and normal 85.
func TestWhatAClassLeavesByDefault(t *testing.T) {
	want := map[events.Class]int{events.Urgent: 100, events.Normal: 85, events.Bulk: 50}
	for _, class := range events.Classes() {
		synctest.Test(t, func(t *testing.T) {
			b := &bucket{}
			b.take(time.Now())
			b.learn(told(100, 99, 1, time.Minute), time.Now())
			n := 1
			for _, ok := b.free(rank(class), time.Now()); ok; _, ok = b.free(rank(class), time.Now()) {
				b.take(time.Now())
				n++
			}
			if n != want[class] {
				t.Errorf("%s made %d calls of 100, want %d", class, n, want[class])
			}
		})
	}
}
