package planner

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"keyturn/internal/events"
	"keyturn/internal/stream"
)

// Bus is where messages come from. *stream.Bus implements it.
type Bus interface {
	// Consume works off a consumer with so many handlers at a time, until ctx ends.
	Consume(ctx context.Context, c stream.Consumer, concurrency int, h stream.Handler) error
}

// How many messages of a kind one planner works off at a time. Events wait for the ledger and for the disk mostly, and
// those that wait at the same time share one barrier: many leave at the end of the same day, and one person approves
// thousands at once. No order is kept among commands: two upon one case are decided by its record, whichever comes first,
// as they are between planners.
const (
	concurrentEvents   = 16
	concurrentDue      = 64
	concurrentCommands = 64
	concurrentFaults   = 1
)

// Run works off everything that is to be planned until ctx ends: the events and the due events of each class on their
// own, so that a burst of leavers does not delay one stolen laptop.
func (p *Planner) Run(ctx context.Context, bus Bus) error {
	g, ctx := errgroup.WithContext(ctx)
	consume := func(c stream.Consumer, n int, h stream.Handler) {
		g.Go(func() error { return bus.Consume(ctx, c, n, h) })
	}
	for _, class := range events.Classes() {
		consume(stream.EventsOf(class), concurrentEvents, p.decoded(p.Event))
		consume(stream.DueOf(class), concurrentDue, p.decoded(p.Due))
	}
	consume(stream.Commands(), concurrentCommands, func(ctx context.Context, m *stream.Message) events.Outcome {
		var c events.Command
		if err := json.Unmarshal(m.Data, &c); err != nil {
			return p.unreadable(ctx, m, err)
		}
		c.Time = m.Stored // of two about the same the later one counts, whatever the clocks of operators' machines say
		return p.Command(ctx, c)
	})
	consume(stream.Faults(), concurrentFaults, func(ctx context.Context, m *stream.Message) events.Outcome {
		var f events.Fault
		err := json.Unmarshal(m.Data, &f)
		if err == nil && !token(f.ID) {
			err = errors.New("a fault without an id")
		}
		if err != nil {
			return p.unreadable(ctx, m, err)
		}
		return p.Fault(ctx, f)
	})
	return g.Wait()
}

// decoded hands the event in a message to h.
func (p *Planner) decoded(h func(context.Context, events.Event, time.Time) events.Outcome) stream.Handler {
	return func(ctx context.Context, m *stream.Message) events.Outcome {
		e, err := events.Unmarshal(m.Data)
		if err != nil {
			return p.unreadable(ctx, m, err)
		}
		return h(ctx, e, m.Stored)
	}
}

// unreadable keeps a message that cannot be decoded for a person. What stands in it is not repeated: nobody knows what
// it is.
func (p *Planner) unreadable(ctx context.Context, m *stream.Message, err error) events.Outcome {
	sum := sha256.Sum256(m.Data)
	return p.Fault(ctx, events.Fault{
		ID: "unreadable-" + hex.EncodeToString(sum[:8]), Source: "broker", Time: m.Stored,
		Error: fmt.Sprintf("message %d of %s: %v", m.Seq, m.Subject, err),
	})
}
