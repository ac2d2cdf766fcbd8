// Command bench measures what Keyturn promises about speed and about a provider's budget, part by part. It reports: each
// part prints its figures beside the bound that they are held to, and beside what they are compared with in the same
// run. Ratios within one run hold on any machine; absolute figures of two runs do not compare.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"

	"keyturn/internal/bench/burst"
	"keyturn/internal/bench/figures"
	"keyturn/internal/bench/intake"
	"keyturn/internal/bench/size"
	"keyturn/internal/bench/unlimited"
	"keyturn/internal/stream"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// settings are the flags.
type settings struct {
	serve string // the durability to serve the intake with, in the child process
	only  string // names of parts, by comma; empty = all
	intake.Settings
}

// part is one thing that is measured.
type part struct {
	name string
	run  func(ctx context.Context, w io.Writer, s settings) error
}

// parts lists them in the order in which they are measured: a new one adds its package and a line here.
func parts() []part {
	return []part{
		{"intake", func(ctx context.Context, w io.Writer, s settings) error { return intake.Run(ctx, w, s.Settings) }},
		{"burst", func(ctx context.Context, w io.Writer, s settings) error { return burst.Run(ctx, w, s.Count) }},
		{"laptop", func(ctx context.Context, w io.Writer, s settings) error { return burst.Laptop(ctx, w, s.Count) }},
		{"neighbour", func(ctx context.Context, w io.Writer, s settings) error { return burst.Neighbour(ctx, w, s.Count) }},
		{"unlimited", func(ctx context.Context, w io.Writer, s settings) error { return unlimited.Run(ctx, w, s.Count) }},
		{"latency", func(ctx context.Context, w io.Writer, s settings) error { return size.Latency(ctx, w, s.Count) }},
		{"size", func(ctx context.Context, w io.Writer, s settings) error { return size.Run(ctx, w, s.Count) }},
	}
}

// names are those of all parts, by comma.
func names() string {
	var all []string
	for _, p := range parts() {
		all = append(all, p.name)
	}
	return strings.Join(all, ",")
}

func run(ctx context.Context, args []string, w io.Writer) error {
	var s settings
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.StringVar(&s.serve, "serve", "", "used by bench itself")
	flags.StringVar(&s.only, "only", "", "the parts to measure, by comma, of "+names()+"; empty = all")
	flags.StringVar(&s.Dir, "dir", os.TempDir(), "directory whose disk is measured")
	flags.IntVar(&s.Count, "count", 5, "runs of each measurement; the median counts")
	flags.DurationVar(&s.Duration, "duration", 1500*time.Millisecond, "of one run of the intake")
	flags.DurationVar(&s.Delay, "delay", 2*time.Millisecond, "added to every sync in the second half of the intake")
	flags.IntVar(&s.Conns, "conns", 64, "how many connections the many of the intake are")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if s.serve != "" {
		return intake.Serve(ctx, stream.Durability(s.serve), s.Dir, s.Delay, os.Stdin, w)
	}
	chosen, err := choose(s.only)
	if err != nil {
		return err
	}
	for _, p := range chosen {
		if _, err := fmt.Fprintf(w, "\n== %s\n", p.name); err != nil {
			return err
		}
		before := figures.MeasureDemand()
		if err := p.run(ctx, w, s); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		if _, err := fmt.Fprintf(w, "meanwhile the host gave %.0f %% of the time that this machine's processors wanted to others\n",
			figures.MeasureDemand().StolenSince(before)); err != nil {
			return err
		}
	}
	return nil
}

// choose gives the parts that are named, in their order; all of them for no name.
func choose(only string) ([]part, error) {
	all := parts()
	if only == "" {
		return all, nil
	}
	wanted := strings.Split(only, ",")
	for _, name := range wanted {
		if !slices.ContainsFunc(all, func(p part) bool { return p.name == name }) {
			return nil, fmt.Errorf("-only %s: no such part: one of %s is wanted", name, names())
		}
	}
	return slices.DeleteFunc(all, func(p part) bool { return !slices.Contains(wanted, p.name) }), nil
}
