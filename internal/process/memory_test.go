package process

import (
	"testing"
	"time"
)

// TestPaceOfGarbage: who takes little keeps little garbage, who is busy takes room for as long, and who has much in use never
// keeps more than the room, or what Go itself allows.
func TestPaceOfGarbage(t *testing.T) {
	const mib, lookEach = 1 << 20, uint64(time.Second / paceEvery)
	made := uint64(100)
	p := pace{made: made, percent: half}
	for i, look := range []struct {
		took uint64 // a second
		live uint64
		want int
	}{
		{0, 20 * mib, 50}, {25, 22 * mib, 50}, {70, 44 * mib, 25}, {100, 64 * mib, 20}, {139, 160 * mib, 20}, // a few hundred events a second
		{140, 160 * mib, 100}, {300, 32 * mib, 200}, {70, 32 * mib, 200}, // busy
		{70, 64 * mib, 100}, {90, 128 * mib, 100}, {100, 1024 * mib, 100},
		{70, 30 * mib, 200}, {69, 50 * mib, 22}, {100, 20 * mib, 50}, // over
	} {
		made += look.took * mib / lookEach
		was := p.percent
		if told := p.look(made, look.live); p.percent != look.want || told != (was != look.want) {
			t.Errorf("look %d: %d MiB taken with %d MiB in use: %d %%, want %d; told %t", i, look.took, look.live/mib, p.percent, look.want, told)
		}
	}
}
