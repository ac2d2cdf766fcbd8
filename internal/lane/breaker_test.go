package lane

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"keyturn/internal/apiclient"
)

var refused = &apiclient.Error{Op: "okta.getUser", Status: 401, Cause: apiclient.Denied}

func TestBreakerProbesUntilTheCredentialWorks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var probes atomic.Int32
		var works atomic.Bool
		b := &Breaker{Connection: "okta-prod", Probe: func(context.Context) error {
			probes.Add(1)
			if !works.Load() {
				return refused
			}
			return nil
		}}
		var wg sync.WaitGroup
		wg.Go(func() { b.Run(ctx) })
		if b.Err() != nil || b.Wait(ctx) != nil {
			t.Fatal("a new breaker is open")
		}
		for range 100 { // all that were in hand
			b.Trip(refused)
		}
		if err := b.Err(); !errors.Is(err, refused) || !strings.Contains(err.Error(), "okta-prod") {
			t.Errorf("open because of %v", err)
		}
		began, went := time.Now(), make(chan time.Duration)
		go func() {
			_ = b.Wait(ctx)
			went <- time.Since(began)
		}()
		time.Sleep(time.Hour)
		if n := probes.Load(); n < 12 || n > 30 {
			t.Errorf("%d probes in an hour", n)
		}
		works.Store(true)
		if d := <-went; d < time.Hour || d > time.Hour+probeCap {
			t.Errorf("closed after %v", d)
		}
		if b.Err() != nil {
			t.Error("it is open still")
		}
		cancel()
		wg.Wait()
	})
}

// TestBreakerFlaps: a credential that passes the probe and is refused where it matters is not probed every second.
func TestBreakerFlaps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var probes atomic.Int32
		b := &Breaker{Probe: func(context.Context) error { probes.Add(1); return nil }}
		var wg sync.WaitGroup
		wg.Go(func() { b.Run(ctx) })
		began := time.Now()
		for time.Since(began) < time.Hour {
			b.Trip(refused)
			if err := b.Wait(ctx); err != nil {
				t.Fatal(err)
			}
		}
		if n := probes.Load(); n > 30 {
			t.Errorf("%d probes in an hour", n)
		}
		time.Sleep(probePeace + time.Second)
		b.Trip(refused)
		began = time.Now()
		_ = b.Wait(ctx)
		if d := time.Since(began); d > probeFirst {
			t.Errorf("after a time of peace it took %v", d)
		}
		cancel()
		wg.Wait()
	})
}

func TestBreakerWaitEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &Breaker{}
		b.Trip(refused)
		if err := b.Wait(deadline(t, time.Minute)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
	})
}
