// Package unlimited measures how much of a provider's speed is left when it knows no limits: the whole way of an action
// through a lane, with its records in the ledger and its outcome on disk before it is acknowledged, beside the same HTTP
// calls with nothing around them, and beside a job queue on PostgreSQL that makes them.
//
// The queue on PostgreSQL comes in three forms: with the records that Keyturn keeps (what is intended is on disk before
// the change, what was seen and the end of the case after it, each chained to the one before), which is the same work; and
// with nothing but a row per job, whose outcome is committed by itself or with others.
//
// All sides have 32 calls in flight, at the same provider, on the same disk, in turn: a drift of the machine hits all
// alike. What is durable on one side is on the others: an outcome is synced before its job counts as done.
package unlimited

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"keyturn/internal/bench/figures"
)

// The bounds.
const (
	ofBare     = 0.35 // of the rate of bare calls
	ofPostgres = 1.8  // times the rate of a queue on PostgreSQL
)

// actionsPerRun is how many actions one run brings about.
const actionsPerRun = 6000

// bench is what the sides share.
type bench struct {
	dir      string
	provider *Provider
	postgres *postgres // nil = not here
}

// jobs are the actions of one run.
type jobs struct {
	count     int
	suspended bool // the users are suspended already: one look proves it
	now       time.Time
}

func (j jobs) user(i int) string { return fmt.Sprintf("00u%017d", i) }

// side is one way to do them.
type side struct {
	name string
	run  func(ctx context.Context, j jobs) (spent, error)
}

// spent is what the jobs of one run took.
type spent struct {
	time      time.Duration
	processor time.Duration // of this process, the provider in it included; 0 = unknown
}

// watch measures until the returned function is called.
func watch() func() spent {
	began, before := time.Now(), processor()
	return func() spent { return spent{time.Since(began), processor() - before} }
}

// The sides' names.
const (
	sideBare    = "calls alone"
	sideLanes   = "Keyturn"
	sideRecords = "PostgreSQL, Keyturn's records"
	sideEach    = "PostgreSQL, a commit per outcome"
	sideBatch   = "PostgreSQL, outcomes in batches"
)

// Run measures count times and prints the medians. Where PostgreSQL is not installed it says so.
func Run(ctx context.Context, w io.Writer, count int) (err error) {
	b := &bench{}
	if b.dir, err = os.MkdirTemp("", "keyturn-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	if b.provider, err = StartProvider(nil); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.provider.Close()) }()
	b.postgres, err = newPostgres(ctx, b.dir)
	if errors.Is(err, errNoPostgres) {
		_, err = fmt.Fprintf(w, "the queue on PostgreSQL is left out: %v\n", err)
	}
	if err != nil {
		return err
	}
	return b.measure(ctx, w, count)
}

// sides lists what is measured.
func (b *bench) sides() []side {
	list := []side{{sideBare, b.bare}, {sideLanes, b.lanes}}
	if b.postgres != nil {
		list = append(list,
			side{sideRecords, func(ctx context.Context, j jobs) (spent, error) { return b.queued(ctx, j, "-records") }},
			side{sideEach, func(ctx context.Context, j jobs) (spent, error) { return b.queued(ctx, j) }},
			side{sideBatch, func(ctx context.Context, j jobs) (spent, error) { return b.queued(ctx, j, "-batch") }})
	}
	return list
}

// row is the figures of one side, of several runs.
type row struct {
	rates []float64 // actions a second
	calls float64   // an action
	costs []float64 // of this process an action, the provider in it included, in microseconds of a processor
}

// same is a figure that is one already.
func same(f float64) float64 { return f }

func (r row) rate() float64 { return figures.Median(r.rates, same) }

// measure runs every side on both kinds of work.
func (b *bench) measure(ctx context.Context, w io.Writer, count int) error {
	cost, err := figures.SyncCost(b.dir)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "one append and fsync takes %s here; %d actions a run, medians of %d, %d calls in flight\n", cost, actionsPerRun, count, inFlight)
	for _, suspended := range []bool{false, true} {
		rows := map[string]*row{}
		for range count {
			for _, s := range b.sides() {
				if err := b.once(ctx, s, jobs{count: actionsPerRun, suspended: suspended, now: time.Now().UTC()}, rows); err != nil {
					return fmt.Errorf("%s: %w", s.name, err)
				}
			}
		}
		if err := b.print(w, suspended, rows); err != nil {
			return err
		}
	}
	return nil
}

// once runs one side once.
func (b *bench) once(ctx context.Context, s side, j jobs, rows map[string]*row) error {
	b.provider.suspended.Clear()
	if j.suspended {
		for i := range j.count {
			b.provider.suspended.Store(j.user(i), true)
		}
	}
	runtime.GC()
	before := b.provider.calls.Load()
	got, err := s.run(ctx, j)
	if err != nil {
		return err
	}
	if rows[s.name] == nil {
		rows[s.name] = &row{}
	}
	r := rows[s.name]
	r.rates = append(r.rates, float64(j.count)/got.time.Seconds())
	r.costs = append(r.costs, float64(got.processor.Microseconds())/float64(j.count))
	r.calls = float64(b.provider.calls.Load()-before) / float64(j.count)
	return nil
}

// print writes the table of one kind of work.
func (b *bench) print(w io.Writer, suspended bool, rows map[string]*row) error {
	what := "suspend a user who is active, and prove it"
	if suspended {
		what = "prove that a user is suspended who was so already"
	}
	fmt.Fprintf(w, "\n%s\n", what)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "side\tactions/s\tcalls an action\tprocessor an action\tKeyturn is\tbound\tholds")
	ours := rows[sideLanes].rate()
	for _, s := range b.sides() {
		r := rows[s.name]
		fmt.Fprintf(t, "%s\t%.0f\t%.2f\t", s.name, r.rate(), r.calls)
		switch {
		case s.name == sideBare:
			fmt.Fprintf(t, "%.0f µs\t%.0f %% of it\t>= %.0f %%\t%s\n", figures.Median(r.costs, same), 100*ours/r.rate(), 100*ofBare, figures.Holds(ours/r.rate() >= ofBare))
		case strings.HasPrefix(s.name, "PostgreSQL"):
			fmt.Fprintf(t, "\t%.2f times it\t>= %.1f\t%s\n", ours/r.rate(), ofPostgres, figures.Holds(ours/r.rate() >= ofPostgres))
		default:
			fmt.Fprintf(t, "%.0f µs\t\t\t\n", figures.Median(r.costs, same))
		}
	}
	return t.Flush()
}

// processor is the time of processors that this process has used.
func processor() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
