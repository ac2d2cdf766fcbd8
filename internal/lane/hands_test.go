package lane_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"keyturn/internal/apiclient"
	"keyturn/internal/events"
	"keyturn/internal/lane"
	"keyturn/internal/ledger"
	"keyturn/internal/stream"
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

// TestWhoWaitsBetweenTwoLooksHoldsNoSlot: more actions than a class has slots look again and again at what a provider takes
// and does not show, and others go on beside them. A stop does not wait for their pauses.
func TestWhoWaitsBetweenTwoLooksHoldsNoSlot(t *testing.T) {
	r := newRig(t)
	r.deaf = func(a events.Action) bool { return !strings.HasPrefix(a.Step, "other") }
	r.limits.RoundPause = 5 * time.Second
	stuck := r.several(20, events.Normal)
	w := r.worker("w1", r.bus, 1) // eight slots
	r.reach(ledger.Started, stuck...)
	began := time.Now()
	r.reach(ledger.Verified, r.publish(events.Normal, "other", "user:other"))
	if took := time.Since(began); took > 4*time.Second { // the looks of one take minutes
		t.Errorf("it took %s beside those that wait", took)
	}
	if took := w.stop(); took > lane.FinishWithin/2 {
		t.Errorf("the stop took %s", took)
	}
}

// TestACrowdOfOneKindLeavesPlaces: many more actions of one kind than a class has places wait for the window of one bucket;
// those of another kind, behind all of them at the broker, go on, and nobody who was put off began.
func TestACrowdOfOneKindLeavesPlaces(t *testing.T) {
	r := newRig(t)
	ends := time.Now().Add(80 * time.Second)
	r.bucket = func(a events.Action) string { return a.Do }
	r.reply = func(a events.Action) apiclient.Budget {
		if a.Do == "asa.approve_client" {
			return apiclient.Budget{Limit: -1, Remaining: -1}
		}
		return apiclient.Budget{Limit: 100, Reset: 80 * time.Second, Ends: ends}
	}
	const many = 320 // more than a class has places for
	stuck := r.several(many, events.Normal)
	w := r.worker("w1", r.bus, 1)
	r.until("the crowd", func() bool {
		s, held := w.State()
		q, err := r.bus.Queues(t.Context(), "sample")
		later := uint64(0)
		for _, c := range q {
			later += c.Later
		}
		return held && err == nil && s.AtGate[events.Normal] > 200 && s.AtGate[events.Normal]+int(later) >= many-1
	})
	var through []events.Action
	for i := range 40 {
		through = append(through, r.kind("asa.approve_client", events.Normal, fmt.Sprint("other", i), fmt.Sprint("user:other", i)))
	}
	r.reach(ledger.Verified, through...)
	if time.Now().After(ends) {
		t.Errorf("the window ended %s ago", time.Since(ends))
	}
	begun := 0
	for _, a := range stuck {
		if rec := r.last(a); rec.Seq != 0 {
			begun++
		}
	}
	if s, _ := w.State(); begun > 1 || s.AtGate[events.Normal] > 224 {
		t.Errorf("%d of those that wait began, %d at the gate", begun, s.AtGate[events.Normal])
	}
}

// TestACrowdThatFailsLeavesPlaces: of the actions of one kind that fail and are to be tried again within a minute some leave
// the consumer, where they would hold its last place.
func TestACrowdThatFailsLeavesPlaces(t *testing.T) {
	r := newRig(t)
	r.limits.BackoffBase = time.Minute // none comes again within a quarter of it
	r.call = func(context.Context, string, events.Action) error { return &apiclient.Error{Op: "look", Status: 500} }
	const many = 240
	r.several(many, events.Normal)
	r.worker("w1", r.bus, 8)
	r.until("some to be put off", func() bool {
		q, err := r.bus.Queues(t.Context(), "sample")
		i := slices.IndexFunc(q, func(c stream.Queue) bool { return c.Class == events.Normal })
		return err == nil && i >= 0 && q[i].Later >= many-224 && q[i].Taken <= 224
	})
}
