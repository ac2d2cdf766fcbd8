package planner_test

import (
	"os"
	"strings"
	"testing"
)

// scenario is a history and what must hold after it, whatever struck.
type scenario struct {
	name string
	run  func(w *world)
}

// long is how many writes a scenario may have for every fault to strike each of them.
const long = 45

// explore runs a scenario without a fault, then with every fault at every write (in a long one half of them at each),
// then with pairs of faults: every pair of every two faults where KEYTURN_PAIRS=all says so, else a part of those of two
// kinds.
func explore(t *testing.T, s scenario) {
	t.Helper()
	all := os.Getenv("KEYTURN_PAIRS") == "all"
	n := attempt(t, s, nil)
	part := max(17, n*n/120) // the longer the scenario, the smaller the part
	if detector {
		return
	}
	for i := range n {
		for _, m := range modes {
			if m == before && i > 0 && !all {
				continue // as good as dying behind the write before it
			}
			if n > long && (i+int(m))%2 == 0 && !all {
				continue // the other ones strike the writes beside it
			}
			after := attempt(t, s, map[int]mode{i: m})
			for j := i + 1; j < after; j++ {
				for _, m2 := range modes {
					few := (m == behind || m == cut) && (m2 == behind || m2 == cut) && (i+2*j)%part == 0
					if all || few {
						attempt(t, s, map[int]mode{i: m, j: m2})
					}
				}
			}
			if t.Failed() {
				return
			}
		}
	}
}

// attempt runs a scenario with these faults and gives the number of its writes.
func attempt(t *testing.T, s scenario, faults map[int]mode) int {
	t.Helper()
	w := newWorld(t)
	w.faults = faults
	was := t.Failed()
	s.run(w)
	if t.Failed() && !was {
		t.Logf("%s with faults %v; writes:\n%s", s.name, faults, strings.Join(w.steps, "\n"))
	}
	return w.step
}
