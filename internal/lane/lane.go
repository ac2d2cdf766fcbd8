// Package lane is the one place where a connection's budget is spent. One worker at a time runs a connection's lane,
// by a lease; it takes the connection's actions, the urgent before the normal before the bulk, and runs as many at a
// time as it has slots.
//
// A lane decides who goes, and when; what an action does is the runner's. Told to wait is not a failed attempt: a call
// waits at the Gate for its budget, work waits at the Breaker for a credential, and neither is charged for it. A lane
// that lost its lease cancels every call and speaks of its messages no more: its successor has them.
package lane

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"keyturn/internal/actions"
	"keyturn/internal/events"
	"keyturn/internal/stream"
)

const (
	// urgentSlots are kept free for the urgent, beside the others.
	urgentSlots = 2
	// busyAgain is when an action comes again whose target another one is at work on.
	busyAgain = 500 * time.Millisecond
	// brokenAgain is when an action comes again that was in hand when the breaker opened.
	brokenAgain = 30 * time.Second
)

// Bus is where the lease and the actions come from. *stream.Bus implements it.
type Bus interface {
	Hold(ctx context.Context, connection, holder string, run func(ctx context.Context, epoch uint64) error) error
	Pull(ctx context.Context, c stream.Consumer) (*stream.Puller, error)
	Handle(ctx context.Context, m *stream.Message, h stream.Handler)
}

// Lane runs the actions of one connection.
type Lane struct {
	Connection string
	Holder     string // this worker, in the lease and in the log
	Slots      int    // how many actions at a time; two more for the urgent alone
	Bus        Bus
	// Runner makes the runner of one tenure: epoch goes into every record, denied is told of a refused credential.
	Runner  func(epoch uint64, denied func(error)) *actions.Runner
	Breaker *Breaker
	Log     *slog.Logger

	mu    sync.Mutex
	epoch uint64 // of the lease that is held; 0 = none
}

// Epoch is the epoch of the lease that this worker holds now; 0 when another one holds it, or nobody.
func (l *Lane) Epoch() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.epoch
}

// Run holds the lane whenever it can be had, until ctx ends.
func (l *Lane) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		err := l.Bus.Hold(ctx, l.Connection, l.Holder, l.serve)
		switch {
		case ctx.Err() != nil:
		case errors.Is(err, stream.ErrLeaseLost):
			l.Log.WarnContext(ctx, "lane lost", "connection", l.Connection, "error", err)
		case err != nil:
			return fmt.Errorf("lane %s: %w", l.Connection, err)
		}
	}
	return nil
}

// tenure is one holding of the lease.
type tenure struct {
	*Lane
	epoch   uint64
	runner  *actions.Runner
	slots   *slots
	targets *targets
	hands   sync.WaitGroup // actions at work
}

// serve works while the lease is held.
func (l *Lane) serve(ctx context.Context, epoch uint64) error {
	l.hold(epoch)
	defer l.hold(0)
	l.Log.InfoContext(ctx, "lane held", "connection", l.Connection, "epoch", epoch)
	t := &tenure{
		Lane: l, epoch: epoch, runner: l.Runner(epoch, l.Breaker.Open),
		slots: newSlots(l.Slots, urgentSlots), targets: newTargets(),
	}
	var loops sync.WaitGroup
	loops.Go(func() { l.Breaker.Run(ctx) })
	failed := make(chan error, len(events.Classes()))
	for _, class := range events.Classes() {
		loops.Go(func() { failed <- t.pull(ctx, class) })
	}
	var errs []error
	for range events.Classes() {
		errs = append(errs, <-failed)
	}
	t.hands.Wait()
	loops.Wait()
	return errors.Join(errs...)
}

func (l *Lane) hold(epoch uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.epoch = epoch
}

// pull takes the actions of one class. It has at most one in hand that waits for a slot: what waits at the broker
// can still be overtaken by the more urgent, or go to another worker.
func (t *tenure) pull(ctx context.Context, class events.Class) error {
	puller, err := t.Bus.Pull(ctx, stream.ActionsOf(t.Connection, class))
	if err != nil {
		return err
	}
	defer puller.Close()
	for {
		if t.Breaker.Wait(ctx) != nil {
			return nil
		}
		m, err := puller.Next(ctx)
		if err != nil {
			return nil // ctx ended: Next makes up for everything else
		}
		placed := make(chan struct{})
		t.hands.Go(func() {
			t.Bus.Handle(ctx, m, func(ctx context.Context, m *stream.Message) events.Outcome {
				release, err := t.slots.take(ctx, class)
				close(placed)
				if err != nil {
					return events.Outcome{Verdict: events.Abandon, Err: err}
				}
				defer release()
				return t.work(ctx, m)
			})
		})
		<-placed
	}
}

// work runs the action in a message.
func (t *tenure) work(ctx context.Context, m *stream.Message) events.Outcome {
	var a events.Action
	if err := json.Unmarshal(m.Data, &a); err != nil {
		// Only a worker of another version writes what this one cannot read: it is left for that one.
		return events.Outcome{Delay: time.Minute, Err: fmt.Errorf("action in %s: %w", m.Subject, err)}
	}
	if t.Breaker.Err() != nil {
		return events.Outcome{Delay: brokenAgain}
	}
	done, ok := t.targets.claim(a.Target)
	if !ok {
		return events.Outcome{Delay: busyAgain}
	}
	defer done()
	return t.runner.Run(ctx, a)
}

// targets sees to it that a lane acts on one target by one action at a time.
type targets struct {
	mu   sync.Mutex
	busy map[string]bool
}

func newTargets() *targets { return &targets{busy: map[string]bool{}} }

// claim takes a target, or says that another action has it. An action without a target shares nothing.
func (t *targets) claim(name string) (done func(), ok bool) {
	if name == "" {
		return func() {}, true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.busy[name] {
		return nil, false
	}
	t.busy[name] = true
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.busy, name)
	}, true
}
