package lane_test

import (
	"context"
	"testing"

	"keyturn/internal/apiclient"
	"keyturn/internal/events"
	"keyturn/internal/lane"
	"keyturn/internal/ledger"
)

// TestAnOutageStopsTheLane: one probe at a time goes out, the work waits without an attempt, and goes on by itself.
func TestAnOutageStopsTheLane(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.absent(true)
	w := r.worker("w1", r.bus, 2)
	found := r.publish(events.Urgent, "found", "user:found") // the one that finds it out
	r.until("open breaker", func() bool { s, held := w.State(); return held && s.Fault == lane.Unreachable })
	if err := w.Err(); err == nil || w.Refused() != nil {
		t.Errorf("it stands still because of %v, refused %v", err, w.Refused())
	}
	r.until("the end of its attempt", func() bool { return r.last(found).State == ledger.Waiting })
	charged := r.last(found).Attempts
	waiting := r.several(20, events.Normal)
	r.until("messages in hand", func() bool { return r.inHand(events.Normal) > 10 })
	if s, _ := w.State(); s.Calls > charged+2 {
		t.Errorf("%d calls went out, for %d attempts", s.Calls, charged)
	}
	for _, a := range waiting {
		if rec := r.last(a); rec.State != "" {
			t.Errorf("%s was begun: %s", a.Step, rec.State)
		}
	}
	r.absent(false)
	r.reach(ledger.Verified, append(waiting, found)...)
	if s, _ := w.State(); s.Broken != nil || s.Fault != "" {
		t.Errorf("it stands still: %s, %v", s.Fault, s.Broken)
	}
	for _, a := range waiting {
		if rec := r.last(a); rec.Attempts != 1 || rec.Tries != 1 {
			t.Errorf("%s: %d tries, %d charged", a.Step, rec.Tries, rec.Attempts)
		}
	}
	if rec := r.last(found); rec.Attempts > charged+1 || charged > 4 {
		t.Errorf("the first one was charged %d, and %d before it was known", rec.Attempts, charged)
	}
}

// TestOneTargetThatFailsStopsNobody: nor one bucket whose calls all fail, as long as the probe is answered.
func TestOneTargetThatFailsStopsNobody(t *testing.T) {
	r := newRig(t)
	r.call = func(_ context.Context, call string, a events.Action) error {
		if a.Class == events.Bulk {
			return &apiclient.Error{Op: call, Status: 503}
		}
		return nil
	}
	bad := r.several(6, events.Bulk)
	w := r.worker("w1", r.bus, 1)
	r.until("doubt", func() bool { return r.absent(false) == 1 })
	good := r.several(6, events.Normal)
	r.reach(ledger.Verified, good...)
	r.until("charged attempt", func() bool { return r.last(bad[0]).Attempts > 0 })
	if s, held := w.State(); !held || s.Broken != nil || r.absent(false) != 1 {
		t.Errorf("held %v, stands still: %v, %d probes", held, s.Broken, r.absent(false))
	}
}
