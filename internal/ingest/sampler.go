package ingest

import (
	"sync"
	"time"
)

// Lines about deliveries that proved nothing: whoever can reach the listener can cause them.
const (
	sampleLines = 10               // per source in each window; above that they are only counted
	sampleEvery = 10 * time.Second // length of a window
)

// sampler lets some lines of one source through, and counts the rest, so that a flood of forged deliveries fills no
// disk.
type sampler struct {
	mu      sync.Mutex
	window  time.Time // when it began
	lines   int       // in this window
	leftOut int       // since the last line
}

// take says whether a line may be written, and how many were left out before it.
func (s *sampler) take(now time.Time) (ok bool, leftOut int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.window).Abs() >= sampleEvery {
		s.window, s.lines = now, 0
	}
	if s.lines >= sampleLines {
		s.leftOut++
		return false, 0
	}
	s.lines++
	leftOut, s.leftOut = s.leftOut, 0
	return true, leftOut
}
