package process

import "testing"

// TestPaceOfGarbage: who collects seldom keeps little garbage, who is busy takes room for as long, and who has much in use
// never keeps more than the room.
func TestPaceOfGarbage(t *testing.T) {
	const mib = 1 << 20
	runs := uint64(100)
	p := pace{runs: runs}
	for i, look := range []struct {
		ran  uint64
		live uint64
		want int
	}{
		{0, 30 * mib, 50}, {1, 30 * mib, 50}, {2, 30 * mib, 50}, // a hundred events a second
		{9, 30 * mib, 200}, {2, 32 * mib, 200}, {0, 32 * mib, 200}, {0, 32 * mib, 200}, {1, 32 * mib, 200}, // busy
		{1, 64 * mib, 100}, {1, 128 * mib, 50}, {1, 1024 * mib, 50},
		{0, 30 * mib, 200}, {0, 30 * mib, 200}, {0, 30 * mib, 200}, {0, 30 * mib, 50}, {1, 30 * mib, 50}, // over
	} {
		runs += look.ran
		if got := p.next(runs, look.live); got != look.want {
			t.Errorf("look %d: %d collections with %d MiB in use: %d %%, want %d", i, look.ran, look.live/mib, got, look.want)
		}
	}
}
