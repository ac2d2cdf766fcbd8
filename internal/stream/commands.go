package stream

import (
	"context"

	"github.com/nats-io/nats.go"

	"keyturn/internal/events"
)

// PublishCommand stores what an operator asks for, behind the barrier. A command repeated under the same id is one.
func (b *Bus) PublishCommand(ctx context.Context, c events.Command) error {
	if err := b.ready(); err != nil {
		return err
	}
	subj, err := subject(prefixCommands, string(c.Verb), c.ID)
	if err != nil {
		return err
	}
	msg, err := jsonMsg(subj, c.ID, c)
	if err != nil {
		return err
	}
	if err := b.publishAll(ctx, OpCommand, streamCommands, []*nats.Msg{msg}); err != nil {
		return err
	}
	return b.Barrier(ctx)
}
