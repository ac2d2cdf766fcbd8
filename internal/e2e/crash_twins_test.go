package e2e_test

import (
	"slices"
	"testing"
)

// TestCrashTwins plans two cases of one person, and of one app, at once, while the worker dies at them; and has all
// that is sent and published come twice, in every flow.
func TestCrashTwins(t *testing.T) {
	t.Parallel()
	s := newScale(t)
	w := newWorld(t)
	w.employ("worker", limits())
	var struck []plot
	for _, tr := range w.run(t, quiet(twins()), crowd) {
		struck = append(struck, s.deaths().follow(tr)...)
	}
	s.rand.Shuffle(len(struck), func(i, j int) { struck[i], struck[j] = struck[j], struck[i] })
	struck = struck[:min(len(struck), s.twins)]
	for _, p := range quiet(append(flows(), twins()...)) {
		p.copies, p.echo = true, true
		struck = append(struck, slices.Repeat([]plot{p}, s.each)...)
	}
	_, missed := w.strike(t, struck, crowd)
	w.close(t)
	t.Logf("%d trials of two at once, %d of which were not struck", len(struck), len(missed))
}
