package lane

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"keyturn/internal/apiclient"
	"keyturn/internal/events"
)

// reply is what a reply of a bucket with a limit of 100 says.
func reply(remaining int, reset time.Duration) apiclient.Budget {
	return apiclient.Budget{Limit: 100, Remaining: remaining, Reset: reset}
}

var nothing = apiclient.Budget{Limit: -1, Remaining: -1}

// admit asks once and fails the test when the answer is no.
func admit(t *testing.T, g apiclient.Gate) {
	t.Helper()
	if err := g.Admit(t.Context(), "b"); err != nil {
		t.Fatal(err)
	}
}

// waited admits and gives how long it took.
func waited(t *testing.T, g apiclient.Gate) time.Duration {
	t.Helper()
	began := time.Now()
	admit(t, g)
	return time.Since(began)
}

func isLater(t *testing.T, err error) time.Duration {
	t.Helper()
	e, ok := errors.AsType[*apiclient.Error](err)
	if !ok || e.Cause != apiclient.Later {
		t.Fatalf("%v, want Later", err)
	}
	return e.RetryAfter
}

func TestGateStartsSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGate(8).For(events.Normal)
		admit(t, g)
		admit(t, g)
		third := make(chan struct{})
		go func() { defer close(third); admit(t, g) }()
		synctest.Wait()
		select {
		case <-third:
			t.Fatal("a third call went out before anything was known")
		default:
		}
		g.Learn("b", reply(90, time.Minute))
		<-third
		if d := waited(t, g); d != 0 {
			t.Errorf("with 90 calls left one waited %v", d)
		}
	})
}

func TestGateLeavesSomeForTheUrgent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := NewGate(8)
		admit(t, gate.For(events.Urgent))
		gate.For(events.Urgent).Learn("b", reply(15, 30*time.Second))
		err := gate.For(events.Bulk).Admit(deadline(t, time.Second), "b")
		if d := isLater(t, err); d < 30*time.Second {
			t.Errorf("bulk is told to wait %v", d)
		}
		admit(t, gate.For(events.Normal))
		gate.For(events.Normal).Learn("b", reply(10, 30*time.Second))
		if d := waited(t, gate.For(events.Urgent)); d != 0 {
			t.Errorf("urgent waited %v", d)
		}
		if d := waited(t, gate.For(events.Normal)); d < 30*time.Second || d > 31*time.Second {
			t.Errorf("normal waited %v, want the end of the window", d)
		}
	})
}

// deadline is a context that ends after d.
func deadline(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func TestGateGivesLongWaitsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGate(8).For(events.Urgent)
		admit(t, g)
		g.Learn("b", apiclient.Budget{Limit: 100, Remaining: 0, Reset: 80 * time.Second, Wait: 81 * time.Second})
		began := time.Now()
		if d := isLater(t, g.Admit(t.Context(), "b")); d != 81*time.Second || time.Since(began) != 0 {
			t.Errorf("told to wait %v after %v", d, time.Since(began))
		}
		time.Sleep(50 * time.Second)
		if d := waited(t, g); d < 31*time.Second || d > 32*time.Second {
			t.Errorf("waited %v for the rest", d)
		}
	})
}

// TestGateNeverSleepsIntoADeadline: a create has five seconds; a wait within them must not become an unknown outcome.
func TestGateNeverSleepsIntoADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := NewGate(1)
		g := gate.For(events.Bulk)
		admit(t, g)
		g.Learn("b", reply(0, 20*time.Second))
		began := time.Now()
		isLater(t, g.Admit(deadline(t, 5*time.Second), "b"))
		if time.Since(began) != 0 {
			t.Errorf("it waited %v for nothing", time.Since(began))
		}
		time.Sleep(21 * time.Second)
		admit(t, g) // and never comes back
		admit(t, g)
		isLater(t, g.Admit(deadline(t, 5*time.Second), "b"))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := g.Admit(ctx, "b"); !errors.Is(err, context.Canceled) {
			t.Errorf("a cancelled call: %v", err)
		}
	})
}

func TestGatePausesOnToldWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGate(8).For(events.Normal)
		admit(t, g)
		g.Learn("b", reply(100, time.Minute))
		admit(t, g)
		g.Learn("b", apiclient.Budget{Limit: 100, Remaining: 0, Reset: 9 * time.Second, Wait: 10 * time.Second})
		if err := g.Admit(t.Context(), "other"); err != nil {
			t.Errorf("another bucket: %v", err)
		}
		if d := waited(t, g); d < 10*time.Second || d > 11*time.Second {
			t.Errorf("waited %v, told 10 s", d)
		}
	})
}

func TestGateHalvesWhenCrowded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := NewGate(6) // and two for urgent ones
		g := gate.For(events.Urgent)
		admit(t, g)
		g.Learn("b", nothing)
		for range 8 {
			admit(t, g)
		}
		isLater(t, g.Admit(deadline(t, time.Second), "b"))
		g.Learn("b", apiclient.Budget{Crowded: true, Wait: time.Second})
		for range 4 {
			g.Learn("b", apiclient.Budget{Limit: -1, Remaining: -1, Wait: time.Second})
		}
		time.Sleep(2 * time.Second)
		admit(t, g) // the fourth of four
		isLater(t, g.Admit(deadline(t, time.Second), "b"))
		for range 4 {
			g.Learn("b", nothing)
		}
		n := 0
		for range 200 { // calls that go well make room again
			admit(t, g)
			g.Learn("b", nothing)
		}
		for g.Admit(deadline(t, time.Millisecond), "b") == nil {
			n++
		}
		if n != 8 {
			t.Errorf("%d at a time in the end, want 8", n)
		}
	})
}

// TestGateKeepsALimit: many callers against a server that counts never meet its limit, whatever the order of replies.
func TestGateKeepsALimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit, window = 50, 60 * time.Second
		gate := NewGate(8)
		var mu sync.Mutex
		var began time.Time
		used, refused, served := 0, 0, 0
		call := func(g apiclient.Gate, took time.Duration) {
			for g.Admit(t.Context(), "b") != nil {
				time.Sleep(time.Second)
			}
			mu.Lock()
			if now := time.Now(); began.IsZero() || now.Sub(began) >= window {
				began, used = now, 0
			}
			used++
			served++
			b := apiclient.Budget{Limit: limit, Remaining: max(limit-used, 0), Reset: time.Until(began.Add(window)).Truncate(time.Second)}
			if used > limit {
				refused++
				b.Wait = b.Reset + time.Second
			}
			mu.Unlock()
			time.Sleep(took)
			g.Learn("b", b)
		}
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				for j := range 60 {
					call(gate.For(events.Classes()[i%3]), time.Duration(1+(i*7+j*13)%400)*time.Millisecond)
				}
			})
		}
		start := time.Now()
		wg.Wait()
		if refused > 0 || served != 480 {
			t.Errorf("%d of %d calls were refused", refused, served)
		}
		if took := time.Since(start); took > 13*window {
			t.Errorf("480 calls at 50 a minute took %v", took)
		}
	})
}
