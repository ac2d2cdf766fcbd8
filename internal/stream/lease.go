package stream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
)

const (
	// leaseRenew is how often a holder renews, and leaseAgain how soon it tries again when a renewal failed.
	leaseRenew = 3 * time.Second
	leaseAgain = 500 * time.Millisecond
	// leaseSafe is how long after its last good renewal a holder may still act. The holder counts it on its monotonic
	// clock from before the renewal was sent, the server counts leaseTTL from after it: the difference covers a step of
	// the server's clock, and the calls that are being cancelled.
	leaseSafe = 6 * time.Second
	// leaseGiveBack is how long a release may take. A broker that does not answer by then keeps the next holder waiting
	// until the lease ends by itself, and must not keep a process that stops.
	leaseGiveBack = 2 * time.Second
	// leaseAsk is how often a waiter asks for a lease: the end of a dead holder's lease wakes nobody.
	leaseAsk = 500 * time.Millisecond
)

// holding is the value of a lease. The token is new for every acquisition: how a holder knows its own value again
// after a lost acknowledgement.
type holding struct {
	Holder string    `json:"holder"`
	Token  string    `json:"token"`
	Since  time.Time `json:"since"`
}

// lease is one acquisition.
type lease struct {
	bus   *Bus
	kv    jetstream.KeyValue
	key   string
	value []byte
	token string
	rev   uint64    // of the newest value of ours that is known
	good  time.Time // when the last good renewal was sent
}

// Hold waits for the lease of a connection, runs run while it holds, and releases it. The context of run ends with
// ctx, and at the latest 6 s after the last good renewal, then with the cause ErrLeaseLost: run must return without
// delay. The epoch grows with every acquisition, also through a power cut: it is on disk before run begins.
//
// It returns what run returned; ErrLeaseLost when the lease ended under it; the error of ctx when that ended while it
// waited. A dead holder is followed within 15 s, one that returned at once. A panic of run passes through without a
// release, like a death.
func (b *Bus) Hold(ctx context.Context, connection, holder string, run func(ctx context.Context, epoch uint64) error) error {
	if err := connectionError(connection); err != nil {
		return err
	}
	l, err := b.acquire(ctx, connection, holder)
	if err != nil {
		return err
	}
	epoch := l.rev
	held, lose := context.WithCancelCause(ctx)
	defer lose(nil)
	// Renewals go on while run comes to its end after ctx: it is still the holder.
	renewing, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	done := make(chan error, 1)
	go func() {
		err := l.renew(renewing)
		lose(err)
		done <- err
	}()
	err = run(held, epoch)
	stop()
	if lost := <-done; lost != nil {
		return errors.Join(lost, err)
	}
	l.release(ctx)
	return err
}

// acquire takes the lease, waiting for it until ctx ends.
func (b *Bus) acquire(ctx context.Context, key, holder string) (*lease, error) {
	var wake waker
	defer wake.stop()
	delay := newDelay()
	for ctx.Err() == nil {
		l, err := b.take(ctx, key, holder)
		switch {
		case err == nil:
			return l, nil
		case ctx.Err() != nil:
		case errors.Is(err, ErrConflict):
			wake.wait(ctx, b, key)
			delay.Reset()
		default:
			wait := delay.NextBackOff()
			b.log.WarnContext(ctx, "lease not taken", "connection", key, "error", err, "retry_in", wait)
			pause(ctx, wait)
		}
	}
	return nil, ctx.Err()
}

// take tries once; ErrConflict when somebody holds it.
func (b *Bus) take(ctx context.Context, key, holder string) (*lease, error) {
	kv, err := b.kv(ctx, bucketLeases)
	if err != nil {
		return nil, err
	}
	l := &lease{bus: b, kv: kv, key: key, token: nuid.Next(), good: time.Now()}
	if l.value, err = json.Marshal(holding{Holder: holder, Token: l.token, Since: l.good.UTC()}); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithDeadline(ctx, l.good.Add(leaseSafe))
	defer cancel()
	err = b.write(ctx, OpLease, key, func() error {
		l.rev, err = kv.Create(ctx, key, l.value)
		return err
	})
	if errors.Is(err, jetstream.ErrKeyExists) {
		return nil, fmt.Errorf("lease %s: %w", key, ErrConflict)
	}
	if err != nil {
		return nil, err // if it was stored after all, nobody renews it, and it ends
	}
	// Without the barrier a power cut could take the acquisition away but leave records of its epoch, and the next
	// holder would get the same epoch again.
	if err := b.Barrier(ctx); err != nil {
		return nil, err
	}
	return l, nil
}

// waker watches a lease that somebody else has. One watch serves the whole wait: each is a consumer at the server.
type waker struct{ watch jetstream.KeyWatcher }

// wait returns when the lease may be free: it was released, or it is time to ask again.
func (w *waker) wait(ctx context.Context, b *Bus, key string) {
	if w.watch == nil {
		if kv, err := b.kv(ctx, bucketLeases); err == nil {
			w.watch, _ = kv.Watch(ctx, key) // without it the next question comes a little later
		}
	}
	var updates <-chan jetstream.KeyValueEntry
	if w.watch != nil {
		updates = w.watch.Updates()
	}
	ask := time.NewTimer(leaseAsk)
	defer ask.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ask.C:
			return
		case e, ok := <-updates:
			if !ok {
				w.stop()
				updates = nil
			} else if e != nil && e.Operation() != jetstream.KeyValuePut {
				return
			}
		}
	}
}

// stop ends the watch.
func (w *waker) stop() {
	if w.watch != nil {
		_ = w.watch.Stop()
		w.watch = nil
	}
}

// renew keeps the lease until ctx ends, or gives ErrLeaseLost.
func (l *lease) renew(ctx context.Context) error {
	wait := leaseRenew
	for {
		pause(ctx, min(wait, time.Until(l.good.Add(leaseSafe))))
		if ctx.Err() != nil {
			return nil
		}
		err := l.update(ctx)
		switch {
		case err == nil:
			wait = leaseRenew
		case errors.Is(err, ErrLeaseLost):
			return err
		case time.Since(l.good) >= leaseSafe:
			return fmt.Errorf("lease %s: %w: not renewed for %s: %w", l.key, ErrLeaseLost, leaseSafe, err)
		default:
			wait = leaseAgain
		}
	}
}

// update renews once. A stop does not cut it off, so that its result is known when it is.
func (l *lease) update(ctx context.Context) error {
	sent := time.Now()
	ctx, cancel := context.WithDeadline(context.WithoutCancel(ctx), l.good.Add(leaseSafe))
	defer cancel()
	var rev uint64
	err := l.bus.write(ctx, OpLease, l.key, func() error {
		var err error
		rev, err = l.kv.Update(ctx, l.key, l.value, l.rev)
		return err
	})
	switch {
	case err == nil:
		l.rev, l.good = rev, sent
		return nil
	case errors.Is(err, jetstream.ErrKeyExists), conflict(err):
		return l.adopt(ctx)
	}
	return err
}

// adopt looks who wrote the key: this lease itself, when an acknowledgement was lost, or somebody else. What it finds
// counts as no renewal, because nobody knows when it was sent; the next one does.
func (l *lease) adopt(ctx context.Context) error {
	e, err := l.kv.Get(ctx, l.key)
	if err != nil && !errors.Is(err, jetstream.ErrKeyNotFound) {
		return err
	}
	var h holding
	if err == nil && json.Unmarshal(e.Value(), &h) == nil && h.Token == l.token && e.Revision() > l.rev {
		l.rev = e.Revision()
		return errors.New("an acknowledgement was lost")
	}
	return fmt.Errorf("lease %s: %w: somebody else has it", l.key, ErrLeaseLost)
}

// release ends the lease, so that a waiter takes it at once. If it fails, the lease ends by itself.
func (l *lease) release(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaseGiveBack)
	defer cancel()
	err := l.bus.write(ctx, OpLease, l.key, func() error {
		return l.kv.Delete(ctx, l.key, jetstream.LastRevision(l.rev))
	})
	if err != nil {
		l.bus.log.WarnContext(ctx, "lease not released", "connection", l.key, "error", err)
	}
}

// pause waits for d, or for the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
