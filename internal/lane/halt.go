package lane

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// haltLook is how soon a lane that stands still on an operator's word looks whether it still does. It is what a resume
// takes to be heard.
const haltLook = 500 * time.Millisecond

// halt keeps a lane from beginning actions while an operator's word stands. Each beginning asks; while the answer is
// to wait, one of those that wait asks for all.
type halt struct {
	ask func(context.Context) (why string, err error) // empty = go on; nil = nobody can halt the lane
	log *slog.Logger

	mu     sync.Mutex
	halted string    // the last answer
	asked  time.Time // when a halt was last confirmed
}

// wait returns when the lane may begin an action, or with the error of ctx. An answer that cannot be had is waited for:
// nothing is begun without it.
func (h *halt) wait(ctx context.Context) error {
	for h.ask != nil && !h.clear(ctx) {
		if err := sleep(ctx, haltLook); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// clear asks whether the lane may begin, unless somebody was just told to wait.
func (h *halt) clear(ctx context.Context) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.halted != "" && time.Since(h.asked) < haltLook/2 {
		return false
	}
	why, err := h.ask(ctx)
	switch {
	case err != nil && ctx.Err() != nil:
		return false
	case err != nil:
		h.log.WarnContext(ctx, "pauses not read: nothing is begun", "error", err, "retry_in", haltLook)
		return false
	case why != h.halted:
		h.log.WarnContext(ctx, "lane paused or resumed", "paused", why != "", "reason", why)
	}
	h.halted, h.asked = why, time.Now()
	return why == ""
}

// why says why the lane begins nothing; empty = it does.
func (h *halt) why() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.halted
}
