package planner_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"keyturn/internal/actions"
	"keyturn/internal/apiclient"
	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/ledger/ledgertest"
	"keyturn/internal/planner"
)

// world is everything around a planner: the ledger, the broker's other streams, a lane with a real runner and a
// provider. It dies, loses power and loses answers where its faults say.
type world struct {
	pausable func(target string) (as, no, note string) // nil: every target is taken
	t        testing.TB
	log      *ledgertest.Memory
	records  ledger.Log // instead of log; nil = log
	rules    *rules
	plans    planner.Plans // instead of rules; nil = rules
	remap    planner.Remap
	keyer    events.Keyer

	mu    sync.Mutex
	clock time.Time
	ids   int
	inbox []*mail
	now   broker // as every process sees it
	disk  broker // as a power cut leaves it

	processes int // that died

	done map[string]int // changes made at the provider, by action
	made []string       // the same, in their order
	dies map[string]int // how often the provider refuses an action for good
	// outlives is for how long access outlives each step, from a look on.
	outlives map[string]time.Duration

	armed  bool   // faults strike now
	meet   func() // runs before the write at meetAt, once
	meetAt int
	step   int          // writes so far
	faults map[int]mode // by step
	fault  mode         // of the step that runs
	steps  []string     // their names
}

// mail is a message that is not acknowledged.
type mail struct {
	kind    string // "event", "due", "command", "fault"
	event   events.Event
	command events.Command
	fault   events.Fault
	stored  time.Time
	after   time.Time // not before
}

// begin is the day on which every world begins.
var begin = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// newWorld begins on a fixed day.
func newWorld(t testing.TB) *world {
	t.Helper()
	keyer, err := events.NewKeyer([]byte("0123456789abcdef"))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{
		t: t, log: &ledgertest.Memory{}, rules: newRules(), keyer: keyer, clock: begin,
		now:  broker{seen: map[string]bool{}, scheduled: map[string]events.Event{}, letters: map[string]events.DeadLetter{}, visits: map[string]events.Action{}},
		done: map[string]int{}, dies: map[string]int{}, faults: map[int]mode{}, armed: true,
	}
	w.disk = w.now.clone()
	w.log.Clock = w.time
	w.log.Before, w.log.After = w.strikeBefore, func(string) error { return w.strikeAfter() }
	return w
}

func (w *world) time() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.clock
}

func (w *world) newID() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ids++
	return fmt.Sprintf("id%d", w.ids)
}

func (w *world) ledger() *ledger.Ledger {
	if w.records != nil {
		return ledger.New(w.records, w.time)
	}
	return ledger.New(w.log, w.time)
}

// planner is one process's planner; every delivery gets a new one, so that nothing is kept between them.
func (w *world) planner() *planner.Planner {
	plans := w.plans
	if plans == nil {
		plans = w.rules
	}
	return &planner.Planner{
		Pausable: w.pausable,
		Ledger:   w.ledger(), Queue: w, Timetable: w, Morgue: w, Plans: plans, Keyer: w.keyer, Follow: w.runner().Follow,
		Remap: w.remap, Intake: w,
		Outlast: time.Nanosecond, Worker: "planner-1", Process: w.process(), NewID: w.newID, Now: w.time,
	}
}

// process is the id of the process that lives now, of planner and lane.
func (w *world) process() string { return fmt.Sprint("process-", w.processes) }

// runner is the lane's.
func (w *world) runner() *actions.Runner {
	return &actions.Runner{
		Ledger: w.ledger(), Queue: w, Morgue: w, Build: func(a events.Action, _ map[string]string) (actions.Kind, error) {
			return provider{w, a}, nil
		},
		Worker: "lane-1", Process: w.process(), Epoch: 1, NewID: w.newID, Now: w.time,
		Pause: func(context.Context, time.Duration) error { return nil },
	}
}

// provider is where an action's change is made: once made, it shows.
type provider struct {
	w *world
	a events.Action
}

func (p provider) Observe(context.Context) (actions.Observation, error) {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	var left []ledger.Residual
	if lasts := p.w.outlives[p.a.Step]; lasts > 0 {
		left = []ledger.Residual{{What: "tokens of " + p.a.Step, Until: p.w.clock.Add(lasts)}}
	}
	if p.w.done[p.a.ID] > 0 {
		return actions.Observation{Seen: []ledger.Fact{{What: p.a.Do, Value: "done"}}, Residual: left}, nil
	}
	return actions.Observation{Needed: []actions.Change{{Call: p.a.Do, Target: p.a.Target, Apply: p.apply}}, Residual: left}, nil
}

func (p provider) apply(context.Context) (string, error) {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	if p.w.dies[p.a.ID] > 0 {
		p.w.dies[p.a.ID]--
		return "", &apiclient.Error{Op: p.a.Do, Status: 400, Cause: apiclient.Permanent, Err: errors.New("refused")}
	}
	p.w.done[p.a.ID]++
	p.w.made = append(p.w.made, p.a.ID)
	return "req", nil
}

// send stores messages, in order.
func (w *world) send(all ...any) {
	for _, one := range all {
		m := &mail{stored: w.time()}
		switch v := one.(type) {
		case *mail:
			m = v
		case events.Event:
			m.kind, m.event = "event", w.overWire(v)
		case events.Command:
			m.kind, m.command = "command", v
		case events.Fault:
			m.kind, m.fault = "fault", v
		default:
			w.t.Fatalf("send %T", one)
		}
		w.inbox = append(w.inbox, m)
	}
}

// overWire gives the event as it is read from its stream.
func (w *world) overWire(e events.Event) events.Event {
	w.t.Helper()
	data, err := events.Marshal(e)
	if err != nil {
		w.t.Fatal(err)
	}
	e, err = events.Unmarshal(data)
	if err != nil {
		w.t.Fatal(err)
	}
	return e
}

// handle gives a message to a planner, and acknowledges it as settle does. It reports whether the message is gone.
func (w *world) handle(m *mail) (gone bool) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case crash:
			w.processes++
		default:
			panic(r)
		}
	}()
	p, ctx := w.planner(), context.Background()
	var out events.Outcome
	switch m.kind {
	case "event":
		out = p.Event(ctx, m.event, m.stored)
	case "due":
		out = p.Due(ctx, m.event, m.stored)
	case "command":
		out = p.Command(ctx, m.command)
	case "fault":
		out = p.Fault(ctx, m.fault)
	}
	if out.Err != nil && !errors.Is(out.Err, errBroker) && !errors.Is(out.Err, ledger.ErrConflict) {
		w.t.Errorf("%s: %v", m.kind, out.Err)
	}
	if out.Verdict != events.Done {
		m.after = w.time().Add(out.Delay)
		return false
	}
	return w.Barrier(ctx) == nil
}

// deliver hands the first message that may go to a planner; a message that is not done goes to the end. It reports
// whether there was one.
func (w *world) deliver() bool {
	for i, m := range w.inbox {
		if m.after.After(w.clock) {
			continue
		}
		w.inbox = slices.Delete(w.inbox, i, i+1)
		if !w.handle(m) {
			w.inbox = append(w.inbox, m)
		}
		return true
	}
	return false
}

// work runs the first action that its lane holds, undisturbed. It reports whether there was one.
func (w *world) work() bool {
	w.mu.Lock()
	if len(w.now.actions) == 0 {
		w.mu.Unlock()
		return false
	}
	a := w.now.actions[0]
	w.now.actions = slices.Delete(w.now.actions, 0, 1)
	w.mu.Unlock()
	defer func(armed bool) { w.armed = armed }(w.armed)
	w.armed = false
	if out := w.runner().Begin(context.Background(), a); out.Verdict != events.Done {
		w.t.Fatalf("action %s: %+v", a.ID, out)
	}
	_ = w.Barrier(context.Background())
	return true
}

// plan works off all messages, but no action.
func (w *world) plan() {
	w.t.Helper()
	for range 500 {
		if w.deliver() {
			continue
		}
		if len(w.inbox) == 0 {
			return
		}
		w.clock = slices.MinFunc(w.inbox, func(a, b *mail) int { return a.after.Compare(b.after) }).after
	}
	w.t.Fatalf("never done: %+v", *w.inbox[0])
}

// settle works off everything there is.
func (w *world) settle() {
	w.t.Helper()
	for range 500 {
		w.plan()
		if w.advance(0); !w.work() && len(w.inbox) == 0 {
			return
		}
	}
	w.t.Fatal("never settles")
}

// advance moves the clock and fires what is due.
func (w *world) advance(d time.Duration) {
	w.clock = w.clock.Add(d)
	for _, id := range slices.Sorted(maps.Keys(w.now.scheduled)) {
		e := w.now.scheduled[id]
		if !e.EffectiveAt.After(w.clock) {
			delete(w.now.scheduled, id)
			delete(w.disk.scheduled, id)
			w.inbox = append(w.inbox, &mail{kind: "due", event: e, stored: w.clock})
		}
	}
	for _, id := range slices.Sorted(maps.Keys(w.now.visits)) {
		if a := w.now.visits[id]; !a.Visit.At.After(w.clock) {
			delete(w.now.visits, id)
			w.now.actions = append(w.now.actions, a)
		}
	}
}
