package e2e_test

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// deaths of whole workers, one after the other; each costs the time after which a lease is free (10 s).
const workers = 2

// TestCrashWorker lets a whole worker die at a random write, with all cases that it has in hand and all its leases,
// and another one take over.
func TestCrashWorker(t *testing.T) {
	t.Parallel()
	s := newScale(t)
	w := newWorld(t)
	for i := range workers {
		h := w.employ(fmt.Sprint("worker-", i), limits())
		w.held(t, h)
		began := w.launch(t, s.each)
		h.fuse.Store(int64(s.each) * (50 + s.rand.Int64N(150))) // of some 300 for each
		select {
		case <-h.died:
		case <-time.After(patience):
			t.Fatal("it never died")
		}
		h.stop()
		for _, tr := range began {
			tr.deaths <- struct{}{}
		}
	}
	w.employ("the last one", limits())
	w.finish(t)
	w.close(t)
}

// launch begins so many trials of each flow, and does not wait for them.
func (w *world) launch(t *testing.T, each int) []*trial {
	t.Helper()
	var began []*trial
	for _, f := range flows() {
		for range each {
			began = append(began, w.launchOne(t, f, func(*trial) {}))
		}
	}
	return began
}

// launchOne begins one trial, and does not wait for it. prepare is told of it before anything happens.
func (w *world) launchOne(t *testing.T, f flow, prepare func(*trial)) *trial {
	t.Helper()
	tr := w.begin(plot{flow: f})
	prepare(tr)
	w.running.Go(func() {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if err := tr.run(ctx); err != nil {
			w.complain(err)
		}
	})
	return tr
}

// finish waits for all that were launched.
func (w *world) finish(t *testing.T) {
	t.Helper()
	w.running.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

// held waits until the worker holds every lane.
func (w *world) held(t *testing.T, h *host) {
	t.Helper()
	await(t, "every lease", func() bool { return h.leases.Load() >= int64(len(w.books.Connections)) })
}

// await waits until something is so.
func await(t *testing.T, what string, so func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	end := time.After(patience)
	for !so() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("%s: never", what)
		}
	}
}
