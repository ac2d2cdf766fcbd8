// Package lane spends the budget of a connection, in one place at a time.
//
// A lane holds the lease of its connection, pulls the connection's actions, urgent ones before normal ones before
// bulk, and runs each through an actions.Runner: one action of a target at a time, so many at once as there are
// slots. When the lease is lost every call in hand ends within its time and no message is spoken of again; when the
// worker stops, what is in hand may end first. Each call to the provider passes the Gate, which learns the budget from
// the replies; a refused credential opens the Breaker, and the work waits.
package lane

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"keyturn/internal/actions"
	"keyturn/internal/events"
	"keyturn/internal/stream"
)

const (
	// grace is what an action in hand is given when the worker stops. The lease is safe for six seconds after its last
	// renewal and renewed every three.
	grace = 3 * time.Second
	// busyDelay is when an action comes again whose target another one is at.
	busyDelay = 500 * time.Millisecond
	// oddDelay is when a message comes again that cannot be worked on: another version may understand it.
	oddDelay = time.Minute
)

// Bus is what a lane needs of the broker. *stream.Bus is one.
type Bus interface {
	Hold(ctx context.Context, connection, holder string, run func(ctx context.Context, epoch uint64) error) error
	Pull(ctx context.Context, c stream.Consumer) (*stream.Puller, error)
	Handle(ctx context.Context, m *stream.Message, h stream.Handler)
}

// Lane works off the actions of one connection. Run it once.
type Lane struct {
	Connection string
	Holder     string   // who holds the lease: the worker's name
	Slots      int      // actions at once, beside those that only urgent ones take; 0 = 8
	Bus        Bus      //
	Breaker    *Breaker // must not be nil
	// Runner makes the runner for one time of holding the lease; it must call denied when the credential was refused.
	Runner func(epoch uint64, denied func(error)) *actions.Runner
	Log    *slog.Logger // nil = silent

	epoch atomic.Uint64
}

// Epoch is that of the lease while this worker holds it; 0 otherwise.
func (l *Lane) Epoch() uint64 { return l.epoch.Load() }

// Run holds the lane whenever nobody else does, until ctx ends; its error is then nil. A lease that is lost is asked
// for again.
func (l *Lane) Run(ctx context.Context) error {
	if l.Log == nil {
		l.Log = slog.New(slog.DiscardHandler)
	}
	for ctx.Err() == nil {
		err := l.Bus.Hold(ctx, l.Connection, l.Holder, l.hold)
		switch {
		case ctx.Err() != nil:
		case errors.Is(err, stream.ErrLeaseLost), err == nil:
			l.Log.WarnContext(ctx, "lane lost", "connection", l.Connection, "error", err)
		default:
			return fmt.Errorf("lane %s: %w", l.Connection, err)
		}
	}
	return nil
}

// hold works while the lease is held.
func (l *Lane) hold(ctx context.Context, epoch uint64) error {
	l.epoch.Store(epoch)
	defer l.epoch.Store(0)
	l.Log.InfoContext(ctx, "lane held", "connection", l.Connection, "epoch", epoch)
	n := l.Slots
	if n == 0 {
		n = 8
	}
	work, stop := afterwork(ctx)
	defer stop()
	s := &shift{Lane: l, runner: l.Runner(epoch, l.Breaker.Trip), slots: newSlots(n), busy: map[string]bool{}}
	var wg sync.WaitGroup
	wg.Go(func() { l.Breaker.Run(ctx) })
	for _, class := range events.Classes() {
		wg.Go(func() { s.pull(ctx, work, class) })
	}
	wg.Wait()
	return nil
}

// afterwork gives the context of actions in hand: it outlives held by the grace, unless the lease was lost.
func afterwork(held context.Context) (context.Context, func()) {
	work, cancel := context.WithCancelCause(context.WithoutCancel(held))
	stop := context.AfterFunc(held, func() {
		cause := context.Cause(held)
		if errors.Is(cause, stream.ErrLeaseLost) {
			cancel(cause)
			return
		}
		_ = sleep(work, grace)
		cancel(cause)
	})
	return work, func() { stop(); cancel(nil) }
}

// shift is one time of holding the lease.
type shift struct {
	*Lane
	runner *actions.Runner
	slots  *slots
	mu     sync.Mutex
	busy   map[string]bool // targets that an action is at
}

// pull hands out the actions of a class until held ends, and returns when the last of them is settled. One message at
// a time waits in hand for a slot, with its heartbeat; the rest waits at the broker.
func (s *shift) pull(held, work context.Context, class events.Class) {
	var inHand sync.WaitGroup
	defer inHand.Wait()
	p := s.open(held, class)
	if p == nil {
		return
	}
	defer p.Close()
	for s.Breaker.Wait(held) == nil {
		m, err := p.Next(held)
		if err != nil {
			return
		}
		placed := make(chan struct{})
		inHand.Go(func() {
			place := sync.OnceFunc(func() { close(placed) })
			defer place()
			s.Bus.Handle(work, m, func(ctx context.Context, m *stream.Message) events.Outcome {
				return s.handle(ctx, held, m, class, place)
			})
		})
		<-placed
	}
}

// open makes the puller of a class; nil when held ended first.
func (s *shift) open(held context.Context, class events.Class) *stream.Puller {
	for held.Err() == nil {
		p, err := s.Bus.Pull(held, stream.ActionsOf(s.Connection, class))
		if err == nil {
			return p
		}
		s.Log.WarnContext(held, "lane cannot pull", "connection", s.Connection, "class", string(class), "error", err)
		_ = sleep(held, time.Second)
	}
	return nil
}

// handle runs the action of a message when there is a place for it.
func (s *shift) handle(ctx, held context.Context, m *stream.Message, class events.Class, placed func()) events.Outcome {
	var a events.Action
	if err := json.Unmarshal(m.Data, &a); err != nil || a.Connection != s.Connection || a.ID == "" || a.Case == "" {
		return events.Outcome{Delay: oddDelay, Err: fmt.Errorf("%s: no action of this lane: %w", m.Subject, err)}
	}
	leave, ok := s.enter(a.Target)
	if !ok {
		return events.Outcome{Delay: busyDelay}
	}
	defer leave()
	release, err := s.place(held, class)
	switch {
	case err != nil && errors.Is(context.Cause(held), stream.ErrLeaseLost):
		return events.Outcome{Verdict: events.Abandon, Err: context.Cause(held)}
	case err != nil:
		return events.Outcome{Delay: time.Millisecond} // the worker stops: somebody else may have it at once
	}
	defer release()
	placed()
	return s.runner.Run(ctx, a)
}

// place waits for a slot while the credential works.
func (s *shift) place(held context.Context, class events.Class) (release func(), err error) {
	for {
		if err := s.Breaker.Wait(held); err != nil {
			return nil, err
		}
		release, err := s.slots.take(held, class)
		if err != nil || s.Breaker.Err() == nil {
			return release, err
		}
		release() // it opened meanwhile
	}
}

// enter takes a target for one action. An action without a target stands in nobody's way.
func (s *shift) enter(target string) (leave func(), ok bool) {
	if target == "" {
		return func() {}, true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy[target] {
		return nil, false
	}
	s.busy[target] = true
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.busy, target)
	}, true
}
