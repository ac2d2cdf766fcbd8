package reload

import (
	"strings"
	"testing"
	"time"
)

// TestAPanicRefuses: a configuration that meets a fault of ours is refused, with the stack told once, and the next one is
// loaded.
func TestAPanicRefuses(t *testing.T) {
	h := open(t, 5*time.Millisecond)
	var none []int
	loads := 0
	h.mu.Lock()
	h.readings = func() { loads++; none[len(none)] = 1 }
	h.mu.Unlock()
	h.mount("2", sample, "sample-secret-number-2")
	h.until("the refusal", func() bool { _, _, logs := h.state(); return strings.Contains(logs, "PANIC") })
	h.mu.Lock()
	h.readings = nil
	h.mu.Unlock()
	h.until("the configuration", h.now("sample-secret-number-2"))
	_, _, logs := h.state()
	for part, want := range map[string]int{"PANIC: the changed": 1, "level=ERROR msg=\"configuration refused": 1} {
		if n := strings.Count(logs, part); n != want {
			t.Errorf("%q stands in the log %d times, after %d loads: %s", part, n, loads, logs)
		}
	}
}
