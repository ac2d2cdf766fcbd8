package lane

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"keyturn/internal/actions"
	"keyturn/internal/apiclient"
	"keyturn/internal/events"
	"keyturn/internal/stream"
)

const (
	// handsPerCall is how many actions of a class are in hand for each call that may be in flight: most of them wait,
	// for a window of another bucket than the next one needs, between two looks, for the disk.
	handsPerCall = 8
	// finishWithin is how long the calls that are out may take when the worker stops; then they are cut off.
	finishWithin = 15 * time.Second
	// busyAgain is when an action comes again for the first time whose target another one is at work on; it doubles up
	// to busyCap. Mostly that one is the step before, which published it and is being settled.
	busyAgain = 25 * time.Millisecond
	busyCap   = time.Second
	// freshFor is how long an action that was just sent is begun without reading whether it has a record. One that waited for
	// its lane for longer may have been called back: the read costs less than the calls of a look that nobody needs.
	freshFor = 10 * time.Second
	// restFrom is the shortest pause between two looks in which an action holds no slot. Many that wait a second or two for a
	// stale read are soon done, and a crowd of them must not have the rest of their kind put off.
	restFrom = 4 * time.Second
	// strangeAgain is when a message comes again that only a worker of another version can have written.
	strangeAgain = time.Minute
)

// errCut is why a call was cut off that did not end in time.
var errCut = errors.New("the worker stops")

// Tenure is one holding of a connection's lease. All that it learns of the provider ends with it: the next holder of
// the lease spends the same budget.
type Tenure struct {
	Epoch uint64 // of the lease; it grows with every holding

	since   time.Time
	lane    *Lane
	gate    *gate
	breaker *breaker
	lacks   *lacks
	halt    *halt
	runner  *actions.Runner
	hands   sync.WaitGroup // actions in hand

	slots map[events.Class]*hands

	mu     sync.Mutex
	busy   map[string]*pass     // by what is worked on
	inHand map[events.Class]int // actions in hand
	done   rate                 // actions that were settled for good
}

func newTenure(l *Lane, epoch uint64) *Tenure {
	t := &Tenure{Epoch: epoch, since: time.Now(), lane: l, gate: newGate(l.Concurrency),
		busy: map[string]*pass{}, inHand: map[events.Class]int{}, slots: map[events.Class]*hands{}}
	for _, class := range events.Classes() {
		t.slots[class] = newHands(handsPerCall * max(l.Concurrency, 1))
	}
	t.gate.budget = l.Budget
	t.breaker = newBreaker(l.Probe, t.gate.stop, l.Log.With("connection", l.Connection))
	t.gate.outage = t.breaker.outage
	t.lacks = newLacks(l.Log.With("connection", l.Connection))
	t.halt = &halt{ask: l.Paused, log: l.Log.With("connection", l.Connection)}
	t.runner = l.Runner(t)
	return t
}

// Denied stops the lane because the credential was refused to an action, as err says; or the action alone, and those that
// fare alike, where the credential lacks one right. It goes on by itself.
func (t *Tenure) Denied(a events.Action, err error) {
	if right := needs(err); right != "" {
		t.lacks.refused(a.ID, right, err, time.Now())
		return
	}
	t.breaker.open(Refused, err)
}

// Away reports whether the lane stands still because the provider cannot be reached: what fails meanwhile is no fault of
// an action.
func (t *Tenure) Away() bool {
	fault, _, _ := t.breaker.standing()
	return fault == Unreachable
}

// Gate is what the calls of an action must pass.
func (t *Tenure) Gate(a events.Action) apiclient.Gate {
	p := t.passOf(a)
	if p == nil { // a call for nobody's action
		p = t.gate.pass(a.Class)
	}
	return p
}

// passOf is the pass of an action in hand; nil = it is not.
func (t *Tenure) passOf(a events.Action) *pass {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.busy[target(a)]
}

// serve works until stop or lease ends, and returns when nothing is in hand any more.
func (t *Tenure) serve(stop, lease context.Context) error {
	work, cut := context.WithCancelCause(lease)
	defer cut(nil)
	group, pulling := errgroup.WithContext(lease)
	pulling, halt := context.WithCancel(pulling)
	defer halt()
	defer context.AfterFunc(stop, halt)()
	t.gate.change(func() { t.gate.lease = lease.Err })
	defer t.gate.finish()
	context.AfterFunc(pulling, func() {
		if lease.Err() == nil { // else work ends at once, and nothing may be written of those that wait
			t.gate.finish()
		}
	})
	group.Go(func() error { t.breaker.run(pulling); return nil })
	for _, class := range events.Classes() {
		group.Go(func() error { return t.pull(pulling, work, lease, class) })
	}
	err := group.Wait()
	last := time.AfterFunc(finishWithin, func() { cut(errCut) })
	defer last.Stop()
	t.hands.Wait()
	return err
}

// pull takes the actions of a class. It asks for one when there is a hand for it: what waits at the broker can still
// go to another worker.
func (t *Tenure) pull(pulling, work, lease context.Context, class events.Class) error {
	puller, err := t.lane.Bus.Pull(pulling, stream.ActionsOf(t.lane.Connection, class))
	if err != nil {
		if pulling.Err() != nil {
			return nil
		}
		return err
	}
	defer puller.Close()
	free := make(chan *stream.Message)
	defer close(free)
	hands := t.slots[class]
	for {
		if hands.take(pulling) != nil {
			return nil
		}
		m, err := puller.Next(pulling)
		if err != nil {
			return nil // pulling ended: Next makes up for everything else
		}
		select {
		case free <- m: // a hand that has worked already: its stack is as large as an action needs
		default:
			t.hands.Go(func() {
				for more := true; more; m, more = <-free {
					t.bring(pulling, work, lease, m, class)
				}
			})
		}
	}
}

// bring brings one message of a class to its end, for which a slot is held.
func (t *Tenure) bring(pulling, work, lease context.Context, m *stream.Message, class events.Class) {
	defer t.slots[class].change(-1, -1)
	t.took(class)
	out := events.Outcome{Verdict: events.Abandon} // unless the handler says otherwise
	t.lane.Bus.Handle(work, m, func(ctx context.Context, m *stream.Message) events.Outcome {
		out = settled(lease, t.handle(pulling, ctx, m, class))
		return out
	})
	t.settledAs(class, out)
}

// handle runs the action of a message, in the context in which the message is in hand.
func (t *Tenure) handle(pulling, hand context.Context, m *stream.Message, class events.Class) events.Outcome {
	var a events.Action
	err := json.Unmarshal(m.Data, &a)
	if err != nil || a.ID == "" || a.Case == "" || a.Connection != t.lane.Connection {
		return events.Outcome{Delay: strangeAgain, Err: fmt.Errorf("%s holds no action of this lane: %w", m.Subject, err)}
	}
	if t.breaker.wait(pulling) != nil {
		return events.Outcome{Verdict: events.Abandon} // it was not begun
	}
	if off := t.slots[class].crowded(a.Do, time.Now()); off > 0 {
		return events.Outcome{Delay: off}
	}
	p, err := t.halt.wait(pulling, a) // last: a breaker may have been waited for while somebody said so
	switch {
	case err != nil:
		return events.Outcome{Verdict: events.Abandon}
	case p.Action != "":
		return p.stay(time.Now())
	}
	if !t.claim(a, class) {
		return events.Outcome{Delay: min(busyAgain<<min(max(m.Deliveries-1, 0), 10), busyCap)}
	}
	defer t.release(target(a))
	mine := t.passOf(a)
	defer mine.end()
	hand = context.WithValue(hand, handKey{}, mine)
	if t.lacks.hold(a.ID, rank(class), time.Now()) {
		return events.Outcome{Delay: t.slots[class].giveBack(a.Do, lacksAgain, time.Now())}
	}
	hand = t.trial(hand, a.ID)
	out := events.Outcome{Verdict: events.Abandon} // unless the runner says otherwise
	defer func() { t.lacks.ended(a.ID, out, time.Now()) }()
	run := t.runner.Run
	if fresh(m, time.Now()) {
		run = t.runner.Begin
	}
	out = run(hand, a)
	if out.Verdict == events.Retry && pulling.Err() == nil { // else the next holder begins with what comes again
		out.Delay = t.slots[class].giveBack(a.Do, out.Delay, time.Now())
	}
	return out
}

// trial makes ready for an action that is tried for a right that was lacking, if it is.
func (t *Tenure) trial(hand context.Context, id string) context.Context {
	right := t.lacks.tried(id)
	if right == "" {
		return hand
	}
	if t.lane.Renew != nil {
		t.lane.Renew(hand, renewAfter) // the one in hand may be from before the right was granted
	}
	return apiclient.Watch(hand, func(x apiclient.Exchange) {
		if x.Needs == right && x.Status/100 == 2 {
			t.lacks.answered(id, right)
		}
	})
}

// handKey is where the context of an action in hand keeps its pass.
type handKey struct{}

// errStops is why a pause was cut short.
var errStops = errors.New("cut short between two looks: the lane changes hands, or an action of a more urgent class waits for the target")

// Pause waits in place for an action in hand, between two looks. One that waits for long holds no slot of its class
// meanwhile, and is in nobody's way who is more urgent; a lane that stops waits for none.
func (t *Tenure) Pause(ctx context.Context, d time.Duration) error {
	p, ok := ctx.Value(handKey{}).(*pass)
	if !ok {
		return sleep(ctx, d)
	}
	var gone <-chan struct{} = p.gate.gone
	if d >= restFrom {
		sent, over := p.Idle()
		defer over()
		gone = sent
	}
	end := time.NewTimer(d)
	defer end.Stop()
	select {
	case <-end.C:
		return nil
	case <-gone:
		return errStops
	case <-ctx.Done():
		return ctx.Err()
	}
}

// May says by an error that an operator lets an action not begin any more, that waited for the budget of its first look. It is
// asked anew for its first change when that waits, too.
func (t *Tenure) May(ctx context.Context, a events.Action) error {
	if err := t.halt.still(ctx, a); err != nil {
		return err
	}
	if p, ok := ctx.Value(handKey{}).(*pass); ok {
		p.gate.change(func() { p.may = func(ctx context.Context) error { return t.halt.still(ctx, a) } })
	}
	return nil
}

// Room waits for the budget of the call that an action in hand could not make because its time was too short to wait for
// it (apiclient.ErrNoRoom); the next call of the action in that bucket goes at once.
func (t *Tenure) Room(ctx context.Context) error {
	p, ok := ctx.Value(handKey{}).(*pass)
	if !ok {
		return overdue(context.DeadlineExceeded)
	}
	return p.makeRoom(ctx)
}

// fresh reports whether a message is of an action that was just sent.
func fresh(m *stream.Message, now time.Time) bool {
	return m.Deliveries == 1 && !m.Waited && now.Sub(m.Stored) < freshFor
}

// settled is what becomes of a message. Without the lease nothing may be said of it. With the lease, what could not be
// finished is given back, so that the next holder need not wait until this one counts as dead.
func settled(lease context.Context, out events.Outcome) events.Outcome {
	switch {
	case lease.Err() != nil:
		return events.Outcome{Verdict: events.Abandon, Err: context.Cause(lease)}
	case out.Verdict == events.Abandon:
		return events.Outcome{Delay: againSoon, Err: out.Err}
	}
	return out
}

// target is what no two actions are worked on for at once: whom they act upon, or else the action itself, of which a
// second copy may be about.
func target(a events.Action) string { return cmp.Or(a.Target, a.ID) }

// claim takes the target of an action for one of a class. When another one has it, that one goes on as if it were of the more
// urgent class of the two.
func (t *Tenure) claim(a events.Action, class events.Class) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p := t.busy[target(a)]; p != nil {
		t.gate.hurry(p, class)
		return false
	}
	p := t.gate.pass(class)
	p.hands, p.kind = t.slots[class], a.Do
	t.busy[target(a)] = p
	return true
}

func (t *Tenure) release(target string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.busy, target)
}
