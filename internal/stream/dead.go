package stream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"keyturn/internal/events"
)

// noSource stands for a source in the subject of a letter that names none, or something that no source can be called.
const noSource = "unknown"

// deadSubject is where a dead letter stands: dead.<connection>.<action>, dead.conflict.<case>,
// dead.fault.<source>.<fault>.
func deadSubject(d events.DeadLetter) (string, error) {
	switch d.Kind {
	case events.DeadAction:
		if err := connectionError(d.Connection); err != nil {
			return "", fmt.Errorf("dead letter %s: %w", d.ID, err)
		}
		return subject(prefixDead, d.Connection, d.ID)
	case events.DeadConflict:
		return subject(prefixDead, d.Kind, d.ID)
	case events.DeadFault:
		source := d.Source
		if token("source", source) != nil {
			source = noSource // of an event that no intake of ours stored
		}
		return subject(prefixDead, d.Kind, source, d.ID)
	}
	return "", fmt.Errorf("dead letter %s: kind %q is none", d.ID, d.Kind)
}

// Bury stores a dead letter until a person redrives or drops it. It is on disk after the next Barrier. Burying the
// same one again replaces it. What the server does not take for its size is kept without its original: that a person hears
// of it is worth more.
func (b *Bus) Bury(ctx context.Context, d events.DeadLetter) error {
	subj, err := deadSubject(d)
	if err != nil {
		return err
	}
	msg, err := jsonMsg(subj, "", d)
	if err != nil {
		return err
	}
	err = b.publishAll(ctx, OpBury, streamDead, []*nats.Msg{msg})
	if !errors.Is(err, ErrTooLarge) || d.Original == nil {
		return err
	}
	d.Original = nil
	d.Error += " (the original is too large to be kept with this letter)"
	if msg, err = jsonMsg(subj, "", d); err != nil {
		return err
	}
	return b.publishAll(ctx, OpBury, streamDead, []*nats.Msg{msg})
}

// DeadLetter reads one dead letter by its id; ErrNotFound when it is not (or no longer) there.
func (b *Bus) DeadLetter(ctx context.Context, id string) (events.DeadLetter, error) {
	d, _, err := b.deadLetter(ctx, id)
	return d, err
}

// deadLetter finds a dead letter under any kind, and where it stands.
func (b *Bus) deadLetter(ctx context.Context, id string) (events.DeadLetter, *jetstream.RawStreamMsg, error) {
	if err := token("dead letter", id); err != nil {
		return events.DeadLetter{}, nil, err
	}
	s, err := b.stream(ctx, streamDead)
	if err != nil {
		return events.DeadLetter{}, nil, refusal("dead letter "+id, err)
	}
	for _, filter := range []string{prefixDead + ".*." + id, prefixDead + "." + events.DeadFault + ".*." + id} {
		raw, err := s.GetLastMsgForSubject(ctx, filter)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			return events.DeadLetter{}, nil, refusal("dead letter "+id, err)
		}
		var d events.DeadLetter
		if err := json.Unmarshal(raw.Data, &d); err != nil {
			return events.DeadLetter{}, nil, fmt.Errorf("dead letter %s: %w", id, err)
		}
		return d, raw, nil
	}
	return events.DeadLetter{}, nil, fmt.Errorf("dead letter %s: %w", id, ErrNotFound)
}

// DeadLetters hands every dead letter to fn, oldest first, until fn returns an error.
func (b *Bus) DeadLetters(ctx context.Context, fn func(events.DeadLetter) error) error {
	s, err := b.stream(ctx, streamDead)
	if err != nil {
		return refusal("dead letters", err)
	}
	return b.walk(ctx, s, walk{filter: prefixDead + ".>"}, func(m kept) error {
		var d events.DeadLetter
		if err := json.Unmarshal(m.data, &d); err != nil {
			return fmt.Errorf("dead letter %s: %w", m.subject, err)
		}
		return fn(d)
	})
}

// CountDead is how many dead letters wait for a person.
func (b *Bus) CountDead(ctx context.Context) (uint64, error) {
	s, err := b.stream(ctx, streamDead)
	if err != nil {
		return 0, refusal("dead letters", err)
	}
	info, err := s.Info(ctx)
	if err != nil {
		return 0, refusal("dead letters", err)
	}
	return info.State.Msgs, nil
}

// Unbury removes a dead letter; one that is not there is no error, so that a redrive or a drop may be repeated. One that
// is buried meanwhile stays. It is on disk after the next Barrier.
func (b *Bus) Unbury(ctx context.Context, id string) error {
	return b.exhume(ctx, id, func(events.DeadLetter) bool { return true })
}

// Exhume removes the letter of one death, as Unbury does; the letter of any other one stays.
func (b *Bus) Exhume(ctx context.Context, id string, died time.Time) error {
	return b.exhume(ctx, id, func(d events.DeadLetter) bool { return d.Time.Equal(died) })
}

// exhume removes a letter that is as it should be. It goes by where that one stands: whoever dies again at this moment
// has a new letter under the same subject.
func (b *Bus) exhume(ctx context.Context, id string, is func(events.DeadLetter) bool) error {
	d, raw, err := b.deadLetter(ctx, id)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil || !is(d) {
		return err
	}
	return b.purge(ctx, streamDead, raw.Subject, jetstream.WithPurgeSequence(raw.Sequence+1))
}
