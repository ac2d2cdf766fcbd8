// Package size measures what `keyturn serve` costs as it is shipped, in a process of its own: how long a webhook takes to
// the first call at the provider, how long a start takes with a large ledger and how much memory it needs, and whether
// the intake minds a long queue.
package size

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"text/tabwriter"
	"time"

	"keyturn/internal/bench/figures"
	"keyturn/internal/bench/unlimited"
)

// The bounds.
const (
	boundStart = 3 * time.Second
	boundSize  = 350.0 // MiB
	boundRatio = 0.95  // of the intake's rate without a queue: what a run differs from the next
)

const (
	ledgerKeys     = 1_000_000
	pendingActions = 100_000
	floodFor       = 500 * time.Millisecond // little is planned meanwhile, of which how much is chance
	floodOver      = 64                     // connections
	floodPairs     = 5                      // of floods, for each run: one may differ by half from the next
	// settleFor is how long after the start the memory is looked at: the worker reads what it has not counted meanwhile.
	settleFor = 10 * time.Second
)

// Run measures count times and prints the medians.
func Run(ctx context.Context, w io.Writer, count int) (err error) {
	dir, err := os.MkdirTemp("", "keyturn-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	bin, err := build(ctx, dir)
	if err != nil {
		return err
	}
	p, err := unlimited.StartProvider(nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	p.Spend() // whatever is in the queue waits for its budget
	b := &bench{bin: bin, dir: dir, conf: filepath.Join(dir, "config"), count: count}
	if err := configure(b.conf, p.URL); err != nil {
		return err
	}
	return b.measure(ctx, w)
}

// bench is what both measurements share.
type bench struct {
	bin, dir, conf string
	count          int
}

// start is what one start measured.
type start struct {
	ready     time.Duration
	rss, most float64
}

// measure fills the ledger, and measures the intake and the starts.
func (b *bench) measure(ctx context.Context, w io.Writer) error {
	store := filepath.Join(b.dir, "large")
	began := time.Now()
	if err := fill(ctx, store, ledgerKeys); err != nil {
		return fmt.Errorf("fill the ledger: %w", err)
	}
	fmt.Fprintf(w, "a ledger of %d keys, made in %s\n", ledgerKeys, time.Since(began).Round(time.Second))
	if err := b.floods(ctx, w); err != nil {
		return err
	}
	return b.starts(ctx, w, store)
}

// starts measures starts over a large ledger: after a clean stop, and after a kill.
func (b *bench) starts(ctx context.Context, w io.Writer, store string) error {
	fmt.Fprintf(w, "\nstarts over the large ledger, medians of %d\n", b.count)
	first, err := b.acquaint(ctx, store)
	if err != nil {
		return err
	}
	var clean, killed []start
	for range b.count {
		s, err := b.start(ctx, store, syscall.SIGKILL) // it began after a clean stop
		if err != nil {
			return err
		}
		clean = append(clean, s)
		if s, err = b.start(ctx, store, syscall.SIGTERM); err != nil {
			return err
		}
		killed = append(killed, s)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "start\tuntil ready\tbound\tholds\tmemory (RSS)\tbound\tholds\tmost of it")
	for _, row := range []struct {
		name string
		runs []start
	}{{"after a clean stop", clean}, {"after a kill", killed}} {
		ready := figures.Median(row.runs, func(s start) time.Duration { return s.ready }).Round(10 * time.Millisecond)
		rss := figures.Median(row.runs, func(s start) float64 { return s.rss })
		fmt.Fprintf(t, "%s\t%s\t<= %s\t%s\t%.0f MiB\t<= %.0f MiB\t%s\t%.0f MiB\n", row.name, ready, boundStart, figures.Holds(ready <= boundStart),
			rss, boundSize, figures.Holds(rss <= boundSize), figures.Median(row.runs, func(s start) float64 { return s.most }))
	}
	fmt.Fprintf(t, "the first of all, which reads every plan\t%s\t\t\t%.0f MiB\t\t\t%.0f MiB\n", first.ready.Round(10*time.Millisecond), first.rss, first.most)
	return t.Flush()
}

// acquaint starts once over a ledger that no worker has seen, and waits until it has nothing to do any more: it reads every
// plan, and keeps what the next start is to know of them.
func (b *bench) acquaint(ctx context.Context, store string) (start, error) {
	s, err := serve(ctx, b.bin, store, b.conf)
	if err != nil {
		return start{}, err
	}
	got := start{ready: s.ready}
	err = s.calm(ctx, calmLoad)
	var errs [2]error
	got.rss, errs[0] = s.memory("VmRSS")
	got.most, errs[1] = s.memory("VmHWM")
	return got, errors.Join(err, errs[0], errs[1], s.end(syscall.SIGTERM))
}

// start starts once, looks at the memory when the start is worked off, and ends it with a signal.
func (b *bench) start(ctx context.Context, store string, sig syscall.Signal) (start, error) {
	s, err := serve(ctx, b.bin, store, b.conf)
	if err != nil {
		return start{}, err
	}
	got := start{ready: s.ready}
	select {
	case <-time.After(settleFor):
	case <-ctx.Done():
	}
	var errs [2]error
	got.rss, errs[0] = s.memory("VmRSS")
	got.most, errs[1] = s.memory("VmHWM")
	return got, errors.Join(errs[0], errs[1], s.end(sig))
}

// floods measures the intake with and without a long queue, in two processes beside each other that are flooded in turn: what
// a disk gives differs more from one minute to the next than a queue could cost.
func (b *bench) floods(ctx context.Context, w io.Writer) (err error) {
	var sides [2]*served // without a queue, and with
	for i, side := range []struct {
		store   string
		actions int
	}{{"none", 0}, {"queue", pendingActions}} {
		store := filepath.Join(b.dir, side.store)
		if err := queue(ctx, store, side.actions); err != nil {
			return fmt.Errorf("fill the queue: %w", err)
		}
		s, err := serve(ctx, b.bin, store, b.conf)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, s.stop()) }()
		sides[i] = s
	}
	for _, s := range sides {
		if err := s.calm(ctx, calmLoad); err != nil { // what a start costs is measured by itself
			return err
		}
	}
	var ratios []float64
	var got [2][]intake
	for n := range floodPairs * b.count {
		for turn := range 2 {
			i := (n + turn) % 2 // each is the first as often as the second
			one, err := sides[i].flood(ctx, n)
			if err != nil {
				return err
			}
			got[i] = append(got[i], one)
		}
		ratios = append(ratios, got[1][n].rate/got[0][n].rate)
	}
	rate := func(i intake) float64 { return i.rate }
	cost := func(i intake) float64 { return i.cost }
	ratio := figures.Median(ratios, func(r float64) float64 { return r })
	fmt.Fprintf(w, "\nintake over %d connections, medians of %d pairs of runs of %s, in processes beside each other\n", floodOver, len(ratios), floodFor)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "queue\tof a processor for each\t202/s\tof that without\tbound\tholds")
	fmt.Fprintf(t, "empty\t%.2f ms\t%.0f\t\t\t\n", figures.Median(got[0], cost), figures.Median(got[0], rate))
	fmt.Fprintf(t, "%d actions wait for their provider\t%.2f ms\t%.0f\t%.0f %%\t>= %.0f %%\t%s\n", pendingActions,
		figures.Median(got[1], cost), figures.Median(got[1], rate), 100*ratio, 100*boundRatio, figures.Holds(ratio >= boundRatio))
	return t.Flush()
}

// intake is what one flood measured.
type intake struct {
	rate float64 // 202s a second
	cost float64 // ms of a processor for each, with what is planned meanwhile
}

// flood measures the intake once, and waits until what it took is planned, so that the next one has the machine.
func (s *served) flood(ctx context.Context, n int) (got intake, err error) {
	before, err := s.processor()
	if err != nil {
		return got, err
	}
	if got.rate, err = flood(ctx, s.URL, fmt.Sprintf("f%02d", n), floodOver, floodFor); err != nil {
		return got, err
	}
	after, err := s.processor()
	if err != nil {
		return got, err
	}
	got.cost = float64(after-before) / float64(time.Millisecond) / (got.rate * floodFor.Seconds())
	return got, s.calm(ctx, plannedLoad)
}
