package lane_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"keyturn/internal/actions"
	"keyturn/internal/apiclient"
	"keyturn/internal/events"
	"keyturn/internal/lane"
	"keyturn/internal/ledger"
	"keyturn/internal/stream"
	"keyturn/internal/stream/embedded"
)

// rig is a broker and what the runners of its lanes do.
type rig struct {
	t      *testing.T
	bus    *stream.Bus
	ids    atomic.Int64
	mu     sync.Mutex
	order  []string       // steps in the order in which they began
	now    map[string]int // actions at work, by target
	most   int            // targets at work at once
	denied atomic.Bool
	work   func(ctx context.Context, a events.Action) error // what an apply does
}

func newRig(t *testing.T) *rig {
	t.Helper()
	srv, err := embedded.Start(embedded.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = srv.Close() })
	opts := srv.Options()
	bus, err := stream.Connect(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = bus.Close(context.Background()) })
	if err := bus.CreateTopology(t.Context()); err != nil {
		t.Fatal(err)
	}
	return &rig{t: t, bus: bus, now: map[string]int{}, work: func(context.Context, events.Action) error { return nil }}
}

// kind needs one change, made once.
type kind struct {
	rig  *rig
	a    events.Action
	done bool
}

func (k *kind) Observe(ctx context.Context) (actions.Observation, error) {
	if k.rig.denied.Load() {
		return actions.Observation{}, &apiclient.Error{Op: "look", Status: 401, Cause: apiclient.Denied}
	}
	obs := actions.Observation{Seen: []ledger.Fact{{What: "it", Value: fmt.Sprint(k.done)}}}
	if !k.done {
		obs.Needed = []actions.Change{{Call: "do", Target: k.a.Step, Apply: func(ctx context.Context) (string, error) {
			k.rig.enter(k.a)
			defer k.rig.leave(k.a)
			err := k.rig.work(ctx, k.a)
			k.done = err == nil
			return "", err
		}}}
	}
	return obs, nil
}

func (r *rig) enter(a events.Action) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.order = append(r.order, a.Step)
	if r.now[a.Target]++; r.now[a.Target] > 1 {
		r.t.Errorf("%d actions at %s at once", r.now[a.Target], a.Target)
	}
	r.most = max(r.most, len(r.now))
}

func (r *rig) leave(a events.Action) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.now[a.Target]--; r.now[a.Target] == 0 {
		delete(r.now, a.Target)
	}
}

// lane makes a lane of the connection "sample".
func (r *rig) lane(holder string, slots int) *lane.Lane {
	return &lane.Lane{
		Connection: "sample", Holder: holder, Slots: slots, Bus: r.bus,
		Breaker: &lane.Breaker{Connection: "sample", Probe: func(context.Context) error {
			if r.denied.Load() {
				return &apiclient.Error{Op: "probe", Status: 401, Cause: apiclient.Denied}
			}
			return nil
		}},
		Runner: func(epoch uint64, denied func(error)) *actions.Runner {
			return &actions.Runner{
				Ledger: ledger.New(r.bus.Log(), nil), Queue: r.bus, Worker: holder, Epoch: epoch, Denied: denied,
				NewID: func() string { return fmt.Sprintf("%s-%d", holder, r.ids.Add(1)) },
				Build: func(a events.Action, _ map[string]string) (actions.Kind, error) { return &kind{rig: r, a: a}, nil },
			}
		},
	}
}

// run runs a lane until the returned stop, which waits for its end.
func (r *rig) run(l *lane.Lane) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			r.t.Errorf("lane: %v", err)
		}
	})
	r.t.Cleanup(stop)
	return stop
}

// publish sends an action of its own case.
func (r *rig) publish(class events.Class, step, target string) events.Action {
	r.t.Helper()
	id := "case" + step
	a := events.Action{
		ID: events.ActionID(id, "p", step), Case: id, Playbook: "p", Step: step, Do: "okta.suspend_user",
		Connection: "sample", Class: class, Target: target,
	}
	if err := r.bus.PublishAction(r.t.Context(), a); err != nil {
		r.t.Fatal(err)
	}
	return a
}

// state is where an action stands.
func (r *rig) state(a events.Action) ledger.State {
	r.t.Helper()
	rec, err := ledger.New(r.bus.Log(), nil).Last(r.t.Context(), ledger.ActionSubject(a.Case, a.ID))
	if err != nil {
		r.t.Fatal(err)
	}
	return rec.State
}

// until waits for a condition.
func (r *rig) until(what string, ok func() bool) {
	r.t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			r.t.Fatalf("no %s within 30 s", what)
		}
	}
}

func (r *rig) untilAll(as []events.Action, s ledger.State) {
	r.t.Helper()
	for _, a := range as {
		r.until(a.Step+" "+string(s), func() bool { return r.state(a) == s })
	}
}

func TestLaneServesByClass(t *testing.T) {
	r := newRig(t)
	began, release := make(chan struct{}), make(chan struct{})
	first := sync.OnceFunc(func() { close(began) })
	r.work = func(ctx context.Context, a events.Action) error {
		if a.Step == "first" {
			first()
			<-release
		}
		return nil
	}
	as := []events.Action{r.publish(events.Bulk, "first", "user:0")}
	r.run(r.lane("w1", 1))
	<-began // the one place for everybody is taken
	for i := range 3 {
		as = append(as, r.publish(events.Bulk, fmt.Sprint("bulk", i), fmt.Sprint("user:b", i)))
	}
	for i := range 3 {
		as = append(as, r.publish(events.Normal, fmt.Sprint("normal", i), fmt.Sprint("user:n", i)))
	}
	urgent := r.publish(events.Urgent, "urgent", "user:u")
	r.untilAll([]events.Action{urgent}, ledger.Verified) // while the place of the others is taken
	close(release)
	r.untilAll(as, ledger.Verified)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.order[0] != "first" || r.order[1] != "urgent" {
		t.Errorf("began in the order %q", r.order)
	}
}

func TestLaneBoundsAndSeparates(t *testing.T) {
	r := newRig(t)
	r.work = func(ctx context.Context, _ events.Action) error { time.Sleep(10 * time.Millisecond); return nil }
	var as []events.Action
	for i := range 24 {
		as = append(as, r.publish(events.Normal, fmt.Sprint("s", i), fmt.Sprint("user:", i%12)))
	}
	r.run(r.lane("w1", 4))
	r.untilAll(as, ledger.Verified)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.most > 4 || r.most < 2 || len(r.order) != 24 {
		t.Errorf("%d targets at once, %d applied", r.most, len(r.order))
	}
}

func TestLaneChangesHandsAtOnceOnACleanStop(t *testing.T) {
	r := newRig(t)
	one, two := r.lane("w1", 2), r.lane("w2", 2)
	release := make(chan struct{})
	r.work = func(ctx context.Context, a events.Action) error {
		if a.Step == "inhand" {
			<-release
		}
		return nil
	}
	stop := r.run(one)
	r.until("lease of w1", func() bool { return one.Epoch() > 0 })
	inHand := r.publish(events.Normal, "inhand", "user:1")
	r.until("action in hand", func() bool { return r.state(inHand) == ledger.Started })
	r.run(two)
	stopped := make(chan struct{})
	go func() { stop(); close(stopped) }()
	close(release) // it ends within its grace
	<-stopped
	if s := r.state(inHand); s != ledger.Verified {
		t.Errorf("the action in hand is %s", s)
	}
	began := time.Now()
	after := r.publish(events.Normal, "after", "user:2")
	r.untilAll([]events.Action{after}, ledger.Verified)
	if took := time.Since(began); took > 5*time.Second || one.Epoch() != 0 || two.Epoch() == 0 {
		t.Errorf("taken over after %v; epochs %d and %d", took, one.Epoch(), two.Epoch())
	}
}

func TestLaneStopsWhatWillNotEnd(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	hung := make(chan struct{}, 2)
	r.work = func(ctx context.Context, _ events.Action) error {
		hung <- struct{}{}
		<-ctx.Done()
		return &apiclient.Error{Op: "do", Err: ctx.Err()}
	}
	a := r.publish(events.Normal, "hangs", "user:1")
	stop := r.run(r.lane("w1", 1))
	<-hung
	began := time.Now()
	stop()
	if took := time.Since(began); took > 6*time.Second {
		t.Errorf("it took %v to stop", took)
	}
	if s := r.state(a); s != ledger.Started {
		t.Errorf("the action is %s, want as it was begun", s)
	}
	r.work = func(context.Context, events.Action) error { return nil }
	r.run(r.lane("w2", 1))
	r.untilAll([]events.Action{a}, ledger.Verified)
}

func TestLaneWaitsForItsCredential(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.denied.Store(true)
	l := r.lane("w1", 2)
	as := []events.Action{r.publish(events.Normal, "one", "user:1")}
	r.run(l)
	r.until("open breaker", func() bool { return l.Breaker.Err() != nil })
	r.untilAll(as, ledger.Waiting)
	later := r.publish(events.Normal, "two", "user:2")
	if s := r.state(later); s != "" {
		t.Errorf("an action was begun with a refused credential: %s", s)
	}
	r.denied.Store(false)
	r.untilAll([]events.Action{later}, ledger.Verified)
	if l.Breaker.Err() != nil {
		t.Errorf("the breaker is open: %v", l.Breaker.Err())
	}
}

// losing is a bus whose lease is lost in mid-work.
type losing struct {
	*stream.Bus
	lose  chan struct{}
	times atomic.Int32
}

func (b *losing) Hold(ctx context.Context, connection, holder string, run func(context.Context, uint64) error) error {
	if b.times.Add(1) > 1 {
		return b.Bus.Hold(ctx, connection, holder, run)
	}
	held, cancel := context.WithCancelCause(ctx)
	go func() { <-b.lose; cancel(stream.ErrLeaseLost) }()
	return errors.Join(stream.ErrLeaseLost, run(held, 1))
}

func TestLaneLetsGoWhenItsLeaseIsLost(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := &losing{Bus: r.bus, lose: make(chan struct{})}
	began, ended := make(chan struct{}, 9), make(chan time.Duration, 9)
	r.work = func(ctx context.Context, _ events.Action) error {
		if b.times.Load() > 1 {
			return nil
		}
		began <- struct{}{}
		at := time.Now()
		close(b.lose)
		<-ctx.Done()
		ended <- time.Since(at)
		return &apiclient.Error{Op: "do", Err: ctx.Err()}
	}
	a := r.publish(events.Normal, "one", "user:1")
	l := r.lane("w1", 1)
	l.Bus = b
	r.run(l)
	<-began
	if d := <-ended; d > time.Second {
		t.Errorf("the call went on for %v without the lease", d)
	}
	r.untilAll([]events.Action{a}, ledger.Verified)
}

func TestLaneLeavesOddMessagesAlone(t *testing.T) {
	r := newRig(t)
	odd := r.publish(events.Normal, "odd", "user:1")
	odd.Connection = "elsewhere"
	l := r.lane("w1", 1)
	b := &rewriting{Bus: r.bus, with: odd, seen: make(chan events.Outcome, 9)}
	l.Bus = b
	r.run(l)
	if out := <-b.seen; out.Verdict != events.Retry || out.Delay != time.Minute || out.Err == nil {
		t.Errorf("%+v", out)
	}
	if s := r.state(odd); s != "" {
		t.Errorf("it was begun: %s", s)
	}
}

// rewriting is a bus that delivers something else, and shows the outcomes.
type rewriting struct {
	*stream.Bus
	with events.Action
	seen chan events.Outcome
}

func (b *rewriting) Handle(ctx context.Context, m *stream.Message, h stream.Handler) {
	data, _ := json.Marshal(b.with)
	m.Data = data
	b.Bus.Handle(ctx, m, func(ctx context.Context, m *stream.Message) events.Outcome {
		out := h(ctx, m)
		b.seen <- out
		return out
	})
}
