package stream_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"keyturn/internal/stream"
	"keyturn/internal/stream/embedded"
)

// dying is a fault that lets leases be taken and then fails every renewal and release: a holder that was killed.
type dying struct{ dead atomic.Bool }

func (d *dying) fault(_ context.Context, op stream.Op, _ string, persisted bool) error {
	if op == stream.OpLease && !persisted && d.dead.Load() {
		return errors.New("dead")
	}
	return nil
}

func TestALeaseIsReleasedAtOnceAndItsEpochGrows(t *testing.T) {
	bus := connect(t, start(t, embedded.Options{}))
	var epochs []uint64
	wanted := errors.New("what run returned")
	begun := time.Now()
	for range 3 {
		err := bus.Hold(t.Context(), "okta-prod", "w1", func(_ context.Context, epoch uint64) error {
			epochs = append(epochs, epoch)
			return wanted
		})
		if !errors.Is(err, wanted) {
			t.Fatal(err)
		}
	}
	if epochs[0] == 0 || epochs[1] <= epochs[0] || epochs[2] <= epochs[1] {
		t.Errorf("epochs %v do not grow", epochs)
	}
	if d := time.Since(begun); d > 5*time.Second {
		t.Errorf("three holders one after the other took %s", d)
	}
}

func TestAWaiterFollowsACleanStopAtOnce(t *testing.T) {
	srv := start(t, embedded.Options{})
	first, second := connect(t, srv), connect(t, srv)
	ctx, cancel := context.WithCancel(t.Context())
	holds, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- first.Hold(ctx, "okta-prod", "w1", func(ctx context.Context, _ uint64) error {
			close(holds)
			<-ctx.Done()
			return nil
		})
	}()
	<-holds
	took := make(chan time.Time, 1)
	go func() {
		_ = second.Hold(t.Context(), "okta-prod", "w2", func(context.Context, uint64) error { took <- time.Now(); return nil })
	}()
	select {
	case <-took:
		t.Fatal("two holders at a time")
	case <-time.After(1200 * time.Millisecond): // long enough that the waiter asked more than once
	}
	stopped := time.Now()
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if d := (<-took).Sub(stopped); d > 2*time.Second {
		t.Errorf("taken over after %s", d)
	}
}

func TestADeadHolderStopsBeforeItIsFollowed(t *testing.T) {
	if testing.Short() {
		t.Skip("takes as long as a lease, 9 s")
	}
	t.Parallel()
	srv := start(t, embedded.Options{})
	var d dying
	first := connect(t, srv, func(o *stream.Options) { o.Fault = d.fault })
	second := connect(t, srv)
	holds, stopped, ended := make(chan struct{}), make(chan time.Time, 1), make(chan error, 1)
	var firstEpoch uint64
	go func() {
		ended <- first.Hold(t.Context(), "okta-prod", "w1", func(ctx context.Context, epoch uint64) error {
			firstEpoch = epoch
			close(holds)
			<-ctx.Done()
			if !errors.Is(context.Cause(ctx), stream.ErrLeaseLost) {
				t.Errorf("cause %v", context.Cause(ctx))
			}
			stopped <- time.Now()
			return nil
		})
	}()
	<-holds
	d.dead.Store(true)
	died := time.Now()
	err := second.Hold(t.Context(), "okta-prod", "w2", func(_ context.Context, epoch uint64) error {
		took := time.Now()
		if after := took.Sub(died); after > 15*time.Second {
			t.Errorf("taken over after %s", after)
		}
		select {
		case at := <-stopped:
			if after := at.Sub(died); after > 8*time.Second {
				t.Errorf("the dead holder went on for %s", after)
			}
		default:
			t.Error("two holders at a time")
		}
		if epoch <= firstEpoch {
			t.Errorf("epoch %d after %d", epoch, firstEpoch)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, stream.ErrLeaseLost) {
		t.Errorf("the dead holder got %v", err)
	}
}

func TestARenewalWhoseAcknowledgementWasLostIsFoundOut(t *testing.T) {
	if testing.Short() {
		t.Skip("takes several renewals, 3 s each")
	}
	t.Parallel()
	var n atomic.Int32
	bus := connect(t, start(t, embedded.Options{}), func(o *stream.Options) {
		o.Fault = func(_ context.Context, op stream.Op, _ string, persisted bool) error {
			if op == stream.OpLease && persisted && n.Add(1) == 2 { // the first renewal
				return errors.New("acknowledgement lost")
			}
			return nil
		}
	})
	err := bus.Hold(t.Context(), "okta-prod", "w1", func(ctx context.Context, _ uint64) error {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(8 * time.Second):
			return nil
		}
	})
	if err != nil || n.Load() < 3 {
		t.Errorf("%d lease writes: %v", n.Load(), err)
	}
}

func TestNeverTwoHolders(t *testing.T) {
	srv := start(t, embedded.Options{})
	connect(t, srv)
	var holders, runs atomic.Int32
	var wg sync.WaitGroup
	for range 4 {
		bus := connect(t, srv)
		wg.Go(func() {
			for range 3 {
				err := bus.Hold(t.Context(), "okta-prod", "w", func(context.Context, uint64) error {
					if holders.Add(1) > 1 {
						t.Error("two holders at a time")
					}
					runs.Add(1)
					time.Sleep(time.Millisecond)
					holders.Add(-1)
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if runs.Load() != 12 {
		t.Errorf("%d runs, want 12", runs.Load())
	}
}

func TestAWaiterEndsWithItsContext(t *testing.T) {
	bus := connect(t, start(t, embedded.Options{}))
	err := bus.Hold(t.Context(), "okta-prod", "w1", func(context.Context, uint64) error {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		return bus.Hold(ctx, "okta-prod", "w2", func(context.Context, uint64) error {
			t.Error("two holders at a time")
			return nil
		})
	})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if err := bus.Hold(t.Context(), "okta.prod", "w", nil); err == nil {
		t.Error("a lease of a connection that is no token")
	}
}
