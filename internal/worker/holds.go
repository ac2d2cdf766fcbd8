package worker

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"keyturn/internal/admin"
	"keyturn/internal/ledger"
)

const (
	// holdsEvery is how often the worker counts the plans that are held.
	holdsEvery = time.Minute
	// holdsMargin is how far the clocks of the broker and of a worker may differ.
	holdsMargin = 5 * time.Minute
)

// holds is what a worker knows of the plans that wait for a person, a second source or the end of a pause.
type holds struct {
	mu     sync.Mutex
	since  map[string]time.Time // by case: when the plan came to be held
	newest string               // the subject of the newest record that was read
	seq    uint64               // and its place in the ledger
	kept   kept                 // what is kept of it
}

// watchHolds counts, now and every minute, until ctx ends. It reads what was written since the time before; the first time
// since the last count that anybody kept, or every plan of the ledger.
func (w *Worker) watchHolds(ctx context.Context) {
	from := w.recallHolds(ctx)
	left := afterIndex
	if from.IsZero() {
		left = afterBlocks
	}
	for {
		began := time.Now().Add(-w.bus.ClockOff()) // by the broker's clock
		switch err := w.holds.read(ctx, w.runner.Ledger, from); {
		case ctx.Err() != nil:
			return
		case err != nil:
			w.log.WarnContext(ctx, "held plans not counted", "error", err, "retry_in", holdsEvery)
		default:
			from = began.Add(-holdsMargin)
			w.keepHolds(ctx, from)
			giveBack(left)
			left = 0
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(holdsEvery):
		}
	}
}

// read takes the plans that were written since. A plan that is written again while it is held keeps its first time.
func (h *holds) read(ctx context.Context, l *ledger.Ledger, since time.Time) error {
	return l.Range(ctx, ledger.AllPlans(), since, func(rec ledger.Record) error {
		h.mu.Lock()
		defer h.mu.Unlock()
		if rec.Seq > h.seq {
			h.newest, h.seq = rec.Subject, rec.Seq
		}
		id := ledger.CaseOf(rec.Subject)
		switch _, known := h.since[id]; {
		case rec.State != ledger.Held:
			delete(h.since, id)
		case !known:
			if h.since == nil {
				h.since = map[string]time.Time{}
			}
			h.since[id] = rec.Time
		}
		return nil
	})
}

// count says how many plans are held, and since when the oldest is; zero without any.
func (h *holds) count() (n int, oldest time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, t := range h.since {
		if oldest.IsZero() || t.Before(oldest) {
			oldest = t
		}
	}
	return len(h.since), oldest
}

// register offers the figures to monitoring: whoever is to look at a held plan must learn that it waits.
func (h *holds) register(reg prometheus.Registerer, now func() time.Time) error {
	for name, figure := range map[string]struct {
		help string
		of   func() float64
	}{
		"keyturn_held_plans": {"Plans that wait for a person, a second source or the end of a pause.", func() float64 {
			n, _ := h.count()
			return float64(n)
		}},
		"keyturn_held_oldest_seconds": {"How long the oldest of the held plans waits; 0 without any.", func() float64 {
			n, oldest := h.count()
			if n == 0 {
				return 0
			}
			return now().Sub(oldest).Seconds()
		}},
	} {
		if err := reg.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: figure.help}, figure.of)); err != nil {
			return fmt.Errorf("metric %s: %w", name, err)
		}
	}
	return nil
}

// holdCheck is the held plans' part of /readyz. They do not make the worker unready: it is people who are waited for.
func (w *Worker) holdCheck() admin.Check {
	return admin.Check{Name: "holds", Run: func(context.Context) error { return nil }, Notes: func() string {
		n, oldest := w.holds.count()
		if n == 0 {
			return "nothing is held"
		}
		return fmt.Sprintf("%d plans are HELD, the oldest since %s: see keyturn holds", n, oldest.UTC().Format(time.RFC3339))
	}}
}
