package lane

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"keyturn/internal/apiclient"
)

var silent = slog.New(slog.DiscardHandler)

var errRefused = &apiclient.Error{Op: "okta.getUser", Status: 401, Cause: apiclient.Denied}

// watched is a breaker whose probes and turns are counted.
type watched struct {
	*breaker
	mu      sync.Mutex
	answer  error // of the next probes
	probes  int
	stopped bool
}

// watch runs a breaker until the test's end.
func watch(t *testing.T, answer error) *watched {
	w := &watched{answer: answer}
	w.breaker = newBreaker(func(context.Context) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.probes++
		return w.answer
	}, func(stop bool) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.stopped = stop
	}, silent)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { w.run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	return w
}

// set changes what probes are answered, and gives how many there were, and whether the lane stands still.
func (w *watched) set(answer error) (probes int, stopped bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answer = answer
	return w.probes, w.stopped
}

func TestABreakerProbesUntilTheCredentialWorks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := watch(t, errRefused)
		if b.why() != nil || b.wait(t.Context()) != nil {
			t.Fatal("a new breaker is open")
		}
		var wg sync.WaitGroup
		for range 20 { // all that were in hand
			wg.Go(func() { b.open(Refused, errRefused) })
		}
		wg.Wait()
		if err := b.why(); !errors.Is(err, errRefused) || !strings.Contains(err.Error(), "since 2000-01-01T00:00:00Z") {
			t.Errorf("it says %v", err)
		}
		began, waited := time.Now(), make(chan time.Duration)
		go func() {
			if err := b.wait(t.Context()); err != nil {
				t.Error(err)
			}
			waited <- time.Since(began)
		}()
		time.Sleep(time.Hour)
		probes, stopped := b.set(nil)
		if probes < 12 || probes > 30 || !stopped {
			t.Errorf("%d probes in an hour; the lane stands still: %v", probes, stopped)
		}
		if d := <-waited; d < time.Hour || d > time.Hour+probeLast*3/2 {
			t.Errorf("closed after %s", d)
		}
		if after, stopped := b.set(nil); after != probes+1 || stopped || b.why() != nil {
			t.Errorf("%d probes more; the lane stands still: %v, because of %v", after-probes, stopped, b.why())
		}
	})
}

// TestAPersonNeedNotWaitForTheNextProbe: a credential that was mended may be tried at once, and one that was not is
// probed once more and no more often.
func TestAPersonNeedNotWaitForTheNextProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := watch(t, errRefused)
		b.hasten(t.Context()) // closed: nobody is asked
		b.open(Refused, errRefused)
		time.Sleep(time.Hour)
		before, _ := b.set(errRefused)
		b.hasten(t.Context())
		if probes, stopped := b.set(nil); probes != before+1 || !stopped {
			t.Errorf("%d probes for one that was wanted; the lane stands still: %v", probes-before, stopped)
		}
		began := time.Now()
		b.hasten(t.Context())
		if b.why() != nil || time.Since(began) > time.Second {
			t.Errorf("after %s it says %v", time.Since(began), b.why())
		}
	})
}

// TestAWishIsOverWithTheFault: a probe that was wanted while the one that mends was under way is not made up for when the
// breaker opens again.
func TestAWishIsOverWithTheFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := watch(t, nil)
		under := make(chan struct{})
		b.probe = func(context.Context) error {
			under <- struct{}{}
			time.Sleep(time.Second)
			return nil
		}
		b.open(Refused, errRefused)
		<-under
		b.hasten(t.Context())
		if err := b.why(); err != nil {
			t.Fatalf("it says %v", err)
		}
		began := time.Now()
		b.open(Refused, errRefused)
		<-under
		if time.Since(began) < probeFirst/2 {
			t.Errorf("probed after %s, and nobody wanted that", time.Since(began))
		}
	})
}

// TestABreakerThatFlaps: a credential that passes the probe and is refused where it matters is probed less and less.
func TestABreakerThatFlaps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := watch(t, nil)
		for began := time.Now(); time.Since(began) < time.Hour; {
			b.open(Refused, errRefused)
			if err := b.wait(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if probes, _ := b.set(nil); probes > 30 {
			t.Errorf("%d probes in an hour", probes)
		}
		time.Sleep(probePeace + time.Second)
		b.open(Refused, errRefused)
		began := time.Now()
		if err := b.wait(t.Context()); err != nil || time.Since(began) > probeFirst*3/2 {
			t.Errorf("after a time of peace it took %s: %v", time.Since(began), err)
		}
	})
}

// TestOnlyAnAnsweredProbeClosesABreaker: a provider that is away or full tells nothing about the credential.
func TestOnlyAnAnsweredProbeClosesABreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, cause := range []apiclient.Cause{apiclient.Transient, apiclient.Later, apiclient.Permanent, apiclient.Denied} {
			b := watch(t, &apiclient.Error{Op: "probe", Cause: cause})
			b.open(Refused, errRefused)
			time.Sleep(time.Hour)
			if b.why() == nil {
				t.Errorf("closed by a probe that was answered %s", cause)
			}
		}
	})
}

func TestWaitingForABreakerEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := watch(t, errRefused)
		b.open(Refused, errRefused)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := b.wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		b.set(nil)
		if err := b.wait(t.Context()); err != nil {
			t.Error(err)
		}
		if err := b.wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a closed breaker lets one go whose time is over: %v", err)
		}
	})
}

// TestAProbeThatPanicsIsMadeAgain: it counts as one that was not answered, and the lane goes on with the next.
func TestAProbeThatPanicsIsMadeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := watch(t, nil)
		probe, probes := b.probe, 0
		b.probe = func(ctx context.Context) error {
			if probes++; probes == 1 {
				panic("maria@acme.example")
			}
			return probe(ctx)
		}
		b.open(Refused, errRefused)
		if err := b.wait(t.Context()); err != nil || probes != 2 {
			t.Errorf("%v after %d probes", err, probes)
		}
	})
}
