package lane

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"keyturn/internal/events"
)

// TestWhoAsksHoldsNobody: a broker that does not answer is asked once for all who wait, also when it then fails, and
// how the lane stands is told meanwhile.
func TestWhoAsksHoldsNobody(t *testing.T) {
	for _, before := range []string{"paused by ann", ""} {
		synctest.Test(t, func(t *testing.T) {
			var asks atomic.Int64
			answer := make(chan error)
			h := &halt{log: slog.New(slog.DiscardHandler), halted: before, unread: before == ""}
			h.ask = func(ctx context.Context, _ events.Action) (Pause, error) {
				asks.Add(1)
				select {
				case err := <-answer:
					return Pause{}, err
				case <-ctx.Done():
					return Pause{}, ctx.Err()
				}
			}
			begun := make(chan error, 50)
			for range cap(begun) {
				go func() { _, err := h.wait(t.Context(), events.Action{}); begun <- err }()
			}
			time.Sleep(time.Minute) // frozen
			if asks.Load() != 1 || h.why() != cmp.Or(before, notRead) {
				t.Errorf("asked %d times; halted: %q", asks.Load(), h.why())
			}
			for n := range int64(20) {
				answer <- errors.New("no answer")
				time.Sleep(10 * haltLook)
				if asks.Load() != n+2 || len(begun) != 0 {
					t.Fatalf("asked %d times after %d failures, %d begun", asks.Load(), n+1, len(begun))
				}
			}
			close(answer)
			for range cap(begun) {
				if err := <-begun; err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// TestWhoLeavesAsksForNobody: the one who asks for all is stopped, and another one asks.
func TestWhoLeavesAsksForNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &halt{log: slog.New(slog.DiscardHandler), halted: "paused by ann", asked: time.Now()}
		h.ask = func(ctx context.Context, a events.Action) (Pause, error) {
			if a.ID == "leaves" {
				<-ctx.Done()
				return Pause{}, ctx.Err()
			}
			return Pause{}, nil
		}
		ctx, leave := context.WithCancel(t.Context())
		left := make(chan error)
		go func() { _, err := h.wait(ctx, events.Action{ID: "leaves"}); left <- err }()
		time.Sleep(haltLook + time.Millisecond)
		leave()
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if _, err := h.wait(t.Context(), events.Action{ID: "stays"}); err != nil || h.why() != "" {
			t.Errorf("%v, halted: %q", err, h.why())
		}
	})
}
