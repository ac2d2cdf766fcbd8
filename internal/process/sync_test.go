package process

import (
	"testing"
	"time"
)

// TestSpareForSync: more than half of the time in syncs makes one, two fifths keep it, and less ends it.
func TestSpareForSync(t *testing.T) {
	const ms = time.Millisecond
	var s spare
	var busy time.Duration
	for i, look := range []struct {
		took, since time.Duration
		want        bool
	}{
		{0, 200 * ms, false}, {50 * ms, 200 * ms, false}, {119 * ms, 200 * ms, false},
		{120 * ms, 200 * ms, true}, {190 * ms, 200 * ms, true}, {80 * ms, 200 * ms, true},
		{79 * ms, 200 * ms, false}, {119 * ms, 200 * ms, false}, {300 * ms, 400 * ms, true}, {0, 200 * ms, false},
	} {
		busy += look.took
		was := s.on
		if told := s.look(busy, look.since); s.on != look.want || told != (was != look.want) {
			t.Errorf("look %d: %s of %s in syncs: %t, want %t; told %t", i, look.took, look.since, s.on, look.want, told)
		}
	}
}
