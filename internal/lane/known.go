package lane

import (
	"time"

	"keyturn/internal/apiclient"
)

// Limit is a rate limit that is known from elsewhere than replies.
type Limit struct {
	Calls  int           // a window; at least 1
	Window time.Duration // how long a window is; at least 2 s. One begins with the first reply after the one before
}

// known keeps a bucket to a limit of which replies tell nothing: it counts the calls by itself, and is a bucket to which
// each reply told that count. nil keeps to nothing.
type known struct {
	limit  Limit
	bucket bucket
}

// newKnown gives what is known of a bucket; nil when that is nothing.
func newKnown(b Budget, name string) *known {
	limit, ok := b.Known[name]
	if !ok {
		return nil
	}
	return &known{limit: limit, bucket: bucket{budget: b, limit: limit.Calls}}
}

func (k *known) free(rank int, now time.Time) (wait time.Duration, ok bool) {
	if k == nil {
		return 0, true
	}
	return k.bucket.told(rank, now)
}

func (k *known) take(now time.Time) {
	if k != nil {
		k.bucket.take(now)
	}
}

// learn counts a call that returned, answered or not.
func (k *known) learn(now time.Time) {
	if k == nil {
		return
	}
	b := &k.bucket
	b.turn(now)
	said := apiclient.Budget{Limit: k.limit.Calls, Remaining: k.limit.Calls - 1, Reset: k.limit.Window, Ends: now.Add(k.limit.Window)}
	if b.open {
		said.Remaining, said.Reset, said.Ends = max(b.left-1, 0), b.ends.Sub(now), b.window
	}
	b.learn(said, now)
}

// tighter gives the bucket of the two limits that gives fewer calls in the same time: what a person wants to see.
func (b *bucket) tighter() *bucket {
	if b.known == nil {
		return b
	}
	k := &b.known.bucket
	if told := float64(b.limit) * k.span.Seconds(); b.limit > 0 && told <= float64(k.limit)*b.span.Seconds() {
		return b
	}
	return k
}
