package stream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"keyturn/internal/ledger"
)

// records is the LEDGER stream as the ledger wants it.
type records struct{ bus *Bus }

// Log gives the ledger its store. A record is on disk after the next Barrier.
func (b *Bus) Log() ledger.Log { return records{bus: b} }

// Append implements ledger.Log: the server compares and stores in one step.
func (r records) Append(ctx context.Context, subj string, after uint64, data []byte) (uint64, error) {
	msg := nats.NewMsg(subj)
	msg.Data = data
	msg.Header.Set(headerContent, contentJSON)
	var seq uint64
	err := r.bus.write(ctx, OpAppend, subj, func() (err error) {
		seq, err = r.publish(ctx, msg, after)
		return err
	})
	r.bus.newest.note(OpAppend, err, time.Now())
	switch {
	case err == nil:
		r.bus.metrics.wrote(OpAppend, "stored")
		return seq, nil
	case conflict(err):
		r.bus.metrics.wrote(OpAppend, "conflict")
		return 0, fmt.Errorf("append %s after %d: %w", subj, after, ledger.ErrConflict)
	}
	r.bus.metrics.wrote(OpAppend, "error")
	return 0, refusal("append "+subj, err)
}

// publish stores msg as the record behind the one at sequence after, or gives up after publishTimeout (accept).
// Acknowledgements come to all who wait through one subscription, at two thirds of what a request each costs.
func (r records) publish(ctx context.Context, msg *nats.Msg, after uint64) (uint64, error) {
	if ctx.Err() != nil { // whoever lost a lease writes no more
		return 0, ctx.Err()
	}
	f, err := r.bus.js.PublishMsgAsync(msg, jetstream.WithExpectStream(streamLedger),
		jetstream.WithExpectLastSequencePerSubject(after), jetstream.WithStallWait(stallWait))
	if err != nil {
		return 0, err
	}
	select {
	case ack := <-f.Ok():
		return ack.Sequence, nil
	case err := <-f.Err():
		return 0, err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// Last implements ledger.Log: the stream's leader answers. Who asks for a subject while others wait to, is answered with
// them, by one read that begins after all of them asked.
func (r records) Last(ctx context.Context, subj string) (uint64, []byte, error) {
	return r.bus.reads.share(ctx, subj, func() (uint64, []byte, error) { return r.last(ctx, subj) })
}

// last reads the newest record.
func (r records) last(ctx context.Context, subj string) (uint64, []byte, error) {
	s, err := r.bus.stream(ctx, streamLedger)
	if err != nil {
		return 0, nil, refusal("last of "+subj, err)
	}
	raw, err := s.GetLastMsgForSubject(ctx, subj)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return 0, nil, fmt.Errorf("last of %s: %w", subj, ledger.ErrNotFound)
	}
	if err != nil {
		return 0, nil, refusal("last of "+subj, err)
	}
	return raw.Sequence, raw.Data, nil
}

// Range implements ledger.Log.
func (r records) Range(ctx context.Context, filter string, from ledger.From,
	fn func(subject string, seq uint64, data []byte) error) error {
	s, err := r.bus.stream(ctx, streamLedger)
	if err != nil {
		return refusal("range "+filter, err)
	}
	return r.bus.walk(ctx, s, walk{filter: filter, since: from.Time, after: from.After}, func(m kept) error { return fn(m.subject, m.seq, m.data) })
}

// kept is a message as a stream keeps it.
type kept struct {
	subject string
	seq     uint64
	data    []byte
	stored  time.Time
}

// walk reads a stream in order: what matches filter, from the first message stored at or after since on, or from the one
// behind the sequence after, up to the message that is the newest match when it begins.
type walk struct {
	filter string
	since  time.Time
	after  uint64
}

const (
	// walkSingly is how many messages are read one by one from the leader, which is the fastest for one case, before a
	// consumer is made for the rest.
	walkSingly = 64
	// walkPatience is how long a consumer may be silent before the leader is asked what comes next: its replica may
	// lag, or the messages up to the end were removed meanwhile.
	walkPatience = 2 * time.Second
)

// walk runs w over s, handing each message to fn until fn returns an error.
func (b *Bus) walk(ctx context.Context, s jetstream.Stream, w walk, fn func(kept) error) error {
	last, err := s.GetLastMsgForSubject(ctx, w.filter)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil
	}
	if err != nil {
		return refusal("range "+w.filter, err)
	}
	if !w.since.IsZero() && last.Time.Before(w.since) {
		return nil
	}
	next := w.after + 1
	if w.since.IsZero() {
		if next, err = singly(ctx, s, w.filter, next, last.Sequence, walkSingly, fn); err != nil {
			return err
		}
	}
	if next > last.Sequence {
		return nil
	}
	return b.inBulk(ctx, s, w, next, last.Sequence, fn)
}

// singly reads at most limit messages one by one from the leader, and returns the sequence to go on from.
func singly(ctx context.Context, s jetstream.Stream, filter string, next, end uint64, limit int,
	fn func(kept) error) (uint64, error) {
	for ; limit > 0 && next <= end; limit-- {
		raw, err := s.GetMsg(ctx, next, jetstream.WithGetMsgSubject(filter))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return end + 1, nil
		}
		if err != nil {
			return next, refusal("range "+filter, err)
		}
		if raw.Sequence > end {
			return end + 1, nil
		}
		if err := fn(kept{raw.Subject, raw.Sequence, raw.Data, raw.Time}); err != nil {
			return next, err
		}
		next = raw.Sequence + 1
	}
	return next, nil
}

// inBulk reads the rest through ordered consumers, which the server forgets by themselves. One that falls silent is
// replaced, and the leader asked meanwhile: on a cluster its first request may have found nobody who knows of it yet, and the
// client does not repeat that while it is asked again and again for a short time.
func (b *Bus) inBulk(ctx context.Context, s jetstream.Stream, w walk, next, end uint64, fn func(kept) error) error {
	for next <= end {
		var silent bool
		var err error
		if next, silent, err = inOrder(ctx, s, w, next, end, fn); err != nil {
			return err
		}
		if !silent || !w.since.IsZero() && next == 1 { // not begun: only a consumer knows where
			continue
		}
		if next, err = singly(ctx, s, w.filter, next, end, walkSingly, fn); err != nil {
			return err
		}
	}
	return nil
}

// inOrder reads through one ordered consumer, until it has all or is silent.
func inOrder(ctx context.Context, s jetstream.Stream, w walk, next, end uint64, fn func(kept) error) (uint64, bool, error) {
	cfg := jetstream.OrderedConsumerConfig{FilterSubjects: []string{w.filter},
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: next}
	if !w.since.IsZero() && next == 1 {
		cfg.DeliverPolicy, cfg.OptStartSeq, cfg.OptStartTime = jetstream.DeliverByStartTimePolicy, 0, &w.since
	}
	cons, err := s.OrderedConsumer(ctx, cfg)
	if err != nil {
		return next, false, refusal("range "+w.filter, err)
	}
	iter, err := cons.Messages()
	if err != nil {
		return next, false, refusal("range "+w.filter, err)
	}
	defer iter.Stop()
	for next <= end {
		var silent bool
		if next, silent, err = bulkStep(ctx, iter, w, next, end, fn); err != nil || silent {
			return next, silent, err
		}
	}
	return next, false, nil
}

// bulkStep takes one message from the consumer, or says that it is silent.
func bulkStep(ctx context.Context, iter jetstream.MessagesContext, w walk, next, end uint64, fn func(kept) error) (uint64, bool, error) {
	waiting, cancel := context.WithTimeout(ctx, walkPatience)
	defer cancel()
	msg, err := iter.Next(jetstream.NextContext(waiting))
	if err != nil {
		if ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
			return next, false, refusal("range "+w.filter, err)
		}
		return next, true, nil
	}
	meta, err := msg.Metadata()
	if err != nil {
		return next, false, err
	}
	seq := meta.Sequence.Stream
	switch {
	case seq > end:
		return end + 1, false, nil
	case seq < next: // read from the leader already
		return next, false, nil
	}
	return seq + 1, false, fn(kept{msg.Subject(), seq, msg.Data(), meta.Timestamp})
}
