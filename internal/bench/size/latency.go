package size

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"text/tabwriter"
	"time"

	"keyturn/internal/bench/figures"
	"keyturn/internal/bench/unlimited"
)

// The bounds of the latency, where an fsync takes 0.1 ms.
const (
	boundP50 = 4 * time.Millisecond
	boundP99 = 8 * time.Millisecond
	boundRSS = 96.0 // MiB
)

const (
	perSecond  = 100
	warmEvents = 200
	runEvents  = 1000 // ten seconds
)

// clock knows when the first call about each user came.
type clock struct {
	mu    sync.Mutex
	first map[string]time.Time
}

// see is told of each call.
func (c *clock) see(id string) {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, known := c.first[id]; !known {
		c.first[id] = now
	}
}

func (c *clock) at(id string) (time.Time, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t, ok := c.first[id]
	return t, ok
}

// lapse is what one run measured, sorted.
type lapse struct {
	posted   []time.Duration // from the first byte of the delivery to the first call at the provider
	accepted []time.Duration // from the first byte of the delivery to its 202
}

// Latency measures how long it takes from a signed webhook to the first call at the provider, at 100 events a second:
// intake over HTTP, barrier, planner, lane, in `keyturn serve` as it is shipped.
//
// The time runs from before the delivery is sent, which is before it is accepted: the stricter figure of the two.
func Latency(ctx context.Context, w io.Writer, count int) (err error) {
	dir, err := os.MkdirTemp("", "keyturn-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	cost, err := figures.SyncCost(dir)
	if err != nil {
		return err
	}
	bin, err := build(ctx, dir)
	if err != nil {
		return err
	}
	c := &clock{first: map[string]time.Time{}}
	p, err := unlimited.StartProvider(c.see)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	conf := filepath.Join(dir, "config")
	if err := configure(conf, p.URL); err != nil {
		return err
	}
	s, err := serve(ctx, bin, filepath.Join(dir, "store"), conf)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	if _, err := c.run(ctx, s.URL, "warm", warmEvents); err != nil {
		return err
	}
	var runs []lapse
	var rss []float64
	before, err := s.processor()
	if err != nil {
		return err
	}
	for n := range count {
		l, err := c.run(ctx, s.URL, fmt.Sprint("run", n), runEvents)
		if err != nil {
			return err
		}
		m, err := s.memory("VmRSS")
		if err != nil {
			return err
		}
		runs, rss = append(runs, l), append(rss, m)
	}
	after, err := s.processor()
	if err != nil {
		return err
	}
	if err := printLatency(w, cost, runs, rss); err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "an event costs keyturn serve %s of a processor, from its webhook to its closed case\n",
		((after - before) / time.Duration(count*runEvents)).Round(10*time.Microsecond))
	return err
}

// run posts events evenly, whether or not those before were answered, and waits for the first call about each.
func (c *clock) run(ctx context.Context, url, prefix string, events int) (lapse, error) {
	p := newPoster(url, perSecond)
	defer p.client.CloseIdleConnections()
	sent, answered, errs := make([]time.Time, events), make([]time.Time, events), make([]error, events)
	user := func(i int) string { return fmt.Sprintf("00u%s%06d", prefix, i) }
	var group sync.WaitGroup
	tick := time.NewTicker(time.Second / perSecond)
	defer tick.Stop()
	for i := range events {
		<-tick.C
		group.Go(func() {
			sent[i] = time.Now()
			errs[i] = p.post(ctx, "user.terminated", user(i))
			answered[i] = time.Now()
		})
	}
	group.Wait()
	if err := errors.Join(errs...); err != nil {
		return lapse{}, err
	}
	var l lapse
	for i := range events {
		at, ok := c.at(user(i))
		for deadline := time.Now().Add(30 * time.Second); !ok; at, ok = c.at(user(i)) {
			if time.Now().After(deadline) {
				return l, fmt.Errorf("nothing was called for event %s", user(i))
			}
			time.Sleep(10 * time.Millisecond)
		}
		l.posted = append(l.posted, at.Sub(sent[i]))
		l.accepted = append(l.accepted, answered[i].Sub(sent[i]))
	}
	slices.Sort(l.posted)
	slices.Sort(l.accepted)
	return l, nil
}

// quantile of sorted spans.
func quantile(q float64, sorted []time.Duration) time.Duration {
	return sorted[int(q*float64(len(sorted)-1))]
}

func printLatency(w io.Writer, cost time.Duration, runs []lapse, rss []float64) error {
	fmt.Fprintf(w, "one append and fsync takes %s here (the bounds are for 0.1 ms); %d events/s for %d s, medians of %d\n",
		cost, perSecond, runEvents/perSecond, len(runs))
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "what\tp50\tbound\tholds\tp99\tbound\tholds")
	of := func(q float64, pick func(lapse) []time.Duration) time.Duration {
		return figures.Median(runs, func(l lapse) time.Duration { return quantile(q, pick(l)) }).Round(10 * time.Microsecond)
	}
	posted := func(l lapse) []time.Duration { return l.posted }
	accepted := func(l lapse) []time.Duration { return l.accepted }
	p50, p99 := of(0.5, posted), of(0.99, posted)
	fmt.Fprintf(t, "delivery sent to first call at the provider\t%s\t< %s\t%s\t%s\t< %s\t%s\n", p50, boundP50, figures.Holds(p50 < boundP50), p99, boundP99, figures.Holds(p99 < boundP99))
	fmt.Fprintf(t, "delivery sent to 202\t%s\t\t\t%s\t\t\n", of(0.5, accepted), of(0.99, accepted))
	if err := t.Flush(); err != nil {
		return err
	}
	most := slices.Max(rss)
	_, err := fmt.Fprintf(w, "memory of keyturn serve (RSS): %.0f MiB, bound < %.0f MiB, holds: %s\n", most, boundRSS, figures.Holds(most < boundRSS))
	return err
}
