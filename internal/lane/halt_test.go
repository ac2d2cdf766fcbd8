package lane_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/lane"
	"keyturn/internal/ledger"
)

// TestAPausedLaneBeginsNothing: what has begun comes to its end, what has only looked changes nothing, the urgent waits with
// the others, and nothing is begun while nobody can say whether it may. A stop does not wait for the end of a pause.
func TestAPausedLaneBeginsNothing(t *testing.T) {
	r := newRig(t)
	began, looks, release := make(chan struct{}), make(chan struct{}), make(chan struct{})
	hold := sync.OnceFunc(func() { close(began); <-release })
	wait := sync.OnceFunc(func() { close(looks); <-release })
	r.call = func(_ context.Context, call string, a events.Action) error {
		switch {
		case a.Step == "first" && call == "do":
			hold()
		case a.Step == "looks":
			wait()
		}
		return nil
	}
	first, looking := r.publish(events.Normal, "first", "user:first"), r.publish(events.Normal, "looks", "user:looks")
	w := r.worker("w1", r.bus, 4)
	<-began
	<-looks
	why, unknown := "paused by ann", "?"
	r.paused.Store(&why)
	waiting := append(append(r.several(3, events.Urgent), r.several(3, events.Bulk)...), looking)
	r.until("halt", func() bool { return w.Halted() == why })
	close(release)
	r.reach(ledger.Verified, first)
	r.paused.Store(&unknown)
	time.Sleep(700 * time.Millisecond) // those that wait ask once more in it
	for _, a := range waiting {
		if s := r.last(a).State; s != "" {
			t.Errorf("%s is %s", a.Step, s)
		}
	}
	if took := w.stop(); took > 5*time.Second {
		t.Errorf("the stop took %s", took)
	}
	w = r.worker("w2", r.bus, 4)
	r.paused.Store(&why)
	r.until("halt", func() bool { return w.Halted() == why })
	r.paused.Store(nil)
	r.reach(ledger.Verified, waiting...)
	if w.Halted() != "" {
		t.Errorf("halted: %s", w.Halted())
	}
}

// TestAPausedActionLeavesTheLaneToOthers: what is of a paused playbook is not begun, and keeps no place that others need;
// when the pause is over it goes on.
func TestAPausedActionLeavesTheLaneToOthers(t *testing.T) {
	r := newRig(t)
	var over atomic.Bool
	r.stays = func(a events.Action) bool { return a.Class == events.Normal && !over.Load() }
	waiting := r.several(6, events.Normal)
	w := r.worker("w1", r.bus, 1)
	r.reach(ledger.Verified, r.several(3, events.Bulk)...)
	for _, a := range waiting {
		if s := r.last(a).State; s != "" {
			t.Errorf("%s is %s", a.Step, s)
		}
	}
	if w.Halted() != "" {
		t.Errorf("the lane is halted: %s", w.Halted())
	}
	over.Store(true)
	r.reach(ledger.Verified, waiting...)
}

// TestALaneThatCannotKnowSaysSo: while nobody can say whether it may begin it is not shown as one that works.
func TestALaneThatCannotKnowSaysSo(t *testing.T) {
	r := newRig(t)
	unknown := "?"
	r.paused.Store(&unknown)
	w := r.worker("w1", r.bus, 4)
	a := r.publish(events.Urgent, "first", "user:first")
	r.until("a word of it", func() bool {
		state, held := w.State()
		return held && strings.Contains(state.Halted, "nobody can say") && w.Halted() == state.Halted
	})
	r.paused.Store(nil)
	r.reach(ledger.Verified, a)
	if w.Halted() != "" {
		t.Errorf("halted: %s", w.Halted())
	}
}

// TestAPauseHoldsAChangeThatWaits for its budget after the look, whether its time is long enough for that or not.
func TestAPauseHoldsAChangeThatWaits(t *testing.T) {
	for name, once := range map[string]bool{"at the gate": false, "for room": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // it waits for windows
			r := newRig(t)
			r.budget = lane.Budget{Known: map[string]lane.Limit{"b": {Calls: 1, Window: 3 * time.Second}}}
			r.limits.CallTimeout = time.Second
			r.once = func(events.Action) bool { return once }
			w := r.worker("w1", r.bus, 4)
			a := r.publish(events.Normal, "first", "user:first")
			r.reach(ledger.Started, a) // it looked, and was let
			why := "paused by ann"
			r.paused.Store(&why)
			r.until("it to be given back", func() bool { return r.last(a).State == ledger.Waiting })
			r.until("halt", func() bool { return w.Halted() == why })
			if done := r.order(); len(done) != 0 {
				t.Errorf("done in the pause: %v", done)
			}
			r.paused.Store(nil)
			r.reach(ledger.Verified, a)
			if done := r.order(); len(done) != 1 {
				t.Errorf("done: %v", done)
			}
		})
	}
}
