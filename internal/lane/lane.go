// Package lane is the one place where a connection's budget is spent. One worker at a time runs a connection's lane,
// by a lease. It takes the connection's actions, each class for itself, and lets their calls go to the provider: the
// urgent before the normal before the bulk, as many at a time and as many a window as the provider takes.
//
// A lane decides who goes, and when; what an action does is the runner's. Told to wait is not a failed attempt: a call
// waits for its budget, work waits for a credential or for a provider that is away, and nobody is charged for it. Waiting keeps nobody out: what is
// bounded is calls in flight, and beside them each class has hands of its own, several times as many, of which an action
// that waits for the budget of its bucket holds none; and when a crowd of one kind waits, more of that kind are not begun but come back
// later, so that others always find a place. A lane that lost its lease cancels every call and speaks of its
// messages no more: its successor has them.
package lane

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"keyturn/internal/actions"
	"keyturn/internal/apiclient"
	"keyturn/internal/events"
	"keyturn/internal/stream"
)

// Bus is where the lease and the actions come from. *stream.Bus implements it.
type Bus interface {
	Hold(ctx context.Context, connection, holder string, run func(ctx context.Context, epoch uint64) error) error
	Pull(ctx context.Context, c stream.Consumer) (*stream.Puller, error)
	Handle(ctx context.Context, m *stream.Message, h stream.Handler)
}

// Lane runs the actions of one connection. Its fields are set before Run; its methods may be called by anyone.
type Lane struct {
	Connection string
	Holder     string // this worker, in the lease
	// Concurrency is how many calls to the provider may be in flight at once; two more for the urgent alone.
	Concurrency int
	Budget      Budget // what of the provider's windows is the lane's
	Bus         Bus
	// Probe makes a harmless read outside of any budget; nil when the credential works.
	Probe func(context.Context) error
	// TokenHeld gives until when no call goes because the credential's token endpoint asked to be left alone; the zero time
	// while calls go. nil = the credential has none.
	TokenHeld func() time.Time
	// Renew fetches another token where the one in hand lacks a scope, which may have been granted since, unless one was asked
	// for less than age ago; nil = the credential has none that could.
	Renew func(ctx context.Context, age time.Duration)
	// Runner makes the runner of one tenure: with its Epoch in every record, its Denied told of a refused credential,
	// and every call of an action through the action's Gate.
	Runner func(*Tenure) *actions.Runner
	// Paused says whether an operator lets the lane, or this action, not begin. It is asked before each action; nil =
	// nobody pauses it.
	Paused func(ctx context.Context, a events.Action) (Pause, error)
	Log    *slog.Logger // nil = silent

	mu  sync.Mutex
	now *Tenure // nil = the lease is not held
}

// brokerAgain is when the lease is asked for again after the broker failed in mid-work.
const brokerAgain = time.Second

// Run holds the lane whenever it can be had, until ctx ends; its error is nil then. What is in hand comes to the end
// of its calls or is given back, within 20 s, and the lease is released after that.
func (l *Lane) Run(ctx context.Context) error {
	if l.Log == nil {
		l.Log = slog.New(slog.DiscardHandler)
	}
	if err := l.Budget.check(); err != nil {
		return fmt.Errorf("lane %s: budget: %w", l.Connection, err)
	}
	for ctx.Err() == nil {
		err := l.hold(ctx)
		switch {
		case ctx.Err() != nil, err == nil:
		case errors.Is(err, stream.ErrLeaseLost), errors.Is(err, stream.ErrUnavailable):
			l.Log.WarnContext(ctx, "lane lost", "connection", l.Connection, "error", err)
			_ = sleep(ctx, brokerAgain)
		default:
			return fmt.Errorf("lane %s: %w", l.Connection, err)
		}
	}
	return nil
}

// hold waits for the lease and works while it is held. A stop ends the work and not yet the lease: until the last
// action in hand has come to rest nobody else may have it, and its loss must still be heard of.
func (l *Lane) hold(stop context.Context) error {
	holding, release := context.WithCancel(context.WithoutCancel(stop))
	defer release()
	waiting := context.AfterFunc(stop, release)
	defer waiting()
	return l.Bus.Hold(holding, l.Connection, l.Holder, func(lease context.Context, epoch uint64) error {
		if !waiting() {
			return nil // the stop came first
		}
		t := newTenure(l, epoch)
		l.set(t)
		defer l.set(nil)
		l.Log.InfoContext(lease, "lane held", "connection", l.Connection, "epoch", epoch)
		return t.serve(stop, lease)
	})
}

// Epoch is the epoch of the lease that this worker holds now; 0 when another one holds it, or nobody.
func (l *Lane) Epoch() uint64 {
	if t := l.tenure(); t != nil {
		return t.Epoch
	}
	return 0
}

// Err says why the lane stands still although this worker holds it; nil when it does not.
func (l *Lane) Err() error {
	if t := l.tenure(); t != nil {
		return t.breaker.why()
	}
	return nil
}

// Hasten has a lane that stands still ask its provider at once whether it may go on, and waits a moment for the answer:
// a person who renewed a credential must not wait minutes for the next probe, with a stolen laptop in the queue. What waits
// for a right is tried again when it comes next, with a token that has what was granted.
func (l *Lane) Hasten(ctx context.Context) {
	if t := l.tenure(); t != nil {
		if l.Renew != nil {
			l.Renew(ctx, 0)
		}
		t.lacks.hasten()
		t.breaker.hasten(ctx)
	}
}

// Refused says since when, and why, the lane stands still because its credential was refused; nil when it does not.
func (l *Lane) Refused() error {
	t := l.tenure()
	if t == nil || t.Away() {
		return nil
	}
	return t.breaker.why()
}

// Halted says why an operator lets the lane begin nothing, as it was last known; empty = it works, or is held elsewhere.
func (l *Lane) Halted() string {
	if t := l.tenure(); t != nil {
		return t.halt.why()
	}
	return ""
}

// Denied stops the lane because the credential was refused, as err says, while this worker holds it.
func (l *Lane) Denied(err error) {
	if t := l.tenure(); t != nil {
		t.breaker.open(Refused, err)
	}
}

// Gate is what the calls of a person's read must pass, while this worker holds the lane; without it they are sent away.
// It lets them go while the breaker is open: whether the fault is still there may be the question.
func (l *Lane) Gate(class events.Class) apiclient.Gate {
	t := l.tenure()
	if t == nil {
		return absent{}
	}
	p := t.gate.pass(class)
	p.asked = true
	return p
}

// absent is the gate of a lane that is not held.
type absent struct{}

func (absent) Admit(context.Context, string) error {
	return later(againSoon, "the lane is held by nobody here")
}
func (absent) Learn(bucket string, b apiclient.Budget) {}

func (l *Lane) tenure() *Tenure {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.now
}

func (l *Lane) set(t *Tenure) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now = t
}
