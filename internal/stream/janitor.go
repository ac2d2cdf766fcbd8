package stream

import (
	"context"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Sweep removes the actions that every reader is done with: for each consumer of ACTIONS, what matches its filter at
// or below its ack floor. What waits for later has subjects of its own, which no such filter matches, and is never
// touched. An acknowledgement stands behind the barrier, so that what is removed is proven elsewhere.
func (b *Bus) Sweep(ctx context.Context) error {
	s, err := b.stream(ctx, streamActions)
	if err != nil {
		return refusal("sweep "+streamActions, err)
	}
	list := s.ListConsumers(ctx)
	for info := range list.Info() {
		filter, floor := info.Config.FilterSubject, info.AckFloor.Stream
		if floor == 0 || !strings.HasPrefix(filter, prefixActions+".") {
			continue
		}
		err := b.write(ctx, OpPurge, filter, func() error {
			return s.Purge(ctx, jetstream.WithPurgeSubject(filter), jetstream.WithPurgeSequence(floor+1))
		})
		if err != nil {
			return refusal("sweep "+filter, err)
		}
	}
	if err := list.Err(); err != nil {
		return refusal("sweep "+streamActions, err)
	}
	return nil
}

// Janitor sweeps every interval until ctx ends. Several workers may do so at the same time.
func (b *Bus) Janitor(ctx context.Context, interval time.Duration) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := b.Sweep(ctx); err != nil && ctx.Err() == nil {
			b.log.WarnContext(ctx, "sweep", "error", err)
		}
	}
}
