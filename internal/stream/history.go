package stream

import (
	"context"
	"strings"
	"time"
)

// History hands over the events that were stored at or after since, oldest first, up to the newest at the call. It
// disturbs nobody who works them off. Each is given in its wire form, which is the taker's to keep; what is stored of
// deliveries that could not be mapped is left out.
func (b *Bus) History(ctx context.Context, since time.Time, fn func(data []byte, stored time.Time) error) error {
	const filter = prefixEvents + ".>"
	s, err := b.stream(ctx, streamEvents)
	if err != nil {
		return refusal("history of "+streamEvents, err)
	}
	return b.walk(ctx, s, walk{filter: filter, since: since}, func(m kept) error {
		if strings.HasPrefix(m.subject, prefixFaults+".") {
			return nil
		}
		return fn(m.data, m.stored)
	})
}
