package stream

import (
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// EVENTS is told to fill up from the first share of its bound on, and until it is below the second: what is accepted stays
// for its 30 days, and who sends most may take the room of all others. At a bound that is reached nobody's events are taken.
const (
	fillTold = 0.8
	fillOver = 0.75
)

// fill keeps how full EVENTS is. The log says once that it fills up, while there is time to give it more room.
func (b *Bus) fill(i *jetstream.StreamInfo) {
	if i.Config.MaxBytes <= 0 {
		return
	}
	share := float64(i.State.Bytes) / float64(i.Config.MaxBytes)
	b.metrics.filled.Set(share)
	told := b.filling.Load() > 0
	switch {
	case share >= fillTold, told && share >= fillOver:
		if b.filling.Swap(int64(100*share)) == 0 {
			b.log.Warn(b.Filling(), "alert", "accepted events fill their room")
		}
	default:
		b.filling.Store(0)
	}
}

// Filling says that accepted events will soon have filled their room, and what to do; empty = they have enough.
func (b *Bus) Filling() string {
	percent := b.filling.Load()
	if percent == 0 {
		return ""
	}
	return fmt.Sprintf("accepted events fill %d %% of their room, and at 100 %% none is taken from anybody: see which source sends so many, "+
		"and raise KEYTURN_STORE_MAX_BYTES, or the bound of EVENTS at servers of your own", percent)
}
