// Package burst measures what many leavers at once cost, who else waits for them, and what a throttled provider does to
// its neighbours, each beside the design that the field has in common: one queue, and every refused job tried again
// after a delay that doubles.
//
// It measures in virtual time (bubble.go): hours of a provider's windows take seconds. Lanes, gate, runner, kinds,
// clients and the sandbox with Okta's published limits are the real ones. What lies between them is memory: there is no
// broker, no disk, no planner and no socket, and work of the processor takes no time. A call takes 60 to 180 ms.
package burst

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"
	"time"
)

// outcome is what one burst came to.
type outcome struct {
	leavers  int
	took     time.Duration // from the first action that was sent to the last case that closed
	calls    map[string]int
	waits    map[string]int // calls answered 429
	heap     []uint64       // bytes in use after each tenth of the leavers
	dead     int
	left     string // what the leavers still have
	sum, bad int
}

// burst lets so many leavers leave at once.
func burst(ctx context.Context, leavers int, seed uint64) (o outcome, err error) {
	bubble(func() { o, err = burstNow(ctx, leavers, seed) })
	return o, err
}

func burstNow(ctx context.Context, leavers int, seed uint64) (outcome, error) {
	o := outcome{leavers: leavers}
	c := newCompany(leavers, 0)
	w := newWire(c.Transport(), seed)
	to, err := connect(c.Sandbox, w)
	if err != nil {
		return o, err
	}
	s := newSite(to)
	defer s.close()
	began := time.Now()
	tenth := tenths(leavers, func() { o.heap = append(o.heap, inUse()) })
	for i, p := range c.leavers {
		if err := ctx.Err(); err != nil {
			return o, err
		}
		id := fmt.Sprintf("leaver%d", i)
		list, err := offboard(id, p)
		if err == nil {
			err = s.accept(context.Background(), id, list, tenth)
		}
		if err != nil {
			return o, err
		}
	}
	s.open.Wait()
	o.took, o.calls, o.waits, o.dead, o.left = time.Since(began), w.calls, w.waits, int(s.buried.Load()), c.left()
	o.sum, o.bad = w.sum()
	return o, nil
}

// tenths calls f at each tenth of so many.
func tenths(all int, f func()) func() {
	var mu sync.Mutex
	n := 0
	return func() {
		mu.Lock()
		defer mu.Unlock()
		if n++; n*10/all > (n-1)*10/all {
			f()
		}
	}
}

// inUse is how many bytes of the heap are in use.
func inUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// each is calls by leaver.
func (o outcome) each() float64 { return float64(o.sum) / float64(o.leavers) }

// share429 is the part of the calls that was answered 429.
func (o outcome) share429() float64 { return float64(o.bad) / float64(max(o.sum, 1)) }

// fault says what a burst did not bring about.
func (o outcome) fault() error {
	if o.dead > 0 || o.left != "" {
		return fmt.Errorf("%d dead letters; left: %s", o.dead, o.left)
	}
	return nil
}

// Sizes of the bursts: the small one is repeated.
const (
	small = 500
	large = 5000
)

// Run measures the burst: count times the small one, once the large one, and once the small one as the field does it.
func Run(ctx context.Context, w io.Writer, count int) error {
	fmt.Fprintln(w, leavesOut)
	if err := tellNeeds(w); err != nil {
		return err
	}
	var runs []outcome
	for i := range count {
		o, err := burst(ctx, small, uint64(i))
		if err := errors.Join(err, o.fault()); err != nil {
			return err
		}
		runs = append(runs, o)
	}
	slices.SortFunc(runs, func(a, b outcome) int { return int(a.took - b.took) })
	if err := runs[len(runs)/2].print(w, fmt.Sprintf("median of %d", len(runs))); err != nil {
		return err
	}
	big, err := burst(ctx, large, 0)
	if err := errors.Join(err, big.fault()); err != nil {
		return err
	}
	return big.print(w, "one run")
}

// print prints one burst beside its bounds.
func (o outcome) print(w io.Writer, runs string) error {
	least, by := bound(o.leavers)
	_, need := needs()
	first, most := o.heap[0], slices.Max(o.heap)
	return table(w, fmt.Sprintf("%d leavers at once, each with %d OAuth clients and %d devices, class normal (%s)", o.leavers, clientsEach, devicesEach, runs), "", []row{
		{what: "all verified after", bound: "1.05 x " + short(least) + " (" + by + ")", ours: short(o.took), ratio: float64(o.took) / float64(least), holds: o.took <= least*105/100},
		{what: "calls answered 429", bound: "0.5 %", ours: fmt.Sprintf("%.3f %% (%d of %d)", 100*o.share429(), o.bad, o.sum), holds: o.share429() <= 0.005},
		{what: "calls a leaver", bound: fmt.Sprintf("1.1 x %d", need), ours: fmt.Sprintf("%.2f", o.each()), ratio: o.each() / float64(need), holds: o.each() <= 1.1*float64(need)},
		{what: "heap in use, tenth by tenth", bound: "1.1 x " + megabytes(first), ours: megabytes(most) + " at most", ratio: float64(most) / float64(first), holds: float64(most) <= 1.1*float64(first)},
	})
}
