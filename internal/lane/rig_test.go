package lane_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
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

// rig is a broker, and a provider of end states that are brought about by one call each.
type rig struct {
	t   *testing.T
	srv *embedded.Server
	bus *stream.Bus // of the test itself
	ids atomic.Int64

	// call is what happens at the provider during a call: "look" or "do".
	call func(ctx context.Context, call string, a events.Action) error
	// reply is what the provider tells about its budget; nil = nothing.
	reply func(a events.Action) apiclient.Budget
	// bucket is which rate limit the calls of an action spend; nil = all the same one.
	bucket func(a events.Action) string

	// once says which actions' changes must not be made twice; nil = none.
	once func(a events.Action) bool
	// budget is the lane's.
	budget lane.Budget

	// deaf says which actions take their change and do not show it; nil = none.
	deaf   func(a events.Action) bool
	limits actions.Limits
	// stays says which actions stand still; nil = none.
	stays  func(a events.Action) bool
	paused atomic.Pointer[string] // why the lane begins nothing; nil = it may; "?" = nobody can say

	mu     sync.Mutex
	done   []string // steps, in the order in which they were brought about
	now    map[string]int
	denied bool
	away   bool // nothing is answered, the probe neither
	probes int
}

func newRig(t *testing.T) *rig {
	t.Helper()
	srv, err := embedded.Start(embedded.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = srv.Close() })
	r := &rig{t: t, srv: srv, now: map[string]int{}}
	r.call = func(context.Context, string, events.Action) error { return nil }
	r.bus = r.connect(nil)
	if err := r.bus.CreateTopology(t.Context()); err != nil {
		t.Fatal(err)
	}
	return r
}

// connect makes a bus of its own, as each worker has one.
func (r *rig) connect(fault stream.Fault) *stream.Bus {
	r.t.Helper()
	opts := r.srv.Options()
	opts.Fault = fault
	bus, err := stream.Connect(r.t.Context(), opts)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = bus.Close(context.Background()) })
	return bus
}

// kind is one end state.
type kind struct {
	rig  *rig
	a    events.Action
	gate apiclient.Gate
}

// Observe implements actions.Kind.
func (k kind) Observe(ctx context.Context) (actions.Observation, error) {
	if err := k.make(ctx, "look"); err != nil {
		return actions.Observation{}, err
	}
	k.rig.mu.Lock()
	done := slices.Contains(k.rig.done, k.a.Step)
	k.rig.mu.Unlock()
	obs := actions.Observation{Seen: []ledger.Fact{{What: "done", Value: fmt.Sprint(done)}}}
	if !done {
		obs.Needed = []actions.Change{{Call: "do", Target: k.a.Step, Once: k.rig.once != nil && k.rig.once(k.a), Apply: func(ctx context.Context) (string, error) {
			return "req-1", k.make(ctx, "do")
		}}}
	}
	return obs, nil
}

// make makes a call as a client does.
func (k kind) make(ctx context.Context, call string) error {
	bucket := "b"
	if k.rig.bucket != nil {
		bucket = k.rig.bucket(k.a)
	}
	if err := k.gate.Admit(ctx, bucket); err != nil {
		return err
	}
	said := apiclient.Budget{Limit: -1, Remaining: -1}
	var err error
	defer func() { // as apiclient.Client does
		said.Failed = err != nil && apiclient.CauseOf(err) == apiclient.Transient && ctx.Err() == nil
		k.gate.Learn(bucket, said)
	}()
	r := k.rig
	r.enter(k.a)
	defer r.leave(k.a)
	if err := ctx.Err(); err != nil {
		return &apiclient.Error{Op: call, Err: err}
	}
	if err = r.fault(call); err != nil {
		return err
	}
	if err = r.call(ctx, call, k.a); err != nil {
		return err
	}
	if r.reply != nil {
		said = r.reply(k.a)
	}
	if call == "do" && (r.deaf == nil || !r.deaf(k.a)) {
		r.mu.Lock()
		defer r.mu.Unlock()
		if slices.Contains(r.done, k.a.Step) {
			r.t.Errorf("%s was done twice", k.a.Step)
		}
		r.done = append(r.done, k.a.Step)
	}
	return nil
}

func (r *rig) enter(a events.Action) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.now[a.Target]++; r.now[a.Target] > 1 {
		r.t.Errorf("%d calls at %s at once", r.now[a.Target], a.Target)
	}
}

func (r *rig) leave(a events.Action) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now[a.Target]--
}

// fault is what every call is answered; nil = what it asks for.
func (r *rig) fault(call string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.away:
		return &apiclient.Error{Op: call, Err: errors.New("connection refused")}
	case r.denied:
		return &apiclient.Error{Op: call, Status: 401, Cause: apiclient.Denied}
	}
	return nil
}

// probe is the connection's harmless read.
func (r *rig) probe(context.Context) error {
	r.mu.Lock()
	r.probes++
	r.mu.Unlock()
	return r.fault("probe")
}

// absent lets the provider be away, or come back, and gives how often it was probed.
func (r *rig) absent(away bool) (probes int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.away = away
	return r.probes
}

func (r *rig) deny(denied bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.denied = denied
}

// worker is a lane of the connection "sample" under test.
type worker struct {
	*lane.Lane
	rig    *rig
	tenure atomic.Pointer[lane.Tenure] // the newest
	stop   func() time.Duration        // ends it, once, and gives how long that took
}

// worker starts a lane over bus. change may alter it before.
func (r *rig) worker(holder string, bus lane.Bus, concurrency int) *worker {
	w := &worker{rig: r}
	w.Lane = &lane.Lane{
		Connection: "sample", Holder: holder, Concurrency: concurrency, Budget: r.budget, Bus: bus,
		Probe: r.probe,
		Paused: func(_ context.Context, a events.Action) (lane.Pause, error) {
			switch why := r.paused.Load(); {
			case r.stays != nil && r.stays(a):
				return lane.Pause{Action: "its playbook is paused", Until: time.Now().Add(time.Second)}, nil
			case why == nil:
				return lane.Pause{}, nil
			case *why == "?":
				return lane.Pause{}, errors.New("no answer")
			default:
				return lane.Pause{Lane: *why}, nil
			}
		},
		Runner: func(t *lane.Tenure) *actions.Runner {
			w.tenure.Store(t)
			queue := r.bus
			if own, ok := bus.(*stream.Bus); ok {
				queue = own
			}
			return &actions.Runner{
				Ledger: ledger.New(queue.Log(), nil), Queue: queue, Morgue: queue, Worker: holder, Epoch: t.Epoch, Denied: t.Denied, Away: t.Away,
				Pause: t.Pause, Room: t.Room, May: t.May, Limits: r.limits,
				NewID: func() string { return fmt.Sprintf("%s-%d", holder, r.ids.Add(1)) },
				Build: func(a events.Action, _ map[string]string) (actions.Kind, error) { return kind{r, a, t.Gate(a)}, nil },
			}
		},
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	w.stop = sync.OnceValue(func() time.Duration {
		began := time.Now()
		cancel()
		if err := <-done; err != nil {
			r.t.Errorf("lane of %s: %v", holder, err)
		}
		return time.Since(began)
	})
	r.t.Cleanup(func() { w.stop() })
	return w
}

// publish sends an action that is a case of its own.
func (r *rig) publish(class events.Class, step, target string) events.Action {
	r.t.Helper()
	return r.kind("okta.suspend_user", class, step, target)
}

// kind is publish for an action of a kind.
func (r *rig) kind(do string, class events.Class, step, target string) events.Action {
	r.t.Helper()
	id := "case" + step
	a := events.Action{
		ID: events.ActionID(id, "p", step), Case: id, Playbook: "p", Step: step, Do: do,
		Connection: "sample", Class: class, Target: target,
	}
	if err := r.bus.PublishAction(r.t.Context(), a); err != nil {
		r.t.Fatal(err)
	}
	return a
}

// several publishes n actions of a class, each with a target of its own.
func (r *rig) several(n int, class events.Class) []events.Action {
	r.t.Helper()
	var list []events.Action
	for i := range n {
		name := fmt.Sprint(class, i)
		list = append(list, r.publish(class, name, "user:"+name))
	}
	return list
}

// last is the newest record of an action.
func (r *rig) last(a events.Action) ledger.Record {
	r.t.Helper()
	rec, err := ledger.New(r.bus.Log(), nil).Last(r.t.Context(), ledger.ActionSubject(a.Case, a.ID))
	if err != nil {
		r.t.Fatal(err)
	}
	return rec
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

// reach waits until all actions are in a state.
func (r *rig) reach(state ledger.State, list ...events.Action) {
	r.t.Helper()
	for _, a := range list {
		r.until(a.Step+" "+string(state), func() bool { return r.last(a).State == state })
	}
}

// order is what was brought about so far.
func (r *rig) order() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.done)
}
