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

	"keyturn/internal/actions"
	"keyturn/internal/events"
)

// outcome is what one burst came to.
type outcome struct {
	leavers  int
	took     time.Duration // from the first action that was sent to the last case that closed
	calls    map[string]int
	heap     []uint64 // bytes in use after each tenth of the leavers
	dead     int
	left     string // what the leavers still have
	sum, bad int
}

// burst lets so many leavers leave at once.
func burst(ctx context.Context, leavers int, seed uint64) (o outcome, err error) {
	bubble(func() {
		o, err = leave(leavers, seed, false, func(to map[string]actions.Clients, plans [][]events.Action, o *outcome) error {
			s := newSite(to)
			defer s.close()
			tenth := tenths(leavers, func() { o.heap = append(o.heap, inUse()) })
			for _, list := range plans {
				if err := errors.Join(ctx.Err(), s.accept(context.Background(), list[0].Case, list, tenth)); err != nil {
					return err
				}
			}
			s.open.Wait()
			o.dead = int(s.buried.Load())
			return nil
		})
	})
	return o, err
}

// burstAsTheField lets them leave by the common design. Nothing is shared there: for it the leavers are known by their
// ids, and no authorization server is swept, as else each job would list the whole company, and list it again each time
// that it is tried. Fewer calls are needed than by ours.
func burstAsTheField(leavers int, seed uint64) (o outcome, err error) {
	bubble(func() {
		o, err = leave(leavers, seed, true, func(to map[string]actions.Clients, plans [][]events.Action, _ *outcome) error {
			n := newNaive(to, seed)
			for _, list := range plans {
				n.add(list, nil)
			}
			n.run(concurrency * len(to))
			return nil
		})
	})
	return o, err
}

// leave makes a company, has do bring its leavers' plans about, and says what came of it.
func leave(leavers int, seed uint64, cheap bool, do func(map[string]actions.Clients, [][]events.Action, *outcome) error) (outcome, error) {
	o := outcome{leavers: leavers}
	c := newCompany(leavers, 1, nil) // one who stays: a team without any device looks like one that may not be seen
	w := newWire(c.Transport(), seed)
	to, err := connect(c.Sandbox, w, w)
	if err != nil {
		return o, err
	}
	var plans [][]events.Action
	for i, p := range c.leavers {
		list, err := offboard(fmt.Sprintf("leaver%d", i), p, cheap)
		if err != nil {
			return o, err
		}
		plans = append(plans, list)
	}
	began := time.Now()
	if err := do(to, plans, &o); err != nil {
		return o, err
	}
	o.took, o.calls, o.left = time.Since(began), w.calls, c.left()
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
	field, err := burstAsTheField(small, 0)
	if err := errors.Join(err, field.fault()); err != nil {
		return err
	}
	if err := runs[len(runs)/2].print(w, fmt.Sprintf("median of %d", len(runs)), &field); err != nil {
		return err
	}
	big, err := burst(ctx, large, 0)
	if err := errors.Join(err, big.fault()); err != nil {
		return err
	}
	return big.print(w, "one run", nil)
}

// print prints one burst beside its bounds, and beside the same by the common design, if that was measured.
func (o outcome) print(w io.Writer, runs string, field *outcome) error {
	least, by := bound(o.leavers)
	_, need := needs()
	half := len(o.heap) / 2
	first, most := slices.Max(o.heap[:half]), slices.Max(o.heap[half:])
	rows := []row{
		{what: "all verified after", bound: "1.05 x " + short(least) + " (" + by + ")", ours: short(o.took), ratio: float64(o.took) / float64(least), holds: o.took <= least*105/100},
		{what: "calls answered 429", bound: "0.5 %", ours: o.refused(), holds: o.share429() <= 0.005},
		{what: "calls a leaver", bound: fmt.Sprintf("1.1 x %d", need), ours: fmt.Sprintf("%.2f", o.each()), ratio: o.each() / float64(need), holds: o.each() <= 1.1*float64(need)},
		{what: "heap in use, second half of the time", bound: "1.1 x " + megabytes(first) + " (first half)", ours: megabytes(most) + " at most", ratio: float64(most) / float64(first), holds: float64(most) <= 1.1*float64(first)},
	}
	column := ""
	if field != nil {
		column = "one queue, doubling delays (fewer calls needed)"
		rows[0].field, rows[1].field, rows[2].field = short(field.took), field.refused(), fmt.Sprintf("%.2f", field.each())
	}
	return table(w, fmt.Sprintf("%d leavers at once, each with %d OAuth clients and %d devices, class normal (%s)", o.leavers, clientsEach, devicesEach, runs), column, rows)
}

// refused says how many calls were answered 429.
func (o outcome) refused() string {
	return fmt.Sprintf("%.3f %% (%d of %d)", 100*o.share429(), o.bad, o.sum)
}
