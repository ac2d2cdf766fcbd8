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

var errAway = &apiclient.Error{Op: "okta.probeUsers", Err: errors.New("connect: connection refused")}

// fails lets so many calls fail.
func (w *watched) fails(n int) {
	for range n {
		w.outage.learn(true, time.Now())
	}
	synctest.Wait()
}

func TestAProviderThatIsAwayOpensTheBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := watch(t, errAway)
		b.fails(doubtAfter - 1)
		b.outage.learn(false, time.Now())
		b.fails(doubtAfter - 1)
		if probes, stopped := b.set(errAway); probes != 0 || stopped {
			t.Fatalf("%d probes, stands still: %v, though a call between was answered", probes, stopped)
		}
		b.fails(1)
		fault, since, err := b.standing()
		if probes, stopped := b.set(errAway); fault != Unreachable || !errors.Is(err, errAway) || since.IsZero() || probes != 1 || !stopped {
			t.Fatalf("%s since %s: %v, %d probes, stands still: %v", fault, since, err, probes, stopped)
		}
		b.fails(20) // those that were out
		time.Sleep(time.Hour)
		if probes, _ := b.set(nil); probes < 90 || probes > 250 {
			t.Errorf("%d probes in an hour", probes)
		}
		began := time.Now()
		if err := b.wait(t.Context()); err != nil || time.Since(began) > probeAway*3/2 {
			t.Errorf("back, and it went on after %s: %v", time.Since(began), err)
		}
		if probes, stopped := b.set(errAway); stopped || b.why() != nil {
			t.Errorf("%d probes, stands still: %v, %v", probes, stopped, b.why())
		}
		probes, _ := b.set(errAway)
		time.Sleep(time.Hour)
		if after, _ := b.set(errAway); after != probes {
			t.Errorf("%d probes while nothing failed", after-probes)
		}
		b.fails(doubtAfter)
		if fault, _, _ := b.standing(); fault != Unreachable {
			t.Error("it does not open again")
		}
	})
}

// TestOneThatFailsIsNotTheProvider: as long as the probe is answered, whatever the answer, and it is asked little.
func TestOneThatFailsIsNotTheProvider(t *testing.T) {
	for name, answer := range map[string]error{
		"it works": nil, "told to wait": &apiclient.Error{Cause: apiclient.Later}, "not understood": &apiclient.Error{Cause: apiclient.Permanent},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := watch(t, answer)
				for range 3600 {
					b.fails(2)
					time.Sleep(time.Second)
				}
				if probes, stopped := b.set(nil); stopped || probes > 121 || probes < 100 {
					t.Errorf("%d probes in an hour, stands still: %v", probes, stopped)
				}
			})
		})
	}
}

// TestAProviderThatComesBack closes the breaker with whatever it answers but one thing: that it refuses the credential.
func TestAProviderThatComesBack(t *testing.T) {
	for _, cause := range []apiclient.Cause{apiclient.Later, apiclient.Permanent} {
		synctest.Test(t, func(t *testing.T) {
			b := watch(t, errAway)
			b.fails(doubtAfter)
			b.set(&apiclient.Error{Op: "probe", Cause: cause})
			time.Sleep(time.Minute)
			if err := b.why(); err != nil {
				t.Errorf("the probe was answered %s: %v", cause, err)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		b := watch(t, errRefused)
		b.fails(doubtAfter)
		if fault, _, _ := b.standing(); fault != Refused {
			t.Errorf("doubted, and the credential is refused: %q", fault)
		}
		b = watch(t, errAway)
		b.fails(doubtAfter)
		b.set(errRefused)
		time.Sleep(time.Minute)
		if fault, _, err := b.standing(); fault != Refused || !errors.Is(err, errRefused) {
			t.Errorf("back without the credential: %q, %v", fault, err)
		}
		b.set(&apiclient.Error{Op: "probe", Cause: apiclient.Later})
		time.Sleep(time.Hour)
		if fault, _, _ := b.standing(); fault != Refused {
			t.Errorf("closed by what says nothing of the credential: %q", fault)
		}
	})
}

// TestOneProbeAtATime: whatever is doubted, refused and closed at once, two probes never meet, and nothing hangs.
func TestOneProbeAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		now, most, probes := 0, 0, 0
		b := newBreaker(func(context.Context) error {
			mu.Lock()
			now++
			probes++
			most = max(most, now)
			answer := []error{nil, errAway, errRefused, &apiclient.Error{Cause: apiclient.Later}}[probes%4]
			mu.Unlock()
			time.Sleep(3 * time.Second)
			mu.Lock()
			defer mu.Unlock()
			now--
			return answer
		}, func(bool) {}, silent)
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { b.run(ctx) })
		for i := range 30 {
			wg.Go(func() {
				for range 400 {
					switch i % 5 {
					case 0:
						b.open(Refused, errRefused)
					case 1:
						b.outage.learn(false, time.Now())
					default:
						b.outage.learn(true, time.Now())
					}
					time.Sleep(time.Duration(i+1) * 300 * time.Millisecond)
				}
			})
		}
		time.Sleep(2 * time.Hour)
		stop()
		wg.Wait()
		if most != 1 || probes < 10 {
			t.Errorf("%d probes, %d at once", probes, most)
		}
	})
}

// TestADoubtedProviderThatRefuses: calls fail, and the probe is answered that the credential is refused: that is what a
// person hears of, and not that the provider is away.
func TestADoubtedProviderThatRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := watch(t, &apiclient.Error{Status: 401, Cause: apiclient.Denied})
		b.fails(doubtAfter)
		fault, _, _ := b.standing()
		if _, stopped := b.set(nil); fault != Refused || !stopped {
			t.Fatalf("%q, stands still: %v", fault, stopped)
		}
		if err := b.wait(t.Context()); err != nil || b.why() != nil {
			t.Errorf("renewed: %v, %v", err, b.why())
		}
	})
}

// TestAProviderThatIsHalfDead: its probe is answered, and under load all that is asked fails. It meets one call at a time, each
// time it is thought to be back, and longer pauses, not shorter ones; when calls go well again as many go as before.
func TestAProviderThatIsHalfDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		dead, flying, most := true, 0, 0
		var last time.Time // when a call ended
		g := newGate(8)
		b := newBreaker(func(context.Context) error {
			mu.Lock()
			defer mu.Unlock()
			if dead && (flying > 0 || time.Since(last) < 2*time.Second) {
				return errAway
			}
			return nil
		}, g.stop, silent)
		g.outage = b.outage
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		defer wg.Wait()
		defer stop()
		wg.Go(func() { b.run(ctx) })
		calls := 0
		for range 20 { // actions, each of which has calls to make without an end
			p := g.pass(events.Normal)
			wg.Go(func() {
				for p.Admit(ctx, "b") == nil {
					mu.Lock()
					flying++
					calls++
					most = max(most, flying)
					said := told(1<<30, 1<<29, 0, 24*time.Hour)
					if dead {
						said = apiclient.Budget{Limit: -1, Remaining: -1, Failed: true}
					}
					mu.Unlock()
					_ = sleep(ctx, 5*time.Second)
					mu.Lock()
					flying--
					last = time.Now()
					mu.Unlock()
					p.Learn("b", said)
				}
			})
		}
		time.Sleep(time.Hour)
		mu.Lock()
		calls, most = 0, 0
		mu.Unlock()
		time.Sleep(time.Hour)
		mu.Lock()
		if calls > 500 || calls < 100 || most > 1 {
			t.Errorf("%d calls in an hour, %d at once", calls, most)
		}
		dead = false
		mu.Unlock()
		time.Sleep(10 * time.Minute)
		mu.Lock()
		defer mu.Unlock()
		if most != 8 {
			t.Errorf("%d at once, well again", most)
		}
	})
}
