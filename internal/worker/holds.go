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

// holdsEvery is how often the worker counts the plans that are held.
const holdsEvery = time.Minute

// holds is what a worker knows of the plans that wait for a person, a second source or the end of a pause.
type holds struct {
	mu     sync.Mutex
	since  map[string]time.Time // by case: when the plan came to be held
	newest string               // the subject of the newest record that was read
	seq    uint64               // and its place in the ledger
	kept   kept                 // what is kept of it
	keptAt time.Time
}

// watchHolds counts, now and every minute, until ctx ends. It reads what was written since the time before; the first time
// since the last count that anybody kept, or every plan of the ledger.
func (w *Worker) watchHolds(ctx context.Context) {
	left := afterIndex
	if !w.recallHolds(ctx) {
		left = afterBlocks
	}
	for {
		switch err := w.holds.read(ctx, w.runner.Ledger); {
		case ctx.Err() != nil:
			return
		case err != nil:
			w.log.WarnContext(ctx, "held plans not counted", "error", err, "retry_in", holdsEvery)
		default:
			w.keepHolds(ctx, time.Now())
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

// read takes the plans that were written behind the newest that it knows. A ledger without that one is another or an older
// one, and is read from its beginning. A plan that is written again while it is held keeps its first time.
func (h *holds) read(ctx context.Context, l *ledger.Ledger) error {
	after, err := h.place(ctx, l)
	if err != nil {
		return err
	}
	return l.After(ctx, ledger.AllPlans(), after, func(rec ledger.Record) error {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.newest, h.seq = rec.Subject, rec.Seq
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

// place is up to where the ledger is counted. What is known of another ledger is forgotten.
func (h *holds) place(ctx context.Context, l *ledger.Ledger) (uint64, error) {
	h.mu.Lock()
	newest, seq := h.newest, h.seq
	h.mu.Unlock()
	if newest == "" {
		return 0, nil
	}
	last, err := l.Last(ctx, newest)
	if err != nil || last.Seq >= seq {
		return seq, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.newest, h.seq, h.since = "", 0, nil
	return 0, nil
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
			return "nothing was held when they were counted, which is done every minute"
		}
		return fmt.Sprintf("%d plans are HELD, the oldest since %s: see keyturn holds", n, oldest.UTC().Format(time.RFC3339))
	}}
}
