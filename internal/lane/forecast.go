package lane

import (
	"math"
	"time"
)

// Forecast is when a lane will have done what waits.
type Forecast struct {
	In  time.Duration // from now
	By  string        // the bucket whose budget decides; empty = how fast the lane was of late does
	Why string        // why nobody can say; empty = In holds
}

// Forecast tells when so many actions will be done. An action is taken to need as many calls of each bucket as those
// before it did, and each window to hold what the last one held: work of another kind may take longer or less. The
// reserves of the classes count for nothing here, as the end of a window serves whoever is left.
func (s State) Forecast(actions int, now time.Time) Forecast {
	switch {
	case actions <= 0:
		return Forecast{}
	case s.Broken != nil:
		return Forecast{Why: "the breaker is open"}
	case s.Halted != "":
		return Forecast{Why: "the lane is paused"}
	case s.TokenHeld.After(now):
		return Forecast{Why: "the token endpoint wants to be left alone"}
	case s.Done == 0:
		return Forecast{Why: "nothing was done yet by which to tell"}
	}
	var f Forecast
	for _, b := range s.Buckets {
		if in := b.enough(float64(b.Calls)/float64(s.Done)*float64(actions), now); in > f.In {
			f = Forecast{In: in, By: b.Bucket}
		}
	}
	if f.By != "" {
		return f
	}
	over := min(max(now.Sub(s.Since), time.Second), rateOver)
	if s.Actions == 0 {
		return Forecast{Why: "nothing was done within the last minute"}
	}
	return Forecast{In: lasting(float64(over) * float64(actions) / float64(s.Actions))}
}

// lasting gives so many nanoseconds, and no more than a duration can tell of when the rest is added: a provider that says
// one call an hour, and a queue of millions.
func lasting(ns float64) time.Duration { return time.Duration(min(ns, math.MaxInt64/2)) }

// enough is how long the bucket takes to give so many calls; 0 when it has them now, or is not known to be limited.
func (b Seen) enough(calls float64, now time.Time) time.Duration {
	if b.Limit <= 0 || b.Span <= 0 {
		return max(b.Pause.Sub(now), 0)
	}
	left, ends := float64(b.Allowed), now.Add(b.Span)
	if b.Known {
		left, ends = float64(b.Left), b.Reset
	}
	if b.Pause.After(now) { // nothing goes before; what is left then depends on others
		left, ends = 0, b.Pause
	}
	if calls <= left {
		return 0
	}
	windows := math.Ceil((calls - left) / float64(max(b.Allowed, 1)))
	return ends.Sub(now) + lasting((windows-1)*float64(b.Span))
}
