package lane

import (
	"sync"
	"time"
)

const (
	// doubtAfter is how many calls fail one after the other, with none between that is answered, before the provider
	// is doubted.
	doubtAfter = 3
	// doubtAgain is how long a probe that was answered speaks for the provider while calls go on failing: one endpoint
	// that is broken must not become a stream of probes.
	doubtAgain = 30 * time.Second
)

// outage notices that nothing comes through to the provider any more. It only doubts: one target or one endpoint may
// be all that fails, and the connection's probe tells.
type outage struct {
	doubts chan struct{} // has one while the provider is doubted and nobody asked it yet

	mu    sync.Mutex
	row   int       // calls that failed since one was answered
	fine  time.Time // when the provider last answered a probe
	asked bool      // doubted, and not cleared since
}

func newOutage() *outage { return &outage{doubts: make(chan struct{}, 1)} }

// learn takes whether a call failed.
func (o *outage) learn(failed bool, now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !failed {
		o.row = 0
		return
	}
	if o.row++; o.row < doubtAfter || o.asked || now.Sub(o.fine) < doubtAgain {
		return
	}
	o.asked = true
	select {
	case o.doubts <- struct{}{}:
	default: // nobody looked yet
	}
}

// clear ends the doubt: the probe was made. fine says whether the provider answered it.
func (o *outage) clear(fine bool, now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.row, o.asked = 0, false
	select {
	case <-o.doubts: // while it stood still
	default:
	}
	if fine {
		o.fine = now
	}
}
