package stream

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"keyturn/internal/events"
)

// Schedule headers (NATS ADR-51).
const (
	headerSchedule       = "Nats-Schedule"
	headerScheduleTarget = "Nats-Schedule-Target"
	headerScheduleTTL    = "Nats-Schedule-TTL"
	headerScheduler      = "Nats-Scheduler" // on what the server delivered to the target: the subject that it waited under
)

// schedule makes the server deliver m to target at the given time. The client's own option cuts the time to whole
// seconds, which fires up to 0.8 s early: the header is written here, with nanoseconds. The server looks once a
// second, so that it fires up to about 2 s late; whoever needs the exact time waits the rest.
func schedule(m *nats.Msg, at time.Time, target string) {
	m.Header.Set(headerSchedule, "@at "+at.UTC().Format(time.RFC3339Nano))
	m.Header.Set(headerScheduleTarget, target)
}

// Schedule stores an event until its effective time, when it comes to DueOf its class. It is on disk after the next
// Barrier. Scheduling a case again replaces what was scheduled.
func (b *Bus) Schedule(ctx context.Context, e events.Event) error {
	subj, err := subject(prefixScheduleAt, e.Case())
	if err != nil {
		return err
	}
	msg, err := b.eventMsg(e)
	if err != nil {
		return err
	}
	msg.Subject = subj
	msg.Header.Del(jetstream.MsgIDHeader) // a replacement is no duplicate
	schedule(msg, e.EffectiveAt, prefixDue+"."+string(e.Class))
	msg.Header.Set(headerScheduleTTL, month.String()) // of the fired copy
	return b.publishAll(ctx, OpSchedule, streamSchedule, []*nats.Msg{msg})
}

// Unschedule takes back what waits for a case, if anything does. It is on disk after the next Barrier. A copy that
// fired already is not taken back: the state of the plan decides.
func (b *Bus) Unschedule(ctx context.Context, caseID string) error {
	subj, err := subject(prefixScheduleAt, caseID)
	if err != nil {
		return err
	}
	return b.purge(ctx, streamSchedule, subj)
}

// purge removes what stands under a subject, all of it unless options say less.
func (b *Bus) purge(ctx context.Context, stream, subj string, less ...jetstream.StreamPurgeOpt) error {
	return b.write(ctx, OpPurge, subj, func() error {
		s, err := b.stream(ctx, stream)
		if err == nil {
			err = s.Purge(ctx, append(less, jetstream.WithPurgeSubject(subj))...)
		}
		return refusal("purge "+subj, err)
	})
}

// later stores an action, among those with the prefix waits, that the lane which reads target gets at the given time.
func (b *Bus) later(ctx context.Context, waits, target string, data []byte, action string, at time.Time) error {
	msg := nats.NewMsg(waits + strings.TrimPrefix(target, prefixActions))
	msg.Data = data
	msg.Header.Set(headerContent, contentJSON)
	schedule(msg, at, target)
	if err := b.publishAll(ctx, OpLater, streamActions, []*nats.Msg{msg}); err != nil {
		return fmt.Errorf("later %s: %w", action, err)
	}
	return nil
}
