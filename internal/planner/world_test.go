package planner_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"keyturn/internal/actions"
	"keyturn/internal/apiclient"
	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/ledger/ledgertest"
	"keyturn/internal/planner"
	"keyturn/internal/playbook"
	"keyturn/internal/stream"
)

// world is everything around a planner: the ledger, the broker's other streams, a lane with a real runner and a
// provider. It dies, loses power and loses answers where its faults say.
type world struct {
	t     testing.TB
	log   *ledgertest.Memory
	rules *rules
	keyer events.Keyer

	mu    sync.Mutex
	clock time.Time
	ids   int
	inbox []*mail
	now   broker // as every process sees it
	disk  broker // as a power cut leaves it

	done map[string]int // changes made at the provider, by action
	dies map[string]int // how often the provider refuses an action for good

	armed  bool   // faults strike now
	meet   func() // runs before the write at meetAt, once
	meetAt int
	step   int          // writes so far
	faults map[int]mode // by step
	fault  mode         // of the step that runs
	steps  []string     // their names
}

// broker is what the streams hold besides the ledger.
type broker struct {
	actions   []events.Action
	seen      map[string]bool // message ids of actions
	scheduled map[string]events.Event
	letters   map[string]events.DeadLetter
}

func (b broker) clone() broker {
	return broker{slices.Clone(b.actions), maps.Clone(b.seen), maps.Clone(b.scheduled), maps.Clone(b.letters)}
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

// mode is what strikes a write.
type mode int

const (
	none    mode = iota
	before       // dies before it
	behind       // dies after it
	cut          // power is lost after it
	cutOnly      // power is lost after it, and only the ledger was not on disk
	cutRest      // power is lost after it, and all but the ledger was not on disk
	lost         // it is stored, and its answer is lost
	refused      // it is not stored, and its writer lives
)

var modes = []mode{before, behind, cut, cutOnly, cutRest, lost, refused}

// crash is what a death panics with.
type crash struct{}

var errBroker = errors.New("broker away")

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
		now:  broker{seen: map[string]bool{}, scheduled: map[string]events.Event{}, letters: map[string]events.DeadLetter{}},
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

func (w *world) ledger() *ledger.Ledger { return ledger.New(w.log, w.time) }

// planner is one process's planner; every delivery gets a new one, so that nothing is kept between them.
func (w *world) planner() *planner.Planner {
	return &planner.Planner{
		Ledger: w.ledger(), Queue: w, Timetable: w, Morgue: w, Plans: w.rules, Keyer: w.keyer, Follow: w.runner().Follow,
		Worker: "planner-1", NewID: w.newID, Now: w.time,
	}
}

// runner is the lane's.
func (w *world) runner() *actions.Runner {
	return &actions.Runner{
		Ledger: w.ledger(), Queue: w, Build: func(a events.Action, _ map[string]string) (actions.Kind, error) {
			return provider{w, a}, nil
		},
		Worker: "lane-1", Epoch: 1, NewID: w.newID, Now: w.time,
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
	if p.w.done[p.a.ID] > 0 {
		return actions.Observation{Seen: []ledger.Fact{{What: p.a.Do, Value: "done"}}}, nil
	}
	return actions.Observation{Needed: []actions.Change{{Call: p.a.Do, Target: p.a.Target, Apply: p.apply}}}, nil
}

func (p provider) apply(context.Context) (string, error) {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	if p.w.dies[p.a.ID] > 0 {
		p.w.dies[p.a.ID]--
		return "", &apiclient.Error{Op: p.a.Do, Status: 400, Cause: apiclient.Permanent, Err: errors.New("refused")}
	}
	p.w.done[p.a.ID]++
	return "req", nil
}

// strikeBefore and strikeAfter enclose every write of a planner.
func (w *world) strikeBefore(name string) error {
	if !w.armed {
		return nil
	}
	if meet := w.meet; meet != nil && w.step == w.meetAt {
		w.meet, w.armed = nil, false
		meet()
		w.armed = true
	}
	w.fault = w.faults[w.step]
	w.step++
	w.steps = append(w.steps, name)
	switch w.fault {
	case before:
		panic(crash{})
	case refused:
		return errBroker
	}
	return nil
}

func (w *world) strikeAfter() error {
	if !w.armed {
		return nil
	}
	switch w.fault {
	case behind:
		panic(crash{})
	case cut, cutOnly, cutRest:
		if w.fault != cutRest {
			w.log.PowerCut()
		}
		if w.fault != cutOnly {
			w.now = w.disk.clone()
		}
		panic(crash{})
	case lost:
		return errBroker
	}
	return nil
}

// write is a write to anything but the ledger.
func (w *world) write(name string, do func()) error {
	if err := w.strikeBefore(name); err != nil {
		return err
	}
	w.mu.Lock()
	do()
	w.mu.Unlock()
	return w.strikeAfter()
}

func (w *world) PublishAction(_ context.Context, a events.Action) error {
	return w.write("publish "+a.ID, func() {
		id := fmt.Sprintf("%s.r%d", a.ID, a.Redrive)
		if w.now.seen[id] {
			return
		}
		w.now.seen[id] = true
		w.now.actions = append(w.now.actions, a)
	})
}

func (w *world) Barrier(context.Context) error {
	return w.write("barrier", func() {
		w.log.Barrier()
		w.disk = w.now.clone()
	})
}

func (w *world) Schedule(_ context.Context, e events.Event) error {
	return w.write("schedule "+e.Case(), func() { w.now.scheduled[e.Case()] = e })
}

func (w *world) Unschedule(_ context.Context, caseID string) error {
	return w.write("unschedule "+caseID, func() { delete(w.now.scheduled, caseID) })
}

func (w *world) Bury(_ context.Context, d events.DeadLetter) error {
	return w.write("bury "+d.ID, func() { w.now.letters[d.ID] = d })
}

func (w *world) Unbury(_ context.Context, id string) error {
	return w.write("unbury "+id, func() { delete(w.now.letters, id) })
}

func (w *world) DeadLetter(_ context.Context, id string) (events.DeadLetter, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	d, ok := w.now.letters[id]
	if !ok {
		return d, stream.ErrNotFound
	}
	return d, nil
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
		case nil, crash:
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
	if out := w.runner().Run(context.Background(), a); out.Verdict != events.Done {
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
}

// state is where a subject of the ledger stands.
func (w *world) state(subject string) ledger.State {
	w.t.Helper()
	return w.last(subject).State
}

func (w *world) last(subject string) ledger.Record {
	w.t.Helper()
	rec, err := w.ledger().Last(context.Background(), subject)
	if err != nil {
		w.t.Fatal(err)
	}
	return rec
}

func (w *world) decision(caseID string) planner.Decision {
	w.t.Helper()
	d, err := planner.Decode(w.last(ledger.PlanSubject(caseID)))
	if err != nil {
		w.t.Fatal(err)
	}
	return d
}

// want checks where a case stands.
func (w *world) want(what, caseID string, plan, life ledger.State) {
	w.t.Helper()
	if got := w.state(ledger.PlanSubject(caseID)); got != plan {
		w.t.Errorf("%s: plan %q, want %q", what, got, plan)
	}
	if got := w.state(ledger.LifecycleSubject(caseID)); got != life {
		w.t.Errorf("%s: case %q, want %q", what, got, life)
	}
}

// wantDone checks what was changed at the provider: each of these actions once, and nothing else.
func (w *world) wantDone(ids ...string) {
	w.t.Helper()
	want := map[string]int{}
	for _, id := range ids {
		want[id] = 1
	}
	if !maps.Equal(w.done, want) {
		w.t.Errorf("changes made: %v, want %v", w.done, want)
	}
}

// wantRest checks what must hold in the end of everything: nothing waits but these dead letters, and the ledger is
// whole.
func (w *world) wantRest(letters ...string) {
	w.t.Helper()
	if len(w.inbox) > 0 || len(w.now.actions) > 0 || len(w.now.scheduled) > 0 {
		w.t.Errorf("left: %d messages, %d actions, %d scheduled", len(w.inbox), len(w.now.actions), len(w.now.scheduled))
	}
	slices.Sort(letters)
	if got := slices.Sorted(maps.Keys(w.now.letters)); !slices.Equal(got, letters) {
		w.t.Errorf("dead letters %v, want %v", got, letters)
	}
	if len(w.faults) > 1 {
		return // the chain was verified with each of these faults alone
	}
	if _, broken, err := w.ledger().Verify(context.Background(), ledger.Everything()); err != nil || len(broken) > 0 {
		w.t.Errorf("ledger broken: %v %v", broken, err)
	}
}

// kinds are those of the steps.
var kinds = map[string]string{"suspend": "okta.suspend_user", "tokens": "okta.clear_sessions", "restore": "okta.clear_sessions"}

// rules is what the playbooks and guards of this test say.
type rules struct {
	mu        sync.Mutex
	steps     map[string][]string // steps, by event name; a step after the first waits for the one before it
	fault     error               // the playbooks cannot be applied
	protected map[string]bool
	approvers int
	brakes    []playbook.Brake
}

func newRules() *rules {
	return &rules{steps: map[string][]string{"user.terminated": {"suspend", "tokens"}}, protected: map[string]bool{}}
}

func (r *rules) Plan(e events.Event) (events.Plan, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fault != nil {
		return events.Plan{}, r.fault
	}
	p := events.Plan{Case: e.Case(), Event: e, Hash: e.ContentHash(), Class: e.Class, EffectiveAt: e.EffectiveAt}
	var after []string
	for _, step := range r.steps[e.Name()] {
		id := events.ActionID(p.Case, "offboard", step)
		p.Actions = append(p.Actions, events.Action{
			ID: id, Case: p.Case, Playbook: "offboard", Step: step, Do: kinds[step], Connection: "okta-prod",
			Class: e.Class, Target: e.Subject, After: after,
		})
		after = []string{id}
		p.Playbooks = []string{"offboard"}
	}
	return p, nil
}

func (r *rules) Guard(p events.Plan) playbook.Verdict {
	r.mu.Lock()
	defer r.mu.Unlock()
	g := playbook.Verdict{Approvers: r.approvers, Brakes: r.brakes}
	if r.approvers > 0 {
		g.Why = fmt.Sprintf("needs %d approvals", r.approvers)
	}
	if r.protected[p.Event.Subject] {
		g.Protected = p.Event.Subject
	}
	return g
}

// happening makes an event of a person. at orders it; a zero effective takes effect at once.
func (w *world) happening(name, id, person string, at, effective time.Time) events.Event {
	w.t.Helper()
	data := map[string]any{"user": map[string]string{"email": person + "@acme.example", "employee_number": "n-" + person}}
	if !effective.IsZero() {
		data["effective_at"] = effective.Format(time.RFC3339Nano)
	}
	raw, err := json.Marshal(data)
	if err != nil {
		w.t.Fatal(err)
	}
	row, ok := events.Lookup(name)
	if !ok {
		w.t.Fatalf("no event %s", name)
	}
	canonical, err := events.Canonical(raw)
	if err != nil {
		w.t.Fatal(err)
	}
	e := events.Event{
		ID: id, Source: "/hr/acme", Type: row.Type(), Time: at, Scope: "hr-relay", Class: row.Class, EffectiveAt: effective,
		Data: canonical,
	}
	if e.Subject, err = events.SubjectOf(e); err != nil {
		w.t.Fatal(err)
	}
	return e
}

// action is the id of a step of a case.
func action(caseID, step string) string { return events.ActionID(caseID, "offboard", step) }

// both are the actions of a termination.
func both(caseID string) []string {
	return []string{action(caseID, "suspend"), action(caseID, "tokens")}
}

// scenario is a history and what must hold after it, whatever struck.
type scenario struct {
	name string
	run  func(w *world)
}

// explore runs a scenario without a fault, then with every fault at every write, then with pairs of faults: every
// pair of every two faults where KEYTURN_PAIRS=all says so, else a part of those of two kinds.
func explore(t *testing.T, s scenario) {
	t.Helper()
	all := os.Getenv("KEYTURN_PAIRS") == "all"
	n := attempt(t, s, nil)
	for i := range n {
		for _, m := range modes {
			if m == before && i > 0 && !all {
				continue // as good as dying behind the write before it
			}
			after := attempt(t, s, map[int]mode{i: m})
			for j := i + 1; j < after; j++ {
				for _, m2 := range modes {
					few := (m == behind || m == cut) && (m2 == behind || m2 == cut) && (i+2*j)%17 == 0
					if all || few {
						attempt(t, s, map[int]mode{i: m, j: m2})
					}
				}
			}
			if t.Failed() {
				return
			}
		}
	}
}

// attempt runs a scenario with these faults and gives the number of its writes.
func attempt(t *testing.T, s scenario, faults map[int]mode) int {
	t.Helper()
	w := newWorld(t)
	w.faults = faults
	was := t.Failed()
	s.run(w)
	if t.Failed() && !was {
		t.Logf("%s with faults %v; writes:\n%s", s.name, faults, strings.Join(w.steps, "\n"))
	}
	return w.step
}
