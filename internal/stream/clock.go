package stream

import (
	"context"
	"time"
)

// clockSlack is how far two clocks may be apart before anybody is told: well below the five minutes that sources tolerate
// in a signature (Standard Webhooks), and more than machines that keep time ever show.
const clockSlack = 30 * time.Second

// saw compares this process's clock with the time that the broker told between asked and now. The log says once that they
// differ, and once that they agree again.
func (b *Bus) saw(broker, asked, now time.Time) {
	off := time.Duration(0)
	switch {
	case broker.IsZero():
	case broker.Before(asked):
		off = asked.Sub(broker)
	case broker.After(now):
		off = now.Sub(broker)
	}
	before := apart(time.Duration(b.clockOff.Swap(int64(off))))
	switch after := apart(off); {
	case (before > 0) == (after > 0) && (before < 0) == (after < 0):
	case after > 0:
		b.log.Warn("this clock is ahead of the broker's: set one of the two right", "by", after.Round(time.Second).String())
	case after < 0:
		b.log.Warn("this clock is behind the broker's: set one of the two right", "by", (-after).Round(time.Second).String())
	default:
		b.log.Warn("this clock and the broker's agree again")
	}
}

// apart is a difference of two clocks as it is told: up to half a minute is none.
func apart(off time.Duration) time.Duration {
	if off.Abs() < clockSlack {
		return 0
	}
	return off
}

// ClockOff is how far this process's clock was ahead of the broker's when CheckTopology last asked; below zero it was
// behind. Up to half a minute is none.
func (b *Bus) ClockOff() time.Duration { return apart(time.Duration(b.clockOff.Load())) }

// local is the time by this process's own clock.
func (b *Bus) local() time.Time {
	if b.opts.Clock == nil {
		return time.Now()
	}
	return b.opts.Clock()
}

// Now is the time by the broker's clock, the one that all processes share: whatever one of them writes down for another to
// go by is told by it. It is this process's own time unless the two were found to differ (ClockOff).
func (b *Bus) Now() time.Time { return b.local().Add(-b.ClockOff()) }

// Come is the time that has come by the broker's clock and by this process's: the earlier of the two. Nobody knows which
// one is wrong, and what is done for good before its day is worse than what is done late.
func (b *Bus) Come() time.Time { return b.local().Add(-max(b.ClockOff(), 0)) }

// KeepTime asks the broker for its time every so often, until ctx ends. What was heard last holds while it is away.
func (b *Bus) KeepTime(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			_ = b.CheckTopology(ctx) // what else is wrong Ready tells
		case <-ctx.Done():
			return
		}
	}
}
