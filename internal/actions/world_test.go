package actions_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"keyturn/internal/actions"
	"keyturn/internal/apiclient"
	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/ledger/ledgertest"
	"keyturn/internal/planner"
)

// mode is how a fault shows at a point.
type mode int

const (
	dieThere  mode = iota + 1 // the process dies at the point
	powerCut                  // and everything since the last barrier is lost
	failThere                 // the point answers with an error
)

// died is what the process panics with where it dies.
type died struct{ at string }

var errBroker = errors.New("broker is away")

// world is a broker, a ledger, a provider and the clock of them all, for one case. Points are counted over all the
// lives of the worker, and faults strike at some of them.
type world struct {
	t      *testing.T
	log    ledgertest.Memory
	plan   events.Plan
	now    time.Time
	epoch  uint64
	ids    int
	points int
	names  []string
	faults map[int]mode

	queue, queueDisk []events.Action // waiting messages, and those that a power cut leaves
	dead, deadDisk   map[string]events.DeadLetter
	later, laterDisk map[string]events.Action // visits that wait for their time, by action
	barriers         int
	denied           []error
	away             bool // the provider, as the lane knows
	limits           actions.Limits

	ends    map[string]time.Duration   // how long after a look the residual of a step ends, as its kind says
	sets    map[string]map[string]bool // what idempotent deletes act upon, by set
	deletes []string
	created []time.Time // clients that were created, and when
	stale   time.Duration
	stored  bool // the created client's secret
	cleared int  // how often sessions were cleared
	scripts map[string][]error
	effects map[string]bool // scripted errors of these calls come after the effect
	observe map[string]int

	sent map[string]bool // actions that were delivered

	builder func(a events.Action, pins map[string]string) (actions.Kind, error) // in place of the scripted kinds
	wide    *slog.Logger                                                        // of the runner; nil = none
}

func newWorld(t *testing.T) *world {
	w := &world{
		t: t, now: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC), faults: map[int]mode{},
		dead: map[string]events.DeadLetter{}, scripts: map[string][]error{}, effects: map[string]bool{},
		later: map[string]events.Action{}, ends: map[string]time.Duration{}, observe: map[string]int{}, sets: map[string]map[string]bool{}, sent: map[string]bool{},
	}
	w.log.Clock = func() time.Time { return w.now }
	w.log.Before = func(s string) error { return w.point("before append " + ledger.Entry(s)) }
	w.log.After = func(s string) error { return w.point("after append " + ledger.Entry(s)) }
	return w
}

// point is a place where a fault may strike.
func (w *world) point(name string) error {
	w.points++
	w.names = append(w.names, name)
	switch w.faults[w.points] {
	case dieThere:
		panic(died{name})
	case powerCut:
		w.log.PowerCut()
		w.queue, w.dead, w.later = slices.Clone(w.queueDisk), clone(w.deadDisk), clone(w.laterDisk)
		panic(died{name})
	case failThere:
		return fmt.Errorf("%s: %w", name, errBroker)
	}
	return nil
}

func clone[V any](m map[string]V) map[string]V {
	c := map[string]V{}
	for k, v := range m {
		c[k] = v
	}
	return c
}

// PublishAction, PublishLater and Barrier make the world the runner's queue, Bury and Unbury its morgue.
func (w *world) PublishAction(_ context.Context, a events.Action) error {
	if err := w.point("before publish " + a.Step); err != nil {
		return err
	}
	w.queue = append(w.queue, a)
	return w.point("after publish " + a.Step)
}

func (w *world) PublishLater(_ context.Context, a events.Action, at time.Time) error {
	if a.Visit == nil || !a.Visit.At.Equal(at) {
		w.t.Errorf("%s later at %s: %+v", a.Step, at, a.Visit)
	}
	if err := w.point("before later " + a.Step); err != nil {
		return err
	}
	w.later[a.ID] = a
	return w.point("after later " + a.Step)
}

func (w *world) Bury(_ context.Context, d events.DeadLetter) error {
	if err := w.point("before bury " + d.ID); err != nil {
		return err
	}
	w.dead[d.ID] = d
	return w.point("after bury " + d.ID)
}

func (w *world) Unbury(_ context.Context, id string) error {
	if err := w.point("before unbury " + id); err != nil {
		return err
	}
	delete(w.dead, id)
	return w.point("after unbury " + id)
}

func (w *world) Barrier(context.Context) error {
	if err := w.point("barrier"); err != nil {
		return err
	}
	w.barriers++
	w.disk()
	return nil
}

// disk makes everything durable.
func (w *world) disk() {
	w.log.Barrier()
	w.queueDisk, w.deadDisk, w.laterDisk = slices.Clone(w.queue), clone(w.dead), clone(w.later)
}

// ledger is the ledger over the world's log.
func (w *world) ledger() *ledger.Ledger { return ledger.New(&w.log, func() time.Time { return w.now }) }

// begin plays the planner: the plan and the open case, and the first actions.
func (w *world) begin(as ...events.Action) {
	w.t.Helper()
	w.plan = events.Plan{Case: "c1", Class: events.Normal, Actions: as, Event: events.Event{Scope: "hr-relay", Subject: "user:maria@acme.example"}}
	body, err := json.Marshal(w.plan)
	if err != nil {
		w.t.Fatal(err)
	}
	l := w.ledger()
	faults := w.faults
	w.faults = nil
	var life ledger.Record
	for _, rec := range []ledger.Record{
		{Subject: ledger.PlanSubject("c1"), State: ledger.Planned, Body: body},
		{Subject: ledger.LifecycleSubject("c1"), State: ledger.Open},
	} {
		var err error
		if life, err = l.Append(w.t.Context(), ledger.Record{}, rec); err != nil {
			w.t.Fatal(err)
		}
	}
	w.queue = w.plan.First()
	for i := range w.queue {
		w.queue[i].Sole = planner.Sole(w.plan, life, w.process())
	}
	w.disk()
	w.faults, w.points, w.names = faults, 0, nil
}

// runner makes the runner of the worker's present life.
func (w *world) runner() *actions.Runner {
	return &actions.Runner{
		Ledger: w.ledger(), Queue: w, Morgue: w, Worker: fmt.Sprint("worker-", w.epoch), Process: w.process(), Epoch: w.epoch, Limits: w.limits, Log: w.wide,
		Build:  w.build,
		NewID:  func() string { w.ids++; return fmt.Sprint("attempt-", w.ids) },
		Now:    func() time.Time { return w.now },
		Pause:  func(ctx context.Context, d time.Duration) error { w.now = w.now.Add(d); return ctx.Err() },
		Denied: func(_ events.Action, err error) { w.denied = append(w.denied, err) },
		Away:   func() bool { return w.away },
	}
}

// process is the id of the worker's present life.
func (w *world) process() string { return fmt.Sprint("process-", w.epoch) }

// deliver runs one message and reports its outcome; a death is an abandoned message and a new life.
func (w *world) deliver(a events.Action) (out events.Outcome) {
	defer func() {
		if p := recover(); p != nil {
			if _, ok := p.(died); !ok {
				panic(p)
			}
			w.epoch++
			w.now = w.now.Add(30 * time.Second) // ack wait
			out = events.Outcome{Verdict: events.Abandon}
		}
	}()
	w.now = w.now.Add(time.Millisecond)
	run := w.runner().Run
	if !w.sent[a.ID] {
		run = w.runner().Begin
	}
	w.sent[a.ID] = true
	out = run(w.t.Context(), a)
	if out.Verdict == events.Done {
		if err := w.point("settle barrier"); err != nil {
			return events.Outcome{Verdict: events.Abandon}
		}
		w.disk()
		if err := w.point("before ack"); err != nil {
			return events.Outcome{Verdict: events.Abandon}
		}
	}
	return out
}

// work delivers messages until none is left, and gives how many deliveries it took.
func (w *world) work() int {
	w.t.Helper()
	for n := 0; ; n++ {
		if len(w.queue) == 0 {
			return n
		}
		if n > 400 {
			w.t.Fatalf("no end after %d deliveries; last points %q", n, w.names[max(0, len(w.names)-20):])
		}
		a := w.queue[0]
		out := w.deliver(a)
		i := slices.IndexFunc(w.queue, func(b events.Action) bool { return b.ID == a.ID })
		switch {
		case i < 0: // a power cut took its publication; nobody waits for it
		case out.Verdict == events.Done:
			w.queue = slices.Delete(w.queue, i, i+1)
			w.queueDisk = slices.Clone(w.queue) // an ack that is lost is another delivery, which faults at "before ack" show
		default:
			w.queue = append(slices.Delete(w.queue, i, i+1), a)
			w.now = w.now.Add(out.Delay)
		}
	}
}

// fire lets the next visit come, at its time; false when none waits. Like the broker, it takes the schedule away when
// the copy is stored.
func (w *world) fire() bool {
	var next events.Action
	for _, a := range w.later {
		if next.ID == "" || a.Visit.At.Before(next.Visit.At) || a.Visit.At.Equal(next.Visit.At) && a.ID < next.ID {
			next = a
		}
	}
	if next.ID == "" {
		return false
	}
	if w.now.Before(next.Visit.At) {
		w.now = next.Visit.At
	}
	delete(w.later, next.ID)
	w.queue = append(w.queue, next)
	w.queueDisk, w.laterDisk = slices.Clone(w.queue), clone(w.later)
	return true
}

// workOn works until neither a message nor a visit is left.
func (w *world) workOn() {
	w.t.Helper()
	w.work()
	for n := 0; w.fire(); n++ {
		if n > 100 {
			w.t.Fatal("visits without end")
		}
		w.work()
	}
}

// last is the state of an action, by its step.
func (w *world) last(step string) ledger.Record {
	w.t.Helper()
	rec, err := w.ledger().Last(w.t.Context(), ledger.ActionSubject("c1", "c1:p:"+step))
	if err != nil {
		w.t.Fatal(err)
	}
	return rec
}

func (w *world) life() ledger.Record {
	w.t.Helper()
	rec, err := w.ledger().Last(w.t.Context(), ledger.LifecycleSubject("c1"))
	if err != nil {
		w.t.Fatal(err)
	}
	return rec
}

// verify checks the chain and that no record stands twice.
func (w *world) verify() {
	w.t.Helper()
	if _, broken, err := w.ledger().Verify(w.t.Context(), ">"); err != nil || len(broken) > 0 {
		w.t.Errorf("chain: %v %v", broken, err)
	}
}

// step makes an action of the test's case.
func step(name, do string, after ...string) events.Action {
	a := events.Action{
		ID: "c1:p:" + name, Case: "c1", Playbook: "p", Step: name, Do: do, Connection: "sample", Class: events.Normal,
		Target: "user:maria@acme.example",
	}
	for _, b := range after {
		a.After = append(a.After, "c1:p:"+b)
	}
	return a
}

// build makes the scripted kinds: "set <name>", "create", "clear", "refuse".
func (w *world) build(a events.Action, pins map[string]string) (actions.Kind, error) {
	if w.builder != nil {
		return w.builder(a, pins)
	}
	switch a.Do {
	case "okta.suspend_user", "okta.deactivate_user":
		return &setKind{w, a.Step, pins}, nil
	case "transmit.ensure_client":
		return &createKind{w, a.Step}, nil
	case "okta.clear_sessions":
		return &clearKind{w, a.Step}, nil
	}
	return nil, errors.New("no such kind")
}

// call is a provider call with an effect: a fault may strike before and after it, and a script may answer.
func (w *world) call(name string, effect func()) error {
	if err := w.point("before call " + name); err != nil {
		return &apiclient.Error{Op: name, Err: err}
	}
	if script := w.scripts[name]; len(script) > 0 {
		w.scripts[name] = script[1:]
		if script[0] != nil {
			if w.effects[name] {
				effect()
			}
			return script[0]
		}
	}
	effect()
	if err := w.point("after call " + name); err != nil {
		return &apiclient.Error{Op: name, Err: err}
	}
	return nil
}

// look is a provider call without an effect.
func (w *world) look(name string) error {
	w.observe[name]++
	return w.call(name, func() {})
}

// setKind empties a set, one delete an item; a delete of what is gone is harmless.
type setKind struct {
	w    *world
	name string
	pins map[string]string
}

func (k *setKind) Observe(context.Context) (actions.Observation, error) {
	if err := k.w.look("look " + k.name); err != nil {
		return actions.Observation{}, err
	}
	obs := actions.Observation{
		Seen: []ledger.Fact{{What: k.name, Value: fmt.Sprint(len(k.w.sets[k.name]))}},
		Pins: map[string]string{"user": "u-" + k.name},
	}
	if end := k.w.ends[k.name]; end > 0 {
		obs.Residual = []ledger.Residual{{What: "tokens of " + k.name, Until: k.w.now.Add(end)}}
	}
	items := []string{}
	for item := range k.w.sets[k.name] {
		items = append(items, item)
	}
	slices.Sort(items)
	for _, item := range items {
		obs.Needed = append(obs.Needed, actions.Change{
			Call: "delete", Target: item, Apply: func(context.Context) (string, error) {
				return "req-" + item, k.w.call("delete "+item, func() {
					delete(k.w.sets[k.name], item)
					k.w.deletes = append(k.w.deletes, item)
				})
			},
		})
	}
	return obs, nil
}

// createKind creates one client, and then stores its secret. The listing is stale for a while.
type createKind struct {
	w    *world
	name string
}

func (k *createKind) Observe(context.Context) (actions.Observation, error) {
	if err := k.w.look("look " + k.name); err != nil {
		return actions.Observation{}, err
	}
	shown := 0
	for _, at := range k.w.created {
		if k.w.now.Sub(at) >= k.w.stale {
			shown++
		}
	}
	obs := actions.Observation{Seen: []ledger.Fact{{What: "clients", Value: fmt.Sprint(shown)}}}
	switch {
	case shown == 0:
		obs.Needed = []actions.Change{{
			Call: "create", Target: k.name, Once: true, Apply: func(ctx context.Context) (string, error) {
				if _, limited := ctx.Deadline(); !limited {
					k.w.t.Error("a create without a time limit")
				}
				return "req-create", k.w.call("create", func() { k.w.created = append(k.w.created, k.w.now) })
			},
		}}
	case !k.w.stored:
		obs.Pins = map[string]string{"client": "cl1"}
		obs.Needed = []actions.Change{{
			Call: "store", Target: "cl1", Apply: func(context.Context) (string, error) {
				return "", k.w.call("store", func() { k.w.stored = true })
			},
		}}
	default:
		obs.Pins = map[string]string{"client": "cl1"}
	}
	return obs, nil
}

// clearKind clears sessions, which cannot be read back.
type clearKind struct {
	w    *world
	name string
}

func (k *clearKind) Observe(context.Context) (actions.Observation, error) {
	if err := k.w.look("look " + k.name); err != nil {
		return actions.Observation{}, err
	}
	return actions.Observation{
		Seen:     []ledger.Fact{{What: "user", Value: "is there"}},
		Pins:     map[string]string{"user": "u1"},
		Residual: []ledger.Residual{{What: "sessions that apps keep"}},
		Needed: []actions.Change{{
			Call: "clear", Target: "u1", Blind: true, Apply: func(context.Context) (string, error) {
				return "req-clear", k.w.call("clear", func() { k.w.cleared++ })
			},
		}},
	}, nil
}
