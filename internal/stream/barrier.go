package stream

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// ErrBarrier: a barrier failed, so that nobody knows what the disk holds. It never heals: the process must end, and
// the store must pass its check before the next start.
var ErrBarrier = errors.New("durability barrier failed")

// Barrier makes what the server acknowledged survive a power cut, with one sync for all who wait at the same time.
//
// A round is everybody who came before the round's sync began; the next round begins when it returned and somebody is in
// a hurry. Who comes to Wait is, and there is no timer for him: a single waiter pays one sync, sixty-four pay one
// together. Who comes to Ride goes with the next round that anybody is in a hurry for, within a few milliseconds. After an error every Wait fails, at once
// and for ever: since Linux 5.8 a write-back error is reported once per open file, so a second sync that succeeds
// says nothing about the data that the first one lost (syncfs(2), "ERRORS").
type Barrier struct {
	sync   func() error
	onFail func(error)

	mu      sync.Mutex
	next    *round // who waits for the sync after the one that runs
	running bool
	err     error
	failed  chan struct{}
	stats   BarrierStats
}

// round is one sync and those who wait for it.
type round struct {
	done  chan struct{} // closed when err is set
	err   error
	hurry bool // it begins as soon as it can
}

// rideWithin is how long a round waits at most for somebody in a hurry: an acknowledgement that comes so late costs nobody
// anything, and a sync of its own would keep those waiting who answer a sender.
const rideWithin = 5 * time.Millisecond

// BarrierStats counts what a Barrier did since it was made.
type BarrierStats struct {
	Rounds uint64        // syncs that ended
	Waits  uint64        // waiters that they served
	Busy   time.Duration // time spent in them
}

// NewBarrier makes a barrier over sync, which must flush everything that the server wrote before it was called, and
// must go on reporting through the same open file for the life of the process. onFail, when not nil, is called once,
// at the first error, before anybody is told.
func NewBarrier(sync func() error, onFail func(error)) *Barrier {
	return &Barrier{sync: sync, onFail: onFail, failed: make(chan struct{})}
}

// Wait returns nil when everything that the server had acknowledged before the call is on disk. When ctx ends first,
// nothing is known, and its error is returned.
func (b *Barrier) Wait(ctx context.Context) error { return b.await(ctx, true) }

// Ride is Wait for who is in no hurry.
func (b *Barrier) Ride(ctx context.Context) error { return b.await(ctx, false) }

func (b *Barrier) await(ctx context.Context, hurry bool) error {
	r, err := b.join(hurry)
	if err != nil {
		return err
	}
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// join registers the caller in the next round, and starts it when none runs and it is in a hurry by now.
func (b *Barrier) join(hurry bool) (*round, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return nil, b.err
	}
	r := b.next
	if r == nil {
		r = &round{done: make(chan struct{})}
		b.next = r
		if !hurry {
			time.AfterFunc(rideWithin, func() { b.start(r) })
		}
	}
	b.stats.Waits++
	if hurry {
		b.hasten(r)
	}
	return r, nil
}

// start has the round begin, unless it did.
func (b *Barrier) start(r *round) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next == r {
		b.hasten(r)
	}
}

// hasten has the next round begin as soon as it can. b.mu is held.
func (b *Barrier) hasten(r *round) {
	r.hurry = true
	if !b.running {
		b.running = true
		go b.run()
	}
}

// run serves rounds until nobody is in a hurry.
func (b *Barrier) run() {
	for {
		b.mu.Lock()
		r := b.next
		if r == nil || !r.hurry {
			b.running = false
			b.mu.Unlock()
			return
		}
		b.next = nil // whoever comes from here on may have written after the sync began
		err := b.err
		b.mu.Unlock()
		if err == nil {
			err = b.flush()
		}
		r.err = err
		close(r.done)
	}
}

// flush runs one sync, and makes an error of it final.
func (b *Barrier) flush() error {
	start := time.Now()
	err := b.sync()
	b.mu.Lock()
	b.stats.Rounds++
	b.stats.Busy += time.Since(start)
	b.mu.Unlock()
	if err != nil {
		return b.Fail(err)
	}
	return nil
}

// Fail makes every later Wait fail because of cause, and returns the error that they get: the first one.
func (b *Barrier) Fail(cause error) error {
	b.mu.Lock()
	first := b.err == nil
	if first {
		b.err = fmt.Errorf("%w: %w", ErrBarrier, cause)
	}
	err := b.err
	b.mu.Unlock()
	if first {
		if b.onFail != nil {
			b.onFail(err)
		}
		close(b.failed)
	}
	return err
}

// Err is the error that made the barrier fail; nil while it holds.
func (b *Barrier) Err() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

// Failed is closed when the barrier has failed.
func (b *Barrier) Failed() <-chan struct{} { return b.failed }

// Stats are the counts so far.
func (b *Barrier) Stats() BarrierStats {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.stats
}

// barrierSubject is where the process that owns an embedded store waits on behalf of others (an operator's tool that
// came in through the loopback listener). It is a plain request, not stored.
const barrierSubject = "keyturn.barrier"

// Barrier returns nil when everything that this process published, and got acknowledged, is on disk. Under Always the
// acknowledgement itself says so, and there is nothing to wait for.
func (b *Bus) Barrier(ctx context.Context) error {
	start := time.Now()
	err := b.write(ctx, OpBarrier, "", func() error { return b.wait(ctx) })
	b.metrics.waited(time.Since(start), err)
	return barrierError(err)
}

// ride is Barrier for who is in no hurry.
func (b *Bus) ride(ctx context.Context) error {
	if b.opts.Barrier == nil {
		return b.Barrier(ctx)
	}
	return barrierError(b.write(ctx, OpBarrier, "", func() error { return b.opts.Barrier.Ride(ctx) }))
}

// barrierError classifies the end of a wait.
func barrierError(err error) error {
	if err != nil {
		return &unavailable{op: "barrier", retry: retryAway, err: err}
	}
	return nil
}

// wait is Barrier without its fault, count and class of error.
func (b *Bus) wait(ctx context.Context) error {
	switch {
	case b.opts.Barrier != nil:
		return b.opts.Barrier.Wait(ctx)
	case b.opts.Durability == Group:
		return b.waitRemote(ctx)
	}
	return nil
}

// waitRemote asks the process that owns the store.
func (b *Bus) waitRemote(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	m, err := b.nc.RequestWithContext(ctx, barrierSubject, nil)
	if err != nil {
		return fmt.Errorf("barrier of the store's owner: %w", err)
	}
	if why := string(m.Data); why != "" {
		return fmt.Errorf("%w: %s", ErrBarrier, why)
	}
	return nil
}

// serveBarrier answers waitRemote, if this process owns a barrier. Every request waits by itself, so that they share
// rounds.
func (b *Bus) serveBarrier() error {
	if b.opts.Barrier == nil {
		return nil
	}
	_, err := b.nc.QueueSubscribe(barrierSubject, "owners", func(m *nats.Msg) {
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), publishTimeout)
			defer cancel()
			var why []byte
			if err := b.opts.Barrier.Wait(ctx); err != nil {
				why = []byte(err.Error())
			}
			_ = m.Respond(why) // a lost answer is a failed wait on the other side
		}()
	})
	return err
}
