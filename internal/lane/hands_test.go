package lane_test

import (
	"strings"
	"testing"
	"time"

	"keyturn/internal/apiclient"
	"keyturn/internal/events"
	"keyturn/internal/lane"
	"keyturn/internal/ledger"
)

// TestWhatWaitsHoldsNoSlot: several times as many actions as a class has slots wait for the window of one bucket, and
// one of the same class that comes after all of them goes on at another bucket.
func TestWhatWaitsHoldsNoSlot(t *testing.T) {
	r := newRig(t)
	ends := time.Now().Add(80 * time.Second)
	r.bucket = func(a events.Action) string {
		if strings.HasPrefix(a.Step, "other") {
			return "other"
		}
		return "spent"
	}
	r.reply = func(a events.Action) apiclient.Budget {
		if r.bucket(a) == "other" {
			return apiclient.Budget{Limit: -1, Remaining: -1}
		}
		return apiclient.Budget{Limit: 100, Reset: 80 * time.Second, Ends: ends}
	}
	stuck := r.several(40, events.Normal)
	w := r.worker("w1", r.bus, 1) // eight slots
	r.until("all at the gate", func() bool { s, held := w.State(); return held && s.AtGate[events.Normal] == len(stuck) })
	var through []events.Action
	for _, name := range []string{"other1", "other2", "other3"} {
		through = append(through, r.publish(events.Normal, name, "user:"+name))
	}
	r.reach(ledger.Verified, through...)
	if s, _ := w.State(); s.InHand[events.Normal] < len(stuck) || time.Now().After(ends) {
		t.Errorf("%d in hand, and the window ended %s ago", s.InHand[events.Normal], time.Since(ends))
	}
	if took := w.stop(); took > lane.FinishWithin {
		t.Errorf("it took %s to give them back", took)
	}
	r.until("all given back", func() bool { return r.last(stuck[0]).State == ledger.Waiting })
}
