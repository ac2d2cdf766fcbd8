package lane

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"keyturn/internal/events"
)

// Pause is what an operator's word means for an action that is about to begin. The zero value lets it.
type Pause struct {
	Lane   string    // why the lane begins nothing; empty = it may
	Action string    // why this action is not begun, and others are; empty = it may be
	Until  time.Time // when Action ends by itself
}

// stayLook is how soon an action that stands still, in a lane that does not, comes back to ask again: long enough for it
// to leave its consumer, where it would hold a place that others need.
const stayLook = 75 * time.Second

// stay is when an action comes again that an operator lets not begin.
func (p Pause) stay(now time.Time) events.Outcome {
	return events.Outcome{Verdict: events.Retry, Delay: min(max(p.Until.Sub(now), time.Second), stayLook)}
}

// haltLook is how soon a lane that stands still on an operator's word looks whether it still does. It is what a resume
// takes to be heard.
const haltLook = 500 * time.Millisecond

// halt keeps a lane from beginning actions while an operator's word stands. Each beginning asks; while the answer is
// to wait, one of those that wait asks for all.
type halt struct {
	ask func(context.Context, events.Action) (Pause, error) // nil = nobody can halt the lane
	log *slog.Logger

	mu     sync.Mutex
	halted string    // the last answer
	asked  time.Time // when a halt was last confirmed
}

// wait returns when the lane may begin actions, with what is said of this one, or with the error of ctx. An answer that
// cannot be had is waited for: nothing is begun without it.
func (h *halt) wait(ctx context.Context, a events.Action) (Pause, error) {
	if h.ask == nil {
		return Pause{}, ctx.Err()
	}
	for {
		if p, clear := h.clear(ctx, a); clear {
			return p, ctx.Err()
		}
		if err := sleep(ctx, haltLook); err != nil {
			return Pause{}, err
		}
	}
}

// clear asks whether the lane may begin, unless somebody was just told to wait. While nobody is, all ask at once.
func (h *halt) clear(ctx context.Context, a events.Action) (Pause, bool) {
	h.mu.Lock()
	if h.halted == "" {
		h.mu.Unlock()
		p, err := h.ask(ctx, a)
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.told(ctx, p, err)
	}
	defer h.mu.Unlock()
	if time.Since(h.asked) < haltLook/2 {
		return Pause{}, false
	}
	p, err := h.ask(ctx, a)
	return h.told(ctx, p, err)
}

// told takes an answer. Of two that come out of order the older one may stand until the next: it is for show, and for
// when to ask again.
func (h *halt) told(ctx context.Context, p Pause, err error) (Pause, bool) {
	switch {
	case err != nil && ctx.Err() != nil:
		return p, false
	case err != nil:
		h.log.WarnContext(ctx, "pauses not read: nothing is begun", "error", err, "retry_in", haltLook)
		return p, false
	case p.Lane != h.halted:
		h.log.WarnContext(ctx, "lane paused or resumed", "paused", p.Lane != "", "reason", p.Lane)
	}
	h.halted, h.asked = p.Lane, time.Now()
	return p, p.Lane == ""
}

// why says why the lane begins nothing; empty = it does.
func (h *halt) why() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.halted
}
