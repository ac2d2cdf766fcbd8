package lane_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"keyturn/internal/apiclient"
	"keyturn/internal/events"
	"keyturn/internal/lane"
	"keyturn/internal/ledger"
	"keyturn/internal/stream"
)

// TestACleanStopHandsOverAtOnce: the call that is out comes to its end; what waits for budget is given back.
func TestACleanStopHandsOverAtOnce(t *testing.T) {
	r := newRig(t)
	calling, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	r.call = func(ctx context.Context, call string, a events.Action) error {
		if a.Step == "out" {
			once.Do(func() {
				close(calling)
				<-release
				if ctx.Err() != nil {
					t.Error("the call was cut off")
				}
			})
		}
		return nil
	}
	one := r.worker("w1", r.connect(nil), 1)
	out := r.publish(events.Normal, "out", "user:out")
	<-calling
	waiting := r.several(3, events.Normal)
	r.until("queue at the gate", func() bool { return one.tenure.Load().Waiting() == 3 })
	two := r.worker("w2", r.connect(nil), 1)
	took := make(chan time.Duration)
	go func() { took <- one.stop() }()
	r.until("queue sent away", func() bool { return one.tenure.Load().Waiting() == 0 })
	if one.Epoch() == 0 || two.Epoch() != 0 {
		t.Errorf("epochs %d and %d while a call is out", one.Epoch(), two.Epoch())
	}
	close(release)
	if d := <-took; d > 5*time.Second {
		t.Errorf("the stop took %s", d)
	}
	began := time.Now()
	r.reach(ledger.Verified, append(waiting, out)...)
	if d := time.Since(began); d > 6*time.Second {
		t.Errorf("all was taken over after %s", d)
	}
	if one.Epoch() != 0 || two.Epoch() == 0 {
		t.Errorf("epochs %d and %d", one.Epoch(), two.Epoch())
	}
	for _, a := range append(waiting, out) {
		if rec := r.last(a); rec.Attempts != 1 {
			t.Errorf("%s was charged %d attempts", a.Step, rec.Attempts)
		}
	}
}

// TestACallThatHangsIsCutOff: a stop is over within 20 s, and what was cut off is given back.
func TestACallThatHangsIsCutOff(t *testing.T) {
	if testing.Short() {
		t.Skip("takes as long as a stop may")
	}
	t.Parallel()
	r := newRig(t)
	hung := make(chan struct{}, 1)
	var hangs atomic.Bool
	hangs.Store(true)
	r.call = func(ctx context.Context, _ string, _ events.Action) error {
		if hangs.Load() {
			hung <- struct{}{}
			<-ctx.Done()
			return &apiclient.Error{Op: "look", Err: ctx.Err()}
		}
		return nil
	}
	a := r.publish(events.Normal, "hangs", "user:1")
	one := r.worker("w1", r.connect(nil), 1)
	<-hung
	if d := one.stop(); d > lane.FinishWithin+3*time.Second || d < lane.FinishWithin {
		t.Errorf("the stop took %s", d)
	}
	hangs.Store(false)
	began := time.Now()
	r.worker("w2", r.connect(nil), 1)
	r.reach(ledger.Verified, a)
	if d := time.Since(began); d > 6*time.Second || r.last(a).Attempts != 1 {
		t.Errorf("taken over after %s, charged %d attempts", d, r.last(a).Attempts)
	}
}

// dying is a worker's connection that fails from some moment on, wholly or for its lease alone, and tells of writes.
type dying struct {
	dead  atomic.Bool
	only  stream.Op   // what fails; empty = everything
	lost  atomic.Bool // the lease is known to be lost
	mu    sync.Mutex
	wrote []string // what it wrote after that
}

func (d *dying) fault(_ context.Context, op stream.Op, subject string, persisted bool) error {
	if d.lost.Load() && persisted && op != stream.OpLease && op != stream.OpBarrier {
		d.mu.Lock()
		d.wrote = append(d.wrote, string(op)+" "+subject)
		d.mu.Unlock()
	}
	if d.dead.Load() && !persisted && (d.only == "" || d.only == op) {
		return errors.New("dead")
	}
	return nil
}

// TestADeadWorkerIsFollowed within 15 s: one that cannot reach the broker any more, and one that lost its lease alone
// and could still do harm.
func TestADeadWorkerIsFollowed(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than a lease, 9 s")
	}
	t.Parallel()
	for _, only := range []stream.Op{"", stream.OpLease} {
		t.Run("without "+string(only), func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			d := &dying{only: only}
			calling, cut := make(chan struct{}), make(chan error, 1)
			var once sync.Once
			r.call = func(ctx context.Context, _ string, a events.Action) error {
				var err error
				once.Do(func() {
					close(calling)
					<-ctx.Done()
					d.lost.Store(true)
					cut <- context.Cause(ctx)
					err = &apiclient.Error{Op: "look", Err: ctx.Err()}
				})
				return err
			}
			list := []events.Action{r.publish(events.Normal, "out", "user:out")}
			one := r.worker("w1", r.connect(d.fault), 1)
			<-calling
			list = append(list, r.several(2, events.Normal)...)
			r.until("queue at the gate", func() bool { return one.tenure.Load().Waiting() == 2 })
			epoch := one.Epoch()
			two := r.worker("w2", r.connect(nil), 1)
			d.dead.Store(true)
			died := time.Now()
			if err := <-cut; !errors.Is(err, stream.ErrLeaseLost) {
				t.Errorf("the call was cut off because of %v", err)
			}
			if after := time.Since(died); after > 6500*time.Millisecond {
				t.Errorf("the dead worker went on for %s", after)
			}
			r.until("take-over", func() bool { return two.Epoch() != 0 })
			if after := time.Since(died); after > 15*time.Second {
				t.Errorf("taken over after %s", after)
			}
			r.reach(ledger.Verified, list...)
			if after := time.Since(died); after > 25*time.Second { // and the ack wait of what the dead one had in hand
				t.Errorf("all was done after %s", after)
			}
			d.mu.Lock()
			defer d.mu.Unlock()
			if d.wrote != nil || two.Epoch() <= epoch {
				t.Errorf("the dead worker wrote %v; epoch %d after %d", d.wrote, two.Epoch(), epoch)
			}
			for _, a := range list {
				if rec := r.last(a); rec.By != "w2" || rec.Attempts != 1 {
					t.Errorf("%s is by %s, charged %d attempts", a.Step, rec.By, rec.Attempts)
				}
			}
		})
	}
}
