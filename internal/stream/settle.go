package stream

import (
	"context"
	"errors"
	"strings"
	"time"

	"keyturn/internal/events"
)

const (
	// laterAfter is the delay from which an action leaves its consumer: one that is given back holds one of the
	// consumer's places (nats-server #6093), and a thousand of them stop a healthy lane.
	laterAfter = 60 * time.Second
	// nakDefault is the delay of an outcome that names none: nobody's mistake may spin.
	nakDefault = time.Second
	// settleTimeout bounds the settlement of one message.
	settleTimeout = 10 * time.Second
)

// settle is the only place that ends a message.
//
//	Done          → barrier, then ack: everything the handler wrote is on disk before the message is gone
//	Retry ≤ 60 s  → given back with the delay
//	Retry > 60 s  → an action: a schedule for its own subject, barrier, ack; any other message: given back for 60 s
//	Abandon       → nothing: the server delivers it again
//
// Whatever fails on the way leaves the message, and it is delivered again. It runs to its end when ctx has ended, so
// that a stop does not repeat what was done.
func (b *Bus) settle(ctx context.Context, m *Message, out events.Outcome) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	var err error
	verdict := "abandon"
	switch out.Verdict {
	case events.Done:
		verdict, err = "done", b.ack(ctx, m)
	case events.Retry:
		verdict, err = b.retry(ctx, m, out.Delay)
	case events.Abandon:
	}
	b.metrics.settle(m.stream, verdict)
	if out.Err != nil || err != nil {
		b.log.WarnContext(ctx, "message not done", "subject", m.Subject, "verdict", verdict, "delay", out.Delay,
			"deliveries", m.Deliveries, "error", errors.Join(out.Err, err))
	}
}

// ack ends m behind the barrier.
func (b *Bus) ack(ctx context.Context, m *Message) error {
	if err := b.ride(ctx); err != nil {
		return err
	}
	// Dying here: everything is on disk, m comes again, and its states say that nothing is left to do.
	return b.write(ctx, OpAck, m.Subject, func() error { return m.msg.Ack() })
}

// retry gives m back, and says how.
func (b *Bus) retry(ctx context.Context, m *Message, delay time.Duration) (string, error) {
	if delay <= 0 {
		delay = nakDefault
	}
	if delay <= laterAfter {
		return "retry", b.nak(ctx, m, delay)
	}
	action, ok := actionOf(m)
	if !ok {
		return "retry", b.nak(ctx, m, laterAfter)
	}
	if err := b.later(ctx, prefixLater, m.Subject, m.Data, action, b.Now().Add(delay)); err != nil {
		return "retry", errJoinNak(err, b.nak(ctx, m, laterAfter))
	}
	// Dying here: the copy fires and m is delivered again; the lane gets the action twice, and its state makes it one.
	return "later", b.ack(ctx, m)
}

// errJoinNak keeps the cause; a nak that failed as well only means that m comes earlier.
func errJoinNak(cause, nak error) error {
	if nak != nil {
		return nak
	}
	return cause
}

// nak gives m back to come again after delay.
func (b *Bus) nak(ctx context.Context, m *Message, delay time.Duration) error {
	return b.write(ctx, OpNak, m.Subject, func() error { return m.msg.NakWithDelay(delay) })
}

// actionOf is the action id in the subject of an action.
func actionOf(m *Message) (string, bool) {
	if m.stream != streamActions || !strings.HasPrefix(m.Subject, prefixActions+".") {
		return "", false
	}
	return m.Subject[strings.LastIndexByte(m.Subject, '.')+1:], true
}
