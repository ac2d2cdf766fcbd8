package stream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"keyturn/internal/events"
)

const (
	// MaxEvent bounds one encoded event, in bytes: the server's default payload of 1 MiB, less room for headers and for
	// the dead letter that may have to carry it.
	MaxEvent = 900 << 10
	// headerRoom is what subject and headers of a message take at most, in bytes.
	headerRoom = 4 << 10
	// publishTimeout is how long one acknowledgement, one read or one barrier is waited for.
	publishTimeout = 10 * time.Second
	// stallWait is how long a publish waits while too many are unanswered. The client's own 200 ms fail every window
	// on a disk that needs 2 ms per sync.
	stallWait = 5 * time.Second
	// maxUnanswered bounds publishes that wait for their acknowledgement.
	maxUnanswered = 4096
)

// Headers. They are case-sensitive in NATS.
const (
	headerContent = "Content-Type"
	headerTrace   = "traceparent" // W3C Trace Context, in lower case

	contentEvent = "application/cloudevents+json" // CloudEvents NATS binding 1.0, structured mode
	contentJSON  = "application/json"
)

// PublishEvents stores the events of one delivery, all of them validated before, and returns nil only when all are on
// disk. A resent event is known by its id for two hours, and its states after that. ErrTooLarge: nothing was stored.
// ErrUnavailable: some may be stored already, and act; the resend completes the rest.
func (b *Bus) PublishEvents(ctx context.Context, list []events.Event) error {
	if err := b.ready(); err != nil {
		return err
	}
	msgs := make([]*nats.Msg, len(list))
	for i, e := range list {
		var err error
		if msgs[i], err = b.eventMsg(e); err != nil {
			return err
		}
		if n, limit := len(msgs[i].Data), b.maxData(); int64(n) > limit {
			return fmt.Errorf("event %s of %d bytes: %w: at most %d", e.Type, n, ErrTooLarge, limit)
		}
	}
	if err := b.publishAll(ctx, OpEvent, streamEvents, msgs); err != nil {
		return err
	}
	// Dying here: all are stored, nobody was told; the sender repeats and gets the same cases.
	return b.Barrier(ctx)
}

// PublishFault stores a delivery that could not be mapped, behind the barrier. A body that is too large is left out.
func (b *Bus) PublishFault(ctx context.Context, f events.Fault) error {
	if err := b.ready(); err != nil {
		return err
	}
	subj, err := subject(prefixFaults, f.Source)
	if err != nil {
		return err
	}
	msg, err := jsonMsg(subj, f.ID, f)
	if err != nil {
		return err
	}
	if int64(len(msg.Data)) > b.maxData() {
		f.Body = nil // what went wrong is worth more than the body, which its sender still has
		if msg, err = jsonMsg(subj, f.ID, f); err != nil {
			return err
		}
	}
	if err := b.publishAll(ctx, OpEvent, streamEvents, []*nats.Msg{msg}); err != nil {
		return err
	}
	return b.Barrier(ctx)
}

// PublishAction hands an action to its lane. It is on disk after the next Barrier. The id makes a repeat harmless
// within the window; the ledger's states do so for ever. A redriven action has an id of its own, because it must go
// out again.
func (b *Bus) PublishAction(ctx context.Context, a events.Action) error {
	subj, err := actionSubject(a)
	if err != nil {
		return err
	}
	id := a.ID
	if a.Redrive > 0 {
		id += ".r" + strconv.Itoa(a.Redrive)
	}
	msg, err := jsonMsg(subj, id, a)
	if err != nil {
		return err
	}
	return b.publishAll(ctx, OpAction, streamActions, []*nats.Msg{msg})
}

// PublishLater has the lane of an action get it at a time to come, or soon after one that is past. It is on disk after
// the next Barrier. Each action waits once for a visit and once for anything else, a long delay of settle's too: whatever
// waited under its id before is replaced.
func (b *Bus) PublishLater(ctx context.Context, a events.Action, at time.Time) error {
	subj, err := actionSubject(a)
	if err != nil {
		return err
	}
	data, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("encode for %s: %w", subj, err)
	}
	waits := prefixLater
	if a.Visit != nil {
		waits = prefixVisit
	}
	return b.later(ctx, waits, subj, data, a.ID, at)
}

// actionSubject is where the lane of an action finds it.
func actionSubject(a events.Action) (string, error) {
	if err := errors.Join(connectionError(a.Connection), classError(a.Class)); err != nil {
		return "", fmt.Errorf("action %s: %w", a.ID, err)
	}
	return subject(prefixActions, a.Connection, string(a.Class), a.ID)
}

// eventMsg is the stored form of an event: CloudEvents, structured mode, under its case and content. Its size is for
// those to bound who take events in: one that was taken and comes back later has grown by the time at which it does.
func (b *Bus) eventMsg(e events.Event) (*nats.Msg, error) {
	if err := errors.Join(classError(e.Class), name("event name", e.Name())); err != nil {
		return nil, fmt.Errorf("event %s: %w", e.Type, err)
	}
	data, err := events.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("event %s: %w", e.Type, err)
	}
	msg := nats.NewMsg(prefixEvents + "." + string(e.Class) + "." + e.Name())
	msg.Data = data
	msg.Header.Set(headerContent, contentEvent)
	msg.Header.Set(jetstream.MsgIDHeader, e.Case()+"."+e.ContentHash())
	if e.TraceParent != "" {
		msg.Header.Set(headerTrace, e.TraceParent)
	}
	return msg, nil
}

// maxData bounds what ingest stores as one message, in bytes.
func (b *Bus) maxData() int64 { return min(MaxEvent, b.nc.MaxPayload()-headerRoom) }

// jsonMsg is the stored form of everything else.
func jsonMsg(subj, id string, v any) (*nats.Msg, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode for %s: %w", subj, err)
	}
	msg := nats.NewMsg(subj)
	msg.Data = data
	msg.Header.Set(headerContent, contentJSON)
	if id != "" {
		msg.Header.Set(jetstream.MsgIDHeader, id)
	}
	return msg, nil
}

// publishAll publishes the messages, in order, and waits for the acknowledgement of each. A duplicate whose stored
// copy is older than a start after an unclean stop is published again under an id of this start.
func (b *Bus) publishAll(ctx context.Context, op Op, stream string, msgs []*nats.Msg) error {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	doubted, err := b.publishOnce(ctx, op, stream, msgs)
	if err == nil && len(doubted) > 0 {
		for _, m := range doubted {
			m.Header.Set(jetstream.MsgIDHeader, m.Header.Get(jetstream.MsgIDHeader)+"."+b.opts.Boot.ID)
		}
		_, err = b.publishOnce(ctx, op, stream, doubted)
	}
	return err
}

// publishOnce publishes and waits; it returns the messages whose acknowledgement proves nothing (Boot).
func (b *Bus) publishOnce(ctx context.Context, op Op, stream string, msgs []*nats.Msg) ([]*nats.Msg, error) {
	futures := make([]jetstream.PubAckFuture, 0, len(msgs))
	var failed error
	for _, m := range msgs {
		f, err := b.begin(ctx, op, stream, m)
		if err != nil {
			failed = err
			break
		}
		futures = append(futures, f)
	}
	var doubted []*nats.Msg
	for i, f := range futures {
		ack, err := b.await(ctx, op, f)
		if err != nil {
			return nil, errors.Join(err, failed)
		}
		if ack.Duplicate && b.opts.Boot.doubts(stream, ack.Sequence) {
			doubted = append(doubted, msgs[i])
		}
	}
	return doubted, failed
}

// begin sends one message.
func (b *Bus) begin(ctx context.Context, op Op, stream string, m *nats.Msg) (jetstream.PubAckFuture, error) {
	if b.opts.Fault != nil {
		if err := b.opts.Fault(ctx, op, m.Subject, false); err != nil {
			return nil, refusal(string(op), err)
		}
	}
	f, err := b.js.PublishMsgAsync(m, jetstream.WithExpectStream(stream), jetstream.WithStallWait(stallWait))
	if err != nil {
		b.metrics.wrote(op, "error")
		b.newest.note(op, err, time.Now())
		return nil, refusal("publish "+string(op), err)
	}
	return f, nil
}

// await waits for the acknowledgement of one message.
func (b *Bus) await(ctx context.Context, op Op, f jetstream.PubAckFuture) (*jetstream.PubAck, error) {
	select {
	case ack := <-f.Ok():
		result := "stored"
		if ack.Duplicate {
			result = "duplicate"
		}
		b.metrics.wrote(op, result)
		b.newest.note(op, nil, time.Now())
		if b.opts.Fault != nil {
			if err := b.opts.Fault(ctx, op, f.Msg().Subject, true); err != nil {
				return nil, refusal(string(op), err)
			}
		}
		return ack, nil
	case err := <-f.Err():
		b.metrics.wrote(op, "error")
		b.newest.note(op, err, time.Now())
		return nil, refusal("publish "+string(op), err)
	case <-ctx.Done():
		b.metrics.wrote(op, "error")
		b.newest.note(op, ctx.Err(), time.Now())
		return nil, refusal("publish "+string(op), ctx.Err())
	}
}
