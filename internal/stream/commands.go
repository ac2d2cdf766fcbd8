package stream

import (
	"context"

	"github.com/nats-io/nats.go"

	"keyturn/internal/events"
)

// PublishCommand stores what an operator asks for, behind one barrier for all. A command repeated under the same id is
// one. On an error some may be stored already; all of them may be repeated.
func (b *Bus) PublishCommand(ctx context.Context, list ...events.Command) error {
	if err := b.ready(); err != nil {
		return err
	}
	msgs := make([]*nats.Msg, len(list))
	for i, c := range list {
		subj, err := subject(prefixCommands, string(c.Verb), c.ID)
		if err != nil {
			return err
		}
		if msgs[i], err = jsonMsg(subj, c.ID, c); err != nil {
			return err
		}
	}
	if err := b.publishAll(ctx, OpCommand, streamCommands, msgs); err != nil {
		return err
	}
	return b.Barrier(ctx)
}
