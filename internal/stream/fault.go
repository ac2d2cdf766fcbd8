package stream

import "context"

// Op names a write, for Fault and for metrics.
type Op string

// The writes.
const (
	OpEvent    Op = "event"    // an event or a mapping fault to EVENTS
	OpAction   Op = "action"   // an action to ACTIONS
	OpCommand  Op = "command"  // a command to COMMANDS
	OpSchedule Op = "schedule" // a schedule to SCHEDULE
	OpLater    Op = "later"    // the delayed copy of an action
	OpPurge    Op = "purge"    // a cancelled schedule, a redriven dead letter
	OpBury     Op = "bury"     // a dead letter
	OpAppend   Op = "append"   // a ledger record
	OpOutcome  Op = "outcome"  // an outcome event to OUTCOMES
	OpBarrier  Op = "barrier"  // the wait for the disk
	OpAck      Op = "ack"      // the end of a message
	OpNak      Op = "nak"      // a message given back
	OpLease    Op = "lease"    // a lease taken, renewed or released; runs beside the holder
	OpKey      Op = "key"      // a key of a bucket
)

// Fault is called around every write, for tests that die or lose an acknowledgement there: before it with persisted
// false, after it with persisted true. An error is what the writer sees: before, nothing was written; after, it was
// written and the answer was lost. A panic is a death at this place; one with OpLease would end the process, because
// leases are renewed beside the holder: return an error there. ctx is the writer's; what belongs to a message has the
// values that Options.Enter gave it.
type Fault func(ctx context.Context, op Op, subject string, persisted bool) error

// write runs one write between its two faults.
func (b *Bus) write(ctx context.Context, op Op, subject string, do func() error) error {
	if b.opts.Fault == nil {
		return do()
	}
	if err := b.opts.Fault(ctx, op, subject, false); err != nil {
		return err
	}
	if err := do(); err != nil {
		return err
	}
	return b.opts.Fault(ctx, op, subject, true)
}
