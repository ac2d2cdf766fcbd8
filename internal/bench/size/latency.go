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

// The bounds of the latency, and how long a sync takes of the disk that they are for.
const (
	boundSync = 100 * time.Microsecond
	boundP50  = 4 * time.Millisecond
	boundP99  = 8 * time.Millisecond
	boundRSS  = 96.0 // MiB
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
//
// The bounds are for a disk of one speed, which is hardly ever the one at hand. Where a sync takes longer here, a store in
// memory, whose syncs take no time, is measured in turn with the one on disk, and the figure for the speed of the bounds
// is on the line between the two.
func Latency(ctx context.Context, w io.Writer, count int) (err error) {
	dir, err := os.MkdirTemp("", "keyturn-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
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
	sides, err := c.sides(ctx, dir, bin, conf)
	defer func() {
		for _, s := range sides {
			err = errors.Join(err, s.served.stop(), os.RemoveAll(s.dir))
		}
	}()
	if err != nil {
		return err
	}
	for n := range count {
		for _, s := range sides {
			if err := s.once(ctx, c, n); err != nil {
				return err
			}
		}
	}
	return printLatency(w, sides)
}

// side is a store that is measured, with who serves it.
type side struct {
	name   string
	dir    string
	sync   time.Duration // what one append and fsync costs there
	served *served
	runs   []lapse
	rss    []float64     // after each run, in MiB
	busy   time.Duration // of a processor, in all runs
}

// memoryDir is where Linux keeps files in memory (shm_open(3)).
const memoryDir = "/dev/shm"

// sides are a store below dir and, where its disk is slower than that of the bounds, one in memory, if there is room.
func (c *clock) sides(ctx context.Context, dir, bin, conf string) ([]*side, error) {
	disk, err := c.side(ctx, "disk", dir, bin, conf)
	if err != nil {
		return nil, err
	}
	sides := []*side{disk}
	if disk.sync > boundSync {
		if dir, err := os.MkdirTemp(memoryDir, "keyturn-bench-"); err == nil { // else there is no such memory here
			memory, err := c.side(ctx, "memory", dir, bin, conf)
			if err != nil {
				return sides, errors.Join(err, os.RemoveAll(dir))
			}
			sides = append(sides, memory)
		}
	}
	return sides, nil
}

// side serves a store below dir and warms it up.
func (c *clock) side(ctx context.Context, name, dir, bin, conf string) (*side, error) {
	s := &side{name: name, dir: dir}
	var err error
	if s.sync, err = figures.SyncCost(dir); err != nil {
		return nil, err
	}
	if s.served, err = serve(ctx, bin, filepath.Join(dir, "store"), conf); err != nil {
		return nil, err
	}
	if _, err := c.run(ctx, s.served.URL, name+"warm", warmEvents); err != nil {
		return nil, errors.Join(err, s.served.stop())
	}
	return s, nil
}

// once measures the nth run.
func (s *side) once(ctx context.Context, c *clock, n int) error {
	before, err := s.served.processor()
	if err != nil {
		return err
	}
	l, err := c.run(ctx, s.served.URL, fmt.Sprint(s.name, n), runEvents)
	if err != nil {
		return err
	}
	m, err := s.served.memory("VmRSS")
	if err != nil {
		return err
	}
	after, err := s.served.processor()
	s.runs, s.rss, s.busy = append(s.runs, l), append(s.rss, m), s.busy+after-before
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

// posted is the median over the runs of a quantile of what passed until the first call.
func (s *side) posted(q float64) time.Duration {
	return figures.Median(s.runs, func(l lapse) time.Duration { return quantile(q, l.posted) })
}

// accepted is the median over the runs of a quantile of what passed until the 202.
func (s *side) accepted(q float64) time.Duration {
	return figures.Median(s.runs, func(l lapse) time.Duration { return quantile(q, l.accepted) })
}

func printLatency(w io.Writer, sides []*side) error {
	disk := sides[0]
	fmt.Fprintf(w, "one append and fsync takes %s here (the bounds are for %s); %d events/s for %d s, medians of %d\n",
		disk.sync, boundSync, perSecond, runEvents/perSecond, len(disk.runs))
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "what\tp50\tbound\tholds\tp99\tbound\tholds")
	call := func(where string, at func(q float64) time.Duration) {
		p50, p99 := at(0.5).Round(10*time.Microsecond), at(0.99).Round(10*time.Microsecond)
		fmt.Fprintf(t, "delivery sent to first call at the provider%s\t%s\t< %s\t%s\t%s\t< %s\t%s\n", where,
			p50, boundP50, figures.Holds(p50 < boundP50), p99, boundP99, figures.Holds(p99 < boundP99))
	}
	call("", disk.posted)
	if len(sides) > 1 {
		memory := sides[1]
		call(", store in memory", memory.posted)
		call(fmt.Sprintf(", at %s a sync (between the two)", boundSync), func(q float64) time.Duration {
			least, share := memory.posted(q), float64(boundSync-memory.sync)/float64(disk.sync-memory.sync)
			return least + time.Duration(share*float64(disk.posted(q)-least))
		})
	}
	fmt.Fprintf(t, "delivery sent to 202\t%s\t\t\t%s\t\t\n", disk.accepted(0.5).Round(10*time.Microsecond), disk.accepted(0.99).Round(10*time.Microsecond))
	if err := t.Flush(); err != nil {
		return err
	}
	most := slices.Max(disk.rss)
	_, err := fmt.Fprintf(w, "memory of keyturn serve (RSS): %.0f MiB, bound < %.0f MiB, holds: %s\nan event costs keyturn serve %s of a processor, from its webhook to its closed case\n",
		most, boundRSS, figures.Holds(most < boundRSS), (disk.busy / time.Duration(len(disk.runs)*runEvents)).Round(10*time.Microsecond))
	return err
}
