package lane

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v4"
)

const (
	probeFirst = 5 * time.Second // about so long after a refusal comes the first probe; doubling
	probeLast  = 5 * time.Minute // about so long at most between two of them
	probeTime  = 30 * time.Second
	// probePeace is how long the credential must have worked before the delays begin anew: it may pass the probe and be
	// refused where it matters.
	probePeace = 10 * time.Minute
)

// breaker holds a lane still whose credential was refused: nothing goes out but one harmless read at a time, and when
// that is answered the work goes on by itself. Work that waits for it is not charged, and none of it dies of a bad key.
type breaker struct {
	probe func(context.Context) error // nil when the credential works
	stop  func(bool)                  // holds all calls back, or lets them go on
	log   *slog.Logger

	opened chan struct{} // one for each time it opens

	mu     sync.Mutex
	err    error         // why it is open; nil = closed
	since  time.Time     // when it opened
	closed chan struct{} // closed when work may go on
}

func newBreaker(probe func(context.Context) error, stop func(bool), log *slog.Logger) *breaker {
	b := &breaker{probe: probe, stop: stop, log: log, opened: make(chan struct{}, 1), closed: make(chan struct{})}
	close(b.closed)
	return b
}

// open stops the lane because of err. It may be called any number of times, by several actions at once.
func (b *breaker) open(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return
	}
	b.err, b.since, b.closed = err, time.Now(), make(chan struct{})
	b.stop(true)
	b.opened <- struct{}{} // there is room: run took the last one before it closed
	b.log.Error("lane stands still: the provider refuses the credential", "error", err,
		"next", "renew the credential or its rights; the work waits and goes on by itself")
}

// why says why the lane stands still; nil when it does not.
func (b *breaker) why() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil {
		return nil
	}
	return fmt.Errorf("credential refused since %s: %w", b.since.UTC().Format(time.RFC3339), b.err)
}

// standing says why the breaker is open and since when; nil when it is closed.
func (b *breaker) standing() (why error, since time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil {
		return nil, time.Time{}
	}
	return b.err, b.since
}

// wait returns when the lane may work, or with the error of ctx.
func (b *breaker) wait(ctx context.Context) error {
	b.mu.Lock()
	closed := b.closed
	b.mu.Unlock()
	select {
	case <-closed:
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// run probes while the breaker is open, until ctx ends.
func (b *breaker) run(ctx context.Context) {
	delay := backoff.NewExponentialBackOff(backoff.WithInitialInterval(probeFirst), backoff.WithMultiplier(2),
		backoff.WithMaxInterval(probeLast), backoff.WithMaxElapsedTime(0))
	var mended time.Time
	for {
		select {
		case <-b.opened:
		case <-ctx.Done():
			return
		}
		if time.Since(mended) > probePeace {
			delay.Reset()
		}
		for again := true; again; {
			if sleep(ctx, delay.NextBackOff()) != nil {
				return
			}
			again = !b.mend(ctx)
		}
		mended = time.Now()
	}
}

// mend probes once, and closes the breaker if the credential works.
func (b *breaker) mend(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	if err := b.probe(ctx); err != nil {
		b.log.Warn("lane stands still: the probe was not answered", "error", err)
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.log.Info("lane goes on: the credential works", "stood_for", time.Since(b.since))
	b.err = nil
	close(b.closed)
	b.stop(false)
	return true
}

// sleep waits for d, or for the end of ctx, whose error it returns then.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
