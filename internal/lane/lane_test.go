package lane_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"keyturn/internal/apiclient"
	"keyturn/internal/events"
	"keyturn/internal/lane"
	"keyturn/internal/ledger"
	"keyturn/internal/stream"
)

func TestTheUrgentOvertake(t *testing.T) {
	r := newRig(t)
	began, release := make(chan struct{}), make(chan struct{})
	hold := sync.OnceFunc(func() { close(began); <-release })
	var mu sync.Mutex
	var looked []events.Class // by the first look of each action
	r.call = func(_ context.Context, call string, a events.Action) error {
		if a.Step == "first" {
			hold()
		} else if call == "look" && !slices.Contains(r.order(), a.Step) {
			mu.Lock()
			defer mu.Unlock()
			looked = append(looked, a.Class)
		}
		return nil
	}
	first := r.publish(events.Bulk, "first", "user:first")
	w := r.worker("w1", r.bus, 1)
	<-began // the one place for everybody is taken
	bulk, normal := r.several(6, events.Bulk), r.several(6, events.Normal)
	r.until("queue at the gate", func() bool { return w.tenure.Load().Waiting() == 12 })
	urgent := r.several(3, events.Urgent)
	r.reach(ledger.Verified, urgent...)
	if got := r.order(); len(got) != 3 {
		t.Errorf("beside the urgent went %v", got)
	}
	close(release)
	r.reach(ledger.Verified, slices.Concat(bulk, normal, []events.Action{first})...)
	mu.Lock()
	defer mu.Unlock()
	want := slices.Concat(slices.Repeat([]events.Class{events.Urgent}, 3),
		slices.Repeat([]events.Class{events.Normal}, 6), slices.Repeat([]events.Class{events.Bulk}, 6))
	if !slices.Equal(looked, want) {
		t.Errorf("they were begun in the order %v", looked)
	}
}

func TestOneActionOfATargetAtATime(t *testing.T) {
	r := newRig(t)
	var list []events.Action
	for i := range 24 {
		list = append(list, r.publish(events.Classes()[i%3], fmt.Sprint("s", i), fmt.Sprint("user:", i%4)))
	}
	list = append(list, r.publish(events.Normal, "none", ""))
	r.worker("w1", r.bus, 8)
	r.reach(ledger.Verified, list...) // the rig fails when two meet
}

// TestAnUrgentActionHurriesTheOneInItsWay: a leaver's action that waits for budget does not keep the thief's out.
func TestAnUrgentActionHurriesTheOneInItsWay(t *testing.T) {
	r := newRig(t)
	ends := time.Now().Add(50 * time.Second)
	r.reply = func(events.Action) apiclient.Budget { // 10 of 100 left: none for normal ones
		return apiclient.Budget{Limit: 100, Remaining: 10, Reset: 50 * time.Second, Ends: ends}
	}
	w := r.worker("w1", r.bus, 4)
	leaver := r.publish(events.Normal, "leaver", "user:maria")
	r.until("leaver at the gate", func() bool { t := w.tenure.Load(); return t != nil && t.Waiting() == 1 })
	other := r.publish(events.Normal, "other", "user:jo")
	laptop := r.publish(events.Urgent, "laptop", "user:maria")
	r.reach(ledger.Verified, leaver, laptop)
	if s := r.last(other).State; s == ledger.Verified {
		t.Errorf("one who is in nobody's way is %s", s)
	}
}

func TestARefusedCredentialStopsTheLane(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.deny(true)
	w := r.worker("w1", r.bus, 2)
	refused := r.publish(events.Urgent, "refused", "user:refused")
	r.until("open breaker", func() bool { return w.Err() != nil })
	r.reach(ledger.Waiting, refused)
	waiting := r.several(20, events.Normal)
	r.until("messages in hand", func() bool { return r.inHand(events.Normal) > 10 })
	r.deny(false)
	r.reach(ledger.Verified, waiting...)
	if err := w.Err(); err != nil {
		t.Errorf("the lane stands still: %v", err)
	}
	for _, a := range waiting {
		if rec := r.last(a); rec.Attempts != 1 || rec.Tries != 1 {
			t.Errorf("%s: %d tries, %d charged", a.Step, rec.Tries, rec.Attempts)
		}
	}
	if rec := r.last(refused); rec.Attempts != 0 || rec.State != ledger.Waiting {
		t.Errorf("the refused one is %s, charged %d", rec.State, rec.Attempts)
	}
}

func TestAStandingLaneStopsAtOnce(t *testing.T) {
	r := newRig(t)
	r.deny(true)
	one := r.worker("w1", r.connect(nil), 1)
	r.publish(events.Urgent, "refused", "user:refused")
	r.until("open breaker", func() bool { return one.Err() != nil })
	if err := one.Gate(events.Normal).Admit(t.Context(), "b"); err != nil {
		t.Errorf("a person's read: %v", err)
	}
	if seen, atOnce := one.Seen(); len(seen) != 1 || seen[0].Flying != 1 || atOnce != 1 {
		t.Errorf("it has seen %v, %d at once", seen, atOnce)
	}
	a := r.publish(events.Normal, "waits", "user:waits")
	r.until("message in hand", func() bool { return r.inHand(events.Normal) == 1 })
	if d := one.stop(); d > 5*time.Second {
		t.Errorf("the stop took %s", d)
	}
	if seen, atOnce := one.Seen(); seen != nil || atOnce != 0 || one.Gate(events.Urgent).Admit(t.Context(), "b") == nil {
		t.Errorf("without the lease it has seen %v, %d at once, and lets calls go", seen, atOnce)
	}
	if one.Err() != nil || r.last(a).State != "" {
		t.Errorf("without the lease it says %v; the action that waited is %q", one.Err(), r.last(a).State)
	}
	r.deny(false)
	r.worker("w2", r.connect(nil), 1)
	r.reach(ledger.Verified, a)
}

// inHand is how many actions of a class are delivered and not settled.
func (r *rig) inHand(class events.Class) int {
	return r.lag(class).InHand
}

func (r *rig) lag(class events.Class) stream.Lag {
	r.t.Helper()
	lags, err := r.bus.Lag(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	for _, l := range lags {
		if strings.HasSuffix(l.Consumer, "sample_"+string(class)) {
			return l
		}
	}
	return stream.Lag{}
}

func TestALongDelayLeavesTheConsumer(t *testing.T) {
	r := newRig(t)
	var later atomic.Int32
	bus := r.connect(func(_ context.Context, op stream.Op, _ string, persisted bool) error {
		if op == stream.OpLater && persisted {
			later.Add(1)
		}
		return nil
	})
	r.call = func(context.Context, string, events.Action) error {
		return &apiclient.Error{Op: "look", Status: 503, Cause: apiclient.Later, RetryAfter: 10 * time.Minute}
	}
	a := r.publish(events.Normal, "closed", "user:1")
	r.worker("w1", bus, 1)
	r.reach(ledger.Waiting, a)
	r.until("schedule", func() bool { return later.Load() == 1 && r.inHand(events.Normal) == 0 })
	if l := r.lag(events.Normal); l.Waiting != 0 || r.last(a).Attempts != 0 {
		t.Errorf("%+v, charged %d attempts", l, r.last(a).Attempts)
	}
}

// changed is a bus that delivers something else, and shows what becomes of it.
type changed struct {
	*stream.Bus
	data []byte
	seen chan events.Outcome
}

func (b changed) Handle(ctx context.Context, m *stream.Message, h stream.Handler) {
	m.Data = b.data
	b.Bus.Handle(ctx, m, func(ctx context.Context, m *stream.Message) events.Outcome {
		out := h(ctx, m)
		b.seen <- out
		return out
	})
}

func TestStrangeMessagesAreLeftForAnotherVersion(t *testing.T) {
	r := newRig(t)
	a := r.publish(events.Normal, "strange", "user:1")
	other := a
	other.Connection = "elsewhere"
	elsewhere, err := json.Marshal(other)
	if err != nil {
		t.Fatal(err)
	}
	for _, data := range [][]byte{elsewhere, []byte("<xml>"), []byte(`{"connection":"sample"}`)} {
		b := changed{Bus: r.connect(nil), data: data, seen: make(chan events.Outcome, 1)}
		w := r.worker("w1", b, 1)
		if out := <-b.seen; out.Verdict != events.Retry || out.Delay != time.Minute || out.Err == nil {
			t.Errorf("%s: %+v", data, out)
		}
		w.stop()
		a = r.publish(events.Normal, fmt.Sprint("strange", len(data)), "user:1")
	}
	if s := r.last(a).State; s != "" {
		t.Errorf("it was begun: %s", s)
	}
}

// failing is a bus whose pulls fail at first.
type failing struct {
	*stream.Bus
	times atomic.Int32
	err   error
}

func (b *failing) Pull(ctx context.Context, c stream.Consumer) (*stream.Puller, error) {
	if b.times.Add(-1) >= 0 {
		return nil, b.err
	}
	return b.Bus.Pull(ctx, c)
}

func TestABrokerThatIsAwayIsWaitedFor(t *testing.T) {
	r := newRig(t)
	b := &failing{Bus: r.connect(nil), err: fmt.Errorf("pull: %w", stream.ErrUnavailable)}
	b.times.Store(2)
	a := r.publish(events.Normal, "one", "user:1")
	r.worker("w1", b, 1)
	r.reach(ledger.Verified, a)
}

func TestALaneThatCannotWorkSaysSo(t *testing.T) {
	r := newRig(t)
	l := &lane.Lane{Connection: "no.token", Bus: r.bus}
	if err := l.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "no.token") {
		t.Error(err)
	}
}
