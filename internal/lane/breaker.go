package lane

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"keyturn/internal/apiclient"
)

const (
	probeFirst = 5 * time.Second // after a refusal, before the first probe
	probeCap   = 5 * time.Minute // at most between two probes
	probeTime  = 30 * time.Second
	// probePeace is how long after a refusal a new one counts as new. Until then the delays go on growing: a
	// credential may pass the probe and be refused where it matters.
	probePeace = 10 * time.Minute
)

// Breaker stands between a lane and a connection whose credential is refused. While it is open nothing is pulled and
// nothing is charged; one probe at a time asks whether the credential works again, and the first that does closes it.
// The zero Breaker with a Probe is ready and closed. It is safe for concurrent use.
type Breaker struct {
	Connection string
	Probe      func(context.Context) error // the connection's harmless read
	Log        *slog.Logger                // nil = silent

	mu     sync.Mutex
	err    error         // why it is open; nil = closed
	since  time.Time     // when it opened
	turned chan struct{} // closed at the next turn
	row    int           // refusals in a row
}

// Trip opens the breaker because of err.
func (b *Breaker) Trip(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return
	}
	if b.row > 0 && time.Since(b.since) > probePeace {
		b.row = 0
	}
	b.err, b.since = err, time.Now()
	b.row++
	b.turn()
	b.log(slog.LevelError, "the credential is refused; the lane waits", slog.String("error", err.Error()))
}

// Err says why the breaker is open; nil when it is closed.
func (b *Breaker) Err() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil {
		return nil
	}
	return fmt.Errorf("%s: credential refused since %s: %w", b.Connection, b.since.UTC().Format(time.RFC3339), b.err)
}

// Wait returns when the breaker is closed, or with the context's error.
func (b *Breaker) Wait(ctx context.Context) error { return b.until(ctx, false) }

// until waits for the breaker to be open, or not.
func (b *Breaker) until(ctx context.Context, open bool) error {
	for {
		b.mu.Lock()
		is, turned := b.err != nil, b.turns()
		b.mu.Unlock()
		if err := ctx.Err(); err != nil || is == open {
			return err
		}
		select {
		case <-turned:
		case <-ctx.Done():
		}
	}
}

// Run probes whenever the breaker is open, until ctx ends.
func (b *Breaker) Run(ctx context.Context) {
	for b.until(ctx, true) == nil {
		b.mu.Lock()
		n := b.row
		b.mu.Unlock()
		for ; ; n++ {
			if sleep(ctx, probeDelay(n)) != nil {
				return
			}
			if b.probe(ctx) {
				break
			}
		}
	}
}

// probeDelay is the delay before the n-th probe: exponential, a quarter of it at random.
func probeDelay(n int) time.Duration {
	d := min(probeFirst<<min(max(n-1, 0), 10), probeCap)
	return d - rand.N(d/4)
}

// probe asks once, and closes the breaker if the credential works.
func (b *Breaker) probe(ctx context.Context) bool {
	call, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	err := b.Probe(call)
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil {
		if e, ok := errors.AsType[*apiclient.Error](err); ok && e.Cause == apiclient.Denied {
			b.err = err
		}
		b.log(slog.LevelWarn, "the credential does not work yet", slog.String("error", err.Error()))
		return false
	}
	b.log(slog.LevelInfo, "the credential works; the lane goes on", slog.Duration("waited", time.Since(b.since)))
	b.err, b.since = nil, time.Now()
	b.turn()
	return true
}

// turns is closed at the next turn. The caller holds mu.
func (b *Breaker) turns() <-chan struct{} {
	if b.turned == nil {
		b.turned = make(chan struct{})
	}
	return b.turned
}

// turn wakes those who wait. The caller holds mu.
func (b *Breaker) turn() {
	if b.turned != nil {
		close(b.turned)
		b.turned = nil
	}
}

func (b *Breaker) log(level slog.Level, msg string, attrs ...slog.Attr) {
	if b.Log != nil {
		b.Log.LogAttrs(context.Background(), level, msg, append(attrs, slog.String("connection", b.Connection))...)
	}
}

// sleep waits for d, or for the end of ctx, whose error it gives.
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
