package stream

import "time"

// clockSlack is how far two clocks may be apart before anybody is told: well below the five minutes that sources tolerate
// in a signature (Standard Webhooks), and more than machines that keep time ever show.
const clockSlack = 30 * time.Second

// saw compares this process's clock with the time that the broker told between asked and now.
func (b *Bus) saw(broker, asked, now time.Time) {
	off := time.Duration(0)
	switch {
	case broker.IsZero():
	case broker.Before(asked):
		off = asked.Sub(broker)
	case broker.After(now):
		off = now.Sub(broker)
	}
	b.clockOff.Store(int64(off))
}

// ClockOff is how far this process's clock was ahead of the broker's when Ready last asked; below zero it was behind. Up
// to half a minute is none.
func (b *Bus) ClockOff() time.Duration {
	off := time.Duration(b.clockOff.Load())
	if off.Abs() < clockSlack {
		return 0
	}
	return off
}
