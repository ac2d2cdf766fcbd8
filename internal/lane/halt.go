package lane

import (
	"cmp"
	"context"
	"fmt"
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

// halt keeps a lane from beginning actions while an operator's word stands, or while nobody can say whether one does.
// Each beginning asks; where the last answer was to wait, or none could be had, one of those that wait asks for all, at
// most once in half of haltLook.
type halt struct {
	ask func(context.Context, events.Action) (Pause, error) // nil = nobody can halt the lane
	log *slog.Logger

	mu     sync.Mutex // never held while asking: how the lane stands must be told whatever the broker does
	halted string     // the last answer
	unread bool       // the last question had no answer
	asking bool       // one asks for all
	asked  time.Time  // when the last question was answered, or failed
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

// clear asks whether the lane may begin, unless somebody asks for all, or was just told to wait. While nobody is, all
// ask at once.
func (h *halt) clear(ctx context.Context, a events.Action) (Pause, bool) {
	one, mine := h.turn()
	if !mine {
		return Pause{}, false
	}
	p, err := h.ask(ctx, a)
	h.mu.Lock()
	defer h.mu.Unlock()
	if one {
		h.asking = false
	}
	return h.told(ctx, p, err)
}

// still asks once more, without waiting, for an action that the lane let begin. An answer that cannot be had, or that
// somebody else is asking for, is a no: nothing is changed without it.
func (h *halt) still(ctx context.Context, a events.Action) error {
	if h.ask == nil {
		return nil
	}
	p, clear := h.clear(ctx, a)
	if why := cmp.Or(p.Action, h.why()); !clear || p.Action != "" {
		return fmt.Errorf("not begun: %s", cmp.Or(why, "pauses not read"))
	}
	return nil
}

// turn says whether the caller may ask now, and whether it is the one who asks for all.
func (h *halt) turn() (one, mine bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.halted == "" && !h.unread {
		return false, true
	}
	if h.asking || time.Since(h.asked) < haltLook/2 {
		return false, false
	}
	h.asking = true
	return true, true
}

// told takes an answer. Of two that come out of order the older one may stand until the next: it is for show, and for
// when to ask again. h.mu is held.
func (h *halt) told(ctx context.Context, p Pause, err error) (Pause, bool) {
	if err != nil && ctx.Err() != nil {
		return p, false // the one who asked left: no answer, and no fault of the broker
	}
	h.asked = time.Now()
	if err != nil {
		if !h.unread {
			h.log.WarnContext(ctx, "pauses not read: nothing is begun", "error", err, "retry_in", haltLook)
		}
		h.unread = true
		return p, false
	}
	if p.Lane != h.halted {
		h.log.WarnContext(ctx, "lane paused or resumed", "paused", p.Lane != "", "reason", p.Lane)
	}
	h.halted, h.unread = p.Lane, false
	return p, p.Lane == ""
}

// notRead is why a lane begins nothing that cannot know whether it may.
const notRead = "nobody can say whether it is paused: the broker does not give the pauses"

// why says why the lane begins nothing; empty = it does. Not to know is a reason too: else a lane that stands still would be
// shown as one that works.
func (h *halt) why() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.halted == "" && h.unread {
		return notRead
	}
	return h.halted
}
