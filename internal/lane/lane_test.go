package lane_test

import (
	"context"
	"encoding/json"
	"errors"
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

// TestACleanStopHandsOverAtOnce: the call that is out comes to its end; what waits for budget is given back.
func TestACleanStopHandsOverAtOnce(t *testing.T) {
	r := newRig(t)
	calling, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	r.call = func(ctx context.Context, call string, a events.Action) error {
		if a.Step == "out" {
			once.Do(func() {
				close(calling)
				<-release
				if ctx.Err() != nil {
					t.Error("the call was cut off")
				}
			})
		}
		return nil
	}
	one := r.worker("w1", r.connect(nil), 1)
	out := r.publish(events.Normal, "out", "user:out")
	<-calling
	waiting := r.several(3, events.Normal)
	r.until("queue at the gate", func() bool { return one.tenure.Load().Waiting() == 3 })
	two := r.worker("w2", r.connect(nil), 1)
	took := make(chan time.Duration)
	go func() { took <- one.stop() }()
	r.until("queue sent away", func() bool { return one.tenure.Load().Waiting() == 0 })
	if one.Epoch() == 0 || two.Epoch() != 0 {
		t.Errorf("epochs %d and %d while a call is out", one.Epoch(), two.Epoch())
	}
	close(release)
	if d := <-took; d > 5*time.Second {
		t.Errorf("the stop took %s", d)
	}
	began := time.Now()
	r.reach(ledger.Verified, append(waiting, out)...)
	if d := time.Since(began); d > 6*time.Second {
		t.Errorf("all was taken over after %s", d)
	}
	if one.Epoch() != 0 || two.Epoch() == 0 {
		t.Errorf("epochs %d and %d", one.Epoch(), two.Epoch())
	}
	for _, a := range append(waiting, out) {
		if rec := r.last(a); rec.Attempts != 1 {
			t.Errorf("%s was charged %d attempts", a.Step, rec.Attempts)
		}
	}
}

// TestACallThatHangsIsCutOff: a stop is over within 20 s, and what was cut off is given back.
func TestACallThatHangsIsCutOff(t *testing.T) {
	if testing.Short() {
		t.Skip("takes as long as a stop may")
	}
	t.Parallel()
	r := newRig(t)
	hung := make(chan struct{}, 1)
	var hangs atomic.Bool
	hangs.Store(true)
	r.call = func(ctx context.Context, _ string, _ events.Action) error {
		if hangs.Load() {
			hung <- struct{}{}
			<-ctx.Done()
			return &apiclient.Error{Op: "look", Err: ctx.Err()}
		}
		return nil
	}
	a := r.publish(events.Normal, "hangs", "user:1")
	one := r.worker("w1", r.connect(nil), 1)
	<-hung
	if d := one.stop(); d > lane.FinishWithin+3*time.Second || d < lane.FinishWithin {
		t.Errorf("the stop took %s", d)
	}
	hangs.Store(false)
	began := time.Now()
	r.worker("w2", r.connect(nil), 1)
	r.reach(ledger.Verified, a)
	if d := time.Since(began); d > 6*time.Second || r.last(a).Attempts != 1 {
		t.Errorf("taken over after %s, charged %d attempts", d, r.last(a).Attempts)
	}
}

// dying is a worker's connection that fails from some moment on, wholly or for its lease alone, and tells of writes.
type dying struct {
	dead  atomic.Bool
	only  stream.Op    // what fails; empty = everything
	lost  atomic.Bool  // the lease is known to be lost
	wrote atomic.Int32 // writes after that
}

func (d *dying) fault(_ context.Context, op stream.Op, _ string, persisted bool) error {
	if d.lost.Load() && op != stream.OpLease && op != stream.OpBarrier {
		d.wrote.Add(1)
	}
	if d.dead.Load() && !persisted && (d.only == "" || d.only == op) {
		return errors.New("dead")
	}
	return nil
}

// TestADeadWorkerIsFollowed within 15 s: one that cannot reach the broker any more, and one that lost its lease alone
// and could still do harm.
func TestADeadWorkerIsFollowed(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than a lease, 9 s")
	}
	for _, only := range []stream.Op{"", stream.OpLease} {
		t.Run("without "+string(only), func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			d := &dying{only: only}
			calling, cut := make(chan struct{}), make(chan error, 1)
			var once sync.Once
			r.call = func(ctx context.Context, _ string, a events.Action) error {
				var err error
				once.Do(func() {
					close(calling)
					<-ctx.Done()
					d.lost.Store(true)
					cut <- context.Cause(ctx)
					err = &apiclient.Error{Op: "look", Err: ctx.Err()}
				})
				return err
			}
			list := []events.Action{r.publish(events.Normal, "out", "user:out")}
			one := r.worker("w1", r.connect(d.fault), 1)
			<-calling
			list = append(list, r.several(2, events.Normal)...)
			r.until("queue at the gate", func() bool { return one.tenure.Load().Waiting() == 2 })
			epoch := one.Epoch()
			two := r.worker("w2", r.connect(nil), 1)
			d.dead.Store(true)
			died := time.Now()
			if err := <-cut; !errors.Is(err, stream.ErrLeaseLost) {
				t.Errorf("the call was cut off because of %v", err)
			}
			if after := time.Since(died); after > 6500*time.Millisecond {
				t.Errorf("the dead worker went on for %s", after)
			}
			r.until("take-over", func() bool { return two.Epoch() != 0 })
			if after := time.Since(died); after > 15*time.Second {
				t.Errorf("taken over after %s", after)
			}
			r.reach(ledger.Verified, list...)
			if after := time.Since(died); after > 25*time.Second { // and the ack wait of what the dead one had in hand
				t.Errorf("all was done after %s", after)
			}
			if n := d.wrote.Load(); n != 0 || two.Epoch() <= epoch {
				t.Errorf("the dead worker wrote %d times; epoch %d after %d", n, two.Epoch(), epoch)
			}
			for _, a := range list {
				if rec := r.last(a); rec.By != "w2" || rec.Attempts != 1 {
					t.Errorf("%s is by %s, charged %d attempts", a.Step, rec.By, rec.Attempts)
				}
			}
		})
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
