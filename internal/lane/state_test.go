package lane_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"keyturn/internal/apiclient"
	"keyturn/internal/events"
	"keyturn/internal/lane"
	"keyturn/internal/ledger"
)

// TestALaneTellsHowItStands: idle, while it waits for budget, paused, refused, and when nobody holds it.
func TestALaneTellsHowItStands(t *testing.T) {
	r := newRig(t)
	ends := time.Now().Add(50 * time.Second)
	left := 12
	r.reply = func(events.Action) apiclient.Budget { // the normal leave 15 of 100
		r.mu.Lock()
		defer r.mu.Unlock()
		left--
		return apiclient.Budget{Limit: 100, Remaining: left, Reset: 50 * time.Second, Ends: ends}
	}
	w := r.worker("w1", r.bus, 4)
	stands := func(what string, ok func(s lane.State) bool) {
		t.Helper()
		var last lane.State
		r.until(what, func() bool {
			s, held := w.State()
			last = s
			return held && ok(s)
		})
		if last.Epoch != w.Epoch() || last.Since.IsZero() || last.Most != 4 {
			t.Errorf("%s: %+v", what, last)
		}
	}
	stands("idle", func(s lane.State) bool { return len(s.Buckets) == 0 && s.InHand[events.Normal] == 0 && s.Ceiling == 4 })
	urgent := r.publish(events.Urgent, "laptop", "user:ada")
	r.reach(ledger.Verified, urgent)
	r.several(3, events.Normal)
	stands("waiting for budget", func(s lane.State) bool {
		return s.InHand[events.Normal] == 3 && s.AtGate[events.Normal] == 3 && s.AtGate[events.Urgent] == 0 && s.InFlight == 0 &&
			s.Calls >= 3 && s.Actions == 1 && s.Done == 1 && len(s.Buckets) == 1 && s.Buckets[0].Known && s.Buckets[0].Left == left &&
			s.Buckets[0].Limit == 100 && s.Buckets[0].Calls == s.Calls && s.Buckets[0].Span == 50*time.Second
	})
	why := "by a person"
	r.paused.Store(&why)
	r.publish(events.Urgent, "second", "user:kim")
	stands("paused", func(s lane.State) bool { return s.Halted == why && s.InHand[events.Urgent] == 1 })
	r.paused.Store(nil)
	stands("resumed", func(s lane.State) bool { return s.Halted == "" && s.InHand[events.Urgent] == 0 && s.Done == 2 })
	w.Denied(context.DeadlineExceeded)
	stands("refused", func(s lane.State) bool {
		return s.Fault == lane.Refused && s.Broken != nil && time.Since(s.Opened) < time.Minute
	})
	w.stop()
	if s, held := w.State(); held {
		t.Errorf("nobody holds it, and it says %+v", s)
	}
	if !slices.Contains(r.done, "second") {
		t.Error("the urgent one was not done")
	}
}
