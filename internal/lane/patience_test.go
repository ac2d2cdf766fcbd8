package lane

import (
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"keyturn/internal/apiclient"
	"keyturn/internal/events"
)

// TestRefusedWithoutAWord: a provider that refuses everything and does not say until when, or whose window is over by its
// own clock each time, is asked a few times, and served as soon as it serves again.
func TestRefusedWithoutAWord(t *testing.T) {
	for name, refusal := range map[string]apiclient.Budget{
		"without a word":            {Limit: -1, Remaining: -1, Wait: 5 * time.Second},
		"until a time that is over": {Limit: 10, Ends: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC), Wait: 1500 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) { refusedWithoutAWord(t, refusal) })
	}
}

func refusedWithoutAWord(t *testing.T, refusal apiclient.Budget) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(8)
		var refused atomic.Int64
		again := time.Now().Add(10 * time.Minute)
		done := make(chan time.Time, 50)
		for range cap(done) {
			go func() {
				p := g.pass(events.Normal)
				for {
					if err := p.Admit(t.Context(), "b"); err != nil {
						e, _ := errors.AsType[*apiclient.Error](err)
						time.Sleep(e.RetryAfter)
						continue
					}
					time.Sleep(100 * time.Millisecond)
					said := nothing
					if time.Now().Before(again) {
						refused.Add(1)
						said = refusal
					}
					p.Learn("b", said)
					if said.Wait == 0 {
						done <- time.Now()
						return
					}
				}
			}()
		}
		for range cap(done) {
			if late := (<-done).Sub(again); late > 2*holdAtMost {
				t.Errorf("served %s after the provider was there again", late)
			}
		}
		if n := refused.Load(); n > 16 {
			t.Errorf("%d calls were refused", n)
		}
		if n := g.bucket("b").refused; n != 0 {
			t.Errorf("%d refusals are remembered", n)
		}
	})
}
