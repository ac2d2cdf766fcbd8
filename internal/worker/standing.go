package worker

import (
	"context"
	"encoding/json"
	"time"

	"keyturn/internal/lane"
	"keyturn/internal/reads"
	"keyturn/internal/stream"
)

// tell answers how the lane stands, on one page.
func (d *desk) tell(ctx context.Context, holder string, send func([]byte) error) error {
	queues, err := d.Queues(ctx, d.connection.Name)
	if err != nil {
		return err
	}
	page, err := json.Marshal(standing(d.lane, holder, queues, time.Now()))
	if err != nil {
		return err
	}
	return send(page)
}

// standing is how a lane stands, as its holder sees it. Until it has begun, and when it has ended, that is nothing but
// its queues.
func standing(l *lane.Lane, holder string, queues []stream.Queue, now time.Time) reads.Lane {
	told := reads.Lane{Connection: l.Connection, Standing: reads.NotHeld}
	state, held := l.State()
	for _, q := range queues {
		told.Queues = append(told.Queues, QueueOf(q, state.InHand[q.Class], state.AtGate[q.Class]))
	}
	if !held {
		return told
	}
	told.Standing, told.Worker, told.Epoch, told.Since = reads.Working, holder, state.Epoch, state.Since.UTC()
	switch {
	case state.Broken != nil:
		told.Standing, told.Why, told.Stopped = reads.Open, state.Broken.Error(), state.Opened.UTC()
		told.Fault = string(state.Fault)
	case state.Halted != "":
		told.Standing, told.Why = reads.Halted, state.Halted
	}
	for _, l := range state.Lacks {
		told.Lacks = append(told.Lacks, reads.Lack{Right: l.Right, Since: l.Since.UTC(), Actions: l.Actions, Why: l.Err.Error()})
	}
	told.Places = &reads.Places{AtOnce: state.Ceiling, Most: state.Most, Flying: state.InFlight}
	for _, b := range state.Buckets {
		told.Buckets = append(told.Buckets, windowOf(b, now))
	}
	if state.TokenHeld.After(now) {
		told.Buckets = append(told.Buckets, reads.Window{Bucket: reads.TokenEndpoint, Paused: state.TokenHeld.UTC()})
	}
	told.Rate = &reads.Rate{Calls: state.Calls, Actions: state.Actions}
	f := state.Forecast(told.ToDo(), now)
	told.Forecast = &reads.Forecast{Actions: told.ToDo(), Seconds: f.In.Seconds(), Bucket: f.By, Unknown: f.Why}
	return told
}

// QueueOf is a queue as it is shown, when so many of its actions are in the hands of the lane's holder.
func QueueOf(q stream.Queue, inHand, atGate int) reads.Queue {
	told := reads.Queue{Class: string(q.Class), InHand: inHand, AtGate: atGate, Later: int(q.Later), Visits: int(q.Visits), Oldest: q.Oldest.UTC()} //nolint:gosec // counts of messages
	told.Waiting = int(q.Waiting) + max(q.Taken-inHand, 0)                                                                                          //nolint:gosec // as above
	if q.Oldest.IsZero() {
		told.Oldest = time.Time{}
	}
	return told
}

// windowOf is a bucket as it is shown.
func windowOf(s lane.Seen, now time.Time) reads.Window {
	w := reads.Window{Bucket: s.Bucket, Limit: s.Limit, Allowed: s.Allowed, Flying: s.Flying, Known: s.Known && s.Limit > 0}
	if w.Known {
		w.Left, w.Resets = s.Left, s.Reset.UTC()
	}
	if s.Pause.After(now) {
		w.Paused = s.Pause.UTC()
	}
	return w
}
