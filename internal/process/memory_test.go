package process

import "testing"

// TestPaceOfGarbage: who collects seldom keeps little garbage, who is busy takes room for as long, and who has much in use
// never keeps more than the room.
func TestPaceOfGarbage(t *testing.T) {
	const mib = 1 << 20
	runs := uint64(100)
	p := pace{runs: runs, percent: half}
	for i, look := range []struct {
		ran  uint64
		live uint64
		want int
	}{
		{0, 20 * mib, 50}, {4, 40 * mib, 50}, {9, 44 * mib, 45}, {10, 64 * mib, 40}, {10, 160 * mib, 40}, // a few hundred events a second
		{20, 30 * mib, 200}, {5, 32 * mib, 200}, {2, 32 * mib, 200}, // busy
		{2, 64 * mib, 100}, {4, 128 * mib, 50}, {9, 1024 * mib, 50},
		{5, 30 * mib, 200}, {1, 50 * mib, 40}, {4, 24 * mib, 50}, // over
	} {
		runs += look.ran
		was := p.percent
		if told := p.look(runs, look.live); p.percent != look.want || told != (was != look.want) {
			t.Errorf("look %d: %d collections with %d MiB in use: %d %%, want %d; told %t", i, look.ran, look.live/mib, p.percent, look.want, told)
		}
	}
}
