package lane

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v4"

	"keyturn/internal/apiclient"
)

const (
	probeFirst = 5 * time.Second // after the refusal, doubling
	probeLast  = 5 * time.Minute
)

// Breaker stops a lane whose credential was refused: nothing goes out but one harmless read at a time, and when that
// is answered the work goes on by itself. Work that waits for it is not charged, and none of it dies of a bad key.
type Breaker struct {
	Connection string
	// Probe makes the harmless read: nil when the credential works.
	Probe func(ctx context.Context) error
	Log   *slog.Logger

	mu     sync.Mutex
	opened chan struct{} // wakes Run; made by the first use
	closed chan struct{} // not nil while open; closed when work may go on
	why    error
	since  time.Time
}

// Open stops the lane because of err. It may be called any number of times, by several actions at once.
func (b *Breaker) Open(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed != nil {
		return
	}
	b.closed, b.why, b.since = make(chan struct{}), err, time.Now()
	select {
	case b.wake() <- struct{}{}:
	default:
	}
	b.Log.Error("lane stopped: the provider refuses the credential", "connection", b.Connection, "error", err,
		"next", "renew the credential or its rights; the work waits and goes on by itself")
}

// wake is made on first use, so that a Breaker needs no constructor. The caller holds the lock.
func (b *Breaker) wake() chan struct{} {
	if b.opened == nil {
		b.opened = make(chan struct{}, 1)
	}
	return b.opened
}

// Err says why the lane stands still; nil when it does not.
func (b *Breaker) Err() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.why
}

// Wait returns when the lane may work, or with the error of ctx.
func (b *Breaker) Wait(ctx context.Context) error {
	b.mu.Lock()
	closed := b.closed
	b.mu.Unlock()
	if closed == nil {
		return ctx.Err()
	}
	select {
	case <-closed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Run probes while the breaker is open, until ctx ends.
func (b *Breaker) Run(ctx context.Context) {
	b.mu.Lock()
	opened := b.wake()
	b.mu.Unlock()
	if b.Err() != nil {
		b.probe(ctx) // it was open when this worker lost the lane
	}
	for {
		select {
		case <-opened:
			b.probe(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// probe asks, less and less often, until the credential works. A provider that is merely slow or full closes it too:
// that is for the gate and the actions to deal with.
func (b *Breaker) probe(ctx context.Context) {
	delay := backoff.NewExponentialBackOff(backoff.WithInitialInterval(probeFirst), backoff.WithMultiplier(2),
		backoff.WithMaxInterval(probeLast), backoff.WithMaxElapsedTime(0))
	for {
		timer := time.NewTimer(delay.NextBackOff())
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
		if err := b.Probe(ctx); err == nil || ctx.Err() == nil && apiclient.CauseOf(err) == apiclient.Later {
			b.close()
			return
		}
	}
}

// close lets the work go on.
func (b *Breaker) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.Log.Info("lane goes on: the credential works again", "connection", b.Connection, "stood_for", time.Since(b.since))
	close(b.closed)
	b.closed, b.why = nil, nil
}
