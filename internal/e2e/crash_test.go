package e2e_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"
)

const (
	// crowd is how many trials are under way at once: most of them wait, as the dead are found by a time-out.
	crowd = 400
	// season is how many trials one world sees.
	season = 3000
	// patience is how long the trials of a world may take before they count as stuck.
	patience = 8 * time.Minute
)

// plot is a trial to be made.
type plot struct {
	flow   flow
	script []strike
	copies bool // after a death the actions that were published come a second time, as beyond the dedup window
	echo   bool // and not after a death alone
}

// scale says how much is tried. Each flow is let die at every point, but for the race detector, under which that takes
// five times as long and shows nothing more about the order of writes: a part of them is drawn there.
type scale struct {
	rand   *rand.Rand
	alone  float64 // the part of the single strikes that are made
	behind float64 // the part of the points at which it dies behind them too, though that is like before the next
	broken float64 // the part of the points at which a write or call is refused, or its answer lost
	copies float64 // the part of the trials with copies
	pairs  int     // pairs of deaths, drawn at random; below nothing: all that differ
	twins  int     // deaths at two cases at once
	each   int     // trials of each flow where nothing is drawn
}

// newScale reads the scale from the environment: KEYTURN_CRASH_PAIRS is a number or "all", KEYTURN_CRASH_SEED repeats
// a run.
func newScale(t *testing.T) scale {
	s := scale{alone: 1, behind: 1, broken: 1, copies: 1, pairs: 1000, twins: 200, each: 8}
	switch {
	case testing.Short():
		s = scale{alone: 1, copies: 0.3, pairs: 20, twins: 10, each: 2}
	case raceDetector:
		s = scale{alone: 0.15, behind: 0.05, broken: 0.05, copies: 0.3, pairs: 30, twins: 20, each: 3}
	}
	if all := os.Getenv("KEYTURN_CRASH_PAIRS"); all == "all" {
		s.pairs = -1
	} else if n, err := strconv.Atoi(all); err == nil {
		s.pairs = n
	}
	seed, err := strconv.ParseUint(os.Getenv("KEYTURN_CRASH_SEED"), 10, 64)
	if err != nil {
		seed = rand.Uint64()
	}
	t.Logf("KEYTURN_CRASH_SEED=%d", seed)
	s.rand = rand.New(rand.NewPCG(seed, 0))
	return s
}

// some is true for such a part of all questions.
func (s scale) some(part float64) bool { return s.rand.Float64() < part }

// TestCrash lets the worker, the intake and the tool die at every write and every call of every flow, once and in
// pairs, and be refused or not answered there.
func TestCrash(t *testing.T) {
	t.Parallel()
	s := newScale(t)
	pairs := s.strikeOnce(t)
	total := len(pairs)
	pairs = s.draw(pairs)
	began, missed := time.Now(), 0
	for some := range slices.Chunk(pairs, season) {
		w := newWorld(t)
		w.employ("worker", limits())
		_, not := w.strike(t, some, crowd)
		w.close(t)
		missed += len(not)
	}
	t.Logf("%d of %d pairs of deaths in %s; the second of %d was not met", len(pairs), total, since(began), missed)
}

// strikeOnce strikes each flow at the points that a quiet run comes by, and gives all pairs that could follow.
func (s scale) strikeOnce(t *testing.T) (pairs []plot) {
	t.Helper()
	began := time.Now()
	w := newWorld(t)
	w.employ("worker", limits())
	var singles []plot
	for _, tr := range w.run(t, quiet(flows()), crowd) {
		t.Logf("%s: %d points", tr.flow.name, len(tr.seen()))
		for _, p := range s.follow(tr) {
			if s.some(s.alone) {
				singles = append(singles, p)
			}
		}
	}
	made, missed := w.strike(t, singles, crowd)
	for range 3 {
		// A sweep that another case made may have served this one too, which then did not come by there. Few at a time,
		// it does.
		var more []*trial
		more, missed = w.strike(t, missed, 16)
		made = append(made, more...)
	}
	// Whether a message is given back, and what its return brings, depends on who met whom in the quiet run: a slow
	// machine shows points that no second run comes by. They are few, or all of them one point, or something is wrong.
	points := map[point]bool{}
	for _, p := range missed {
		t.Logf("never happened again: %v", p.script)
		points[p.script[0].at] = true
	}
	if len(missed) > len(singles)/50 && len(points) > 1 {
		t.Errorf("%d of %d single strikes never happened", len(missed), len(singles))
	}
	w.close(t)
	t.Logf("%d single strikes in %s", len(singles), since(began))
	for _, tr := range made {
		if tr.differs() {
			pairs = append(pairs, s.deaths().follow(tr)...)
		}
	}
	return pairs
}

// quiet are trials that nothing happens to.
func quiet(flows []flow) []plot {
	var plots []plot
	for _, f := range flows {
		plots = append(plots, plot{flow: f})
	}
	return plots
}

func since(began time.Time) time.Duration { return time.Since(began).Round(time.Second) }

// modes are what is to happen at a point that a case came by.
func (s scale) modes(p stop) []mode {
	modes := []mode{dieBefore}
	if p.through && (p.last() || s.some(s.behind)) {
		modes = append(modes, dieAfter)
	}
	if s.some(s.broken) {
		modes = append(modes, refused)
	}
	if p.through && s.some(s.broken) { // else whoever wrote was told that somebody else had
		modes = append(modes, lost)
	}
	return modes
}

// deaths is the scale of those trials alone that differ: the worker dies before each point, and behind the last.
func (s scale) deaths() scale {
	s.behind, s.broken = 0, 0
	return s
}

// follow are the trials that strike at any point that a case came by, quiet or since its first strike.
func (s scale) follow(tr *trial) []plot {
	var all []plot
	for _, p := range tr.seen() {
		for _, m := range s.modes(p) {
			script := slices.Concat(tr.plot.script, []strike{{p.point, m}})
			all = append(all, plot{flow: tr.flow, script: script, copies: s.some(s.copies)})
		}
	}
	return all
}

// differs reports whether a trial that died is like no other one: dying behind a point is dying before the next.
func (tr *trial) differs() bool {
	s := tr.plot.script[0]
	return s.mode == dieBefore || s.mode == dieAfter && s.at.last()
}

// draw takes one pair of each two kinds of points, then one of each two kinds of strikes, and fills up with others.
func (s scale) draw(all []plot) []plot {
	if s.pairs < 0 || s.pairs >= len(all) {
		return all
	}
	s.rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	drawn, rest := firsts(all, func(p plot) string { return p.script[0].at.kind() + ", " + p.script[1].at.kind() })
	more, rest := firsts(rest, func(p plot) string { return fmt.Sprint(p.script[0].kind(), ", ", p.script[1].kind()) })
	return slices.Concat(drawn, more, rest)[:s.pairs]
}

// firsts parts a list into the first of each kind and the rest.
func firsts(all []plot, kind func(plot) string) (first, rest []plot) {
	seen := map[string]bool{}
	for _, p := range all {
		if k := kind(p); !seen[k] {
			seen[k] = true
			first = append(first, p)
			continue
		}
		rest = append(rest, p)
	}
	return first, rest
}

// strike makes all trials of the plots, and gives those that were struck as planned, and the plots of the others.
func (w *world) strike(t *testing.T, plots []plot, atOnce int) (made []*trial, missed []plot) {
	t.Helper()
	for _, tr := range w.run(t, plots, atOnce) {
		if tr.done() {
			made = append(made, tr)
			continue
		}
		missed = append(missed, tr.plot)
	}
	return made, missed
}

// run makes the trials of all plots, so many at a time, and gives them in the order of the plots.
func (w *world) run(t *testing.T, plots []plot, atOnce int) []*trial {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	made := make([]*trial, len(plots))
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(atOnce, len(plots)) {
		wg.Go(func() {
			for i := range next {
				made[i] = w.begin(plots[i])
				if err := made[i].run(ctx); err != nil {
					w.complain(err)
				}
			}
		})
	}
	for i := range plots {
		next <- i
	}
	close(next)
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return made
}

// close waits until nothing is left to do, and then judges.
func (w *world) close(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	w.must(w.drained(ctx))
	w.judge()
	w.audit(ctx)
	for _, tr := range w.all {
		tr.body.close()
	}
}
