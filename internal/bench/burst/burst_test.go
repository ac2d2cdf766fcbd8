package burst

import "testing"

// TestCallsOfALeaver holds what can be held exactly: each leaver costs what the proof needs and little more for what is
// read for all, and no call is refused.
func TestCallsOfALeaver(t *testing.T) {
	const leavers = 40
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
