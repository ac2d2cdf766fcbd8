package lane_test

import (
	"testing"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/lane"
	"keyturn/internal/ledger"
)

// TestAWindowOfOneCallAdmitsAChange that must not be made twice, and has less time than a window takes: the look before it
// spends each window, and the change must have the next one.
func TestAWindowOfOneCallAdmitsAChange(t *testing.T) {
	r := newRig(t)
	r.budget = lane.Budget{Known: map[string]lane.Limit{"b": {Calls: 1, Window: 2 * time.Second}}}
	r.limits.CallTimeout = time.Second
	r.once = func(events.Action) bool { return true }
	r.worker("w1", r.bus, 4)
	r.reach(ledger.Verified, r.several(1, events.Normal)...)
	if done := r.order(); len(done) != 1 {
		t.Errorf("done: %v", done)
	}
}
