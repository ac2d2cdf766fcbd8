// Package intake measures the intake: signed webhooks over HTTP until 202, with one connection and with many, for every
// durability mode in one run, so that the ratios hold on any machine. Absolute figures of two runs do not compare.
//
// It measures the disk as it is, and once more with a fixed time added to every fsync and syncfs, which stands for an
// ordinary cloud or consumer disk. The time is added below the process (slowsync, Linux), to the broker's own syncs as
// well as to ours; where that cannot be done, that half is left out, and said to be.
package intake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"keyturn/internal/stream"

	"keyturn/internal/bench/figures"
)

// Settings are what is measured, and how often.
type Settings struct {
	Dir      string        // where the stores go: its disk is measured
	Count    int           // runs of each measurement; the median counts
	Duration time.Duration // of one run
	Delay    time.Duration // added to every sync in the second half
	Conns    int           // how many connections the many are
}

// Run measures and prints both halves. It starts its own executable again as the server, with the flags -serve, -dir
// and -delay: main must answer them with Serve.
func Run(ctx context.Context, w io.Writer, s Settings) error {
	if err := s.measure(ctx, 0, w); err != nil {
		return err
	}
	err := s.measure(ctx, s.Delay, w)
	if errors.Is(err, errNoDelay) {
		_, err = fmt.Fprintf(w, "\nthe half with %s added to every sync is left out: %v\n", s.Delay, err)
	}
	return err
}

// modes in the order in which they are measured, again and again.
func modes() []stream.Durability {
	return []stream.Durability{stream.None, stream.Always, stream.Group}
}

// key names one measurement.
type key struct {
	mode  stream.Durability
	conns int
}

// measure runs everything with delay added to every sync, the modes in turn so that a drift of the machine hits all
// alike, and prints the medians.
func (s Settings) measure(ctx context.Context, delay time.Duration, w io.Writer) error {
	got := map[key][]load{}
	var syncs []time.Duration
	for range s.Count {
		for _, conns := range []int{1, s.Conns} {
			for _, mode := range modes() {
				l, sync, err := s.once(ctx, mode, conns, delay)
				if err != nil {
					return fmt.Errorf("%s with %d connections: %w", mode, conns, err)
				}
				got[key{mode, conns}] = append(got[key{mode, conns}], l)
				syncs = append(syncs, sync)
			}
		}
	}
	return s.print(w, got, syncs, delay)
}

// once measures one mode in a process of its own.
func (s Settings) once(ctx context.Context, mode stream.Durability, conns int, delay time.Duration) (load, time.Duration, error) {
	dir, err := os.MkdirTemp(s.Dir, "keyturn-bench-")
	if err != nil {
		return load{}, 0, err
	}
	defer os.RemoveAll(dir)
	c, err := startChild(ctx, mode, dir, delay)
	if err != nil {
		return load{}, 0, err
	}
	l, err := drive(ctx, c.hello.URL, conns, s.Duration)
	return l, c.hello.Sync, errors.Join(err, c.stop())
}

// print writes the medians and the ratios.
func (s Settings) print(w io.Writer, got map[key][]load, syncs []time.Duration, delay time.Duration) error {
	fmt.Fprintf(w, "\ndisk of %s: one append and fsync takes %s (median)", s.Dir, figures.Median(syncs, func(d time.Duration) time.Duration { return d }))
	if delay > 0 {
		fmt.Fprintf(w, ", of which %s are added to every sync", delay)
	}
	fmt.Fprintf(w, "; medians of %d runs of %s\n", s.Count, s.Duration)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "connections\tdurability\t202/s\tp50\tp99\tof non-durable\ttimes always\t")
	for _, conns := range []int{1, s.Conns} {
		rate := func(m stream.Durability) float64 { return figures.Median(got[key{m, conns}], load.rate) }
		for _, mode := range modes() {
			runs := got[key{mode, conns}]
			fmt.Fprintf(t, "%d\t%s\t%.0f\t%s\t%s\t%.0f %%\t%.1f\t\n", conns, mode, rate(mode),
				figures.Median(runs, func(l load) time.Duration { return l.quantile(0.5) }).Round(10*time.Microsecond),
				figures.Median(runs, func(l load) time.Duration { return l.quantile(0.99) }).Round(10*time.Microsecond),
				100*rate(mode)/rate(stream.None), rate(mode)/rate(stream.Always))
		}
	}
	return t.Flush()
}
