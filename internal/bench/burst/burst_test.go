package burst

import (
	"testing"
	"time"
)

// TestCallsOfALeaver holds what can be held exactly: each leaver costs what the proof needs and little more for what is
// read for all, and no call is refused.
func TestCallsOfALeaver(t *testing.T) {
	const leavers = 20
	o, err := burst(t.Context(), leavers, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := o.fault(); err != nil {
		t.Error(err)
	}
	need, all := needs()
	for bucket, n := range need {
		if got := o.calls[bucket]; got > leavers*n+2 {
			t.Errorf("%d calls at %s, %d are needed", got, bucket, leavers*n)
		}
	}
	if o.each() > 1.1*float64(all) || o.bad > 0 {
		t.Errorf("%.2f calls a leaver of %d, %d refused", o.each(), all, o.bad)
	}
}

// TestACallIsMadeOnceAtAThrottledProvider: whoever refuses is asked a few times, and of a quota nothing is spent in vain.
func TestACallIsMadeOnceAtAThrottledProvider(t *testing.T) {
	for how, most := range map[throttle]int{forgives: 12, silent: 12, quota: 0} {
		o, err := beside(how, 50, ours)
		if err != nil {
			t.Fatal(err)
		}
		if more := o.calls - callsOfOne*o.actions; more > most || more < 0 {
			t.Errorf("%s: %d calls more than needed, %d answered 429", how, more, o.waits)
		}
	}
}

// TestAStolenLaptopDoesNotWait for those who leave.
func TestAStolenLaptopDoesNotWait(t *testing.T) {
	took, err := steal(t.Context(), 8, 60, 60, 1)
	if err != nil {
		t.Fatal(err)
	}
	for how, list := range took {
		if worst := quantile(list, 1); len(list) == 0 || worst > 3*time.Second {
			t.Errorf("%d known by %s: up to %s", len(list), how, worst)
		}
	}
}
