package process

import (
	"context"
	"os"
	"runtime"
	"time"

	"keyturn/internal/stream"
)

// spareEvery is how often it is looked at whether a processor is to spare; from spareFrom of the time in syncs on one is, until
// it is less than spareUntil. A hundred events a second spend a quarter of the time in syncs, where one takes 0.15 ms by itself.
const (
	spareEvery = 200 * time.Millisecond
	spareFrom  = 0.6
	spareUntil = 0.4
)

// SpareForSync makes room for the thread that waits for the disk in a durability barrier, while it mostly does, until ctx ends.
// The scheduler takes up to milliseconds to notice that a system call blocks, and meanwhile one of the processors that it counts
// is lost: on two cores that was a third of the intake. Where little is synced one more than there are only costs: a tenth of
// the time of an event, and 4 MiB. Without a barrier, where the server itself syncs each write, there is always one. It is for
// processes that hold the embedded broker. GOMAXPROCS, where it is set, says otherwise.
func SpareForSync(ctx context.Context, barrier *stream.Barrier) {
	if os.Getenv("GOMAXPROCS") != "" {
		return
	}
	if barrier == nil {
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1)
		return
	}
	go func() {
		tick := time.NewTicker(spareEvery)
		defer tick.Stop()
		var s spare
		for last := time.Now(); ; {
			select {
			case now := <-tick.C:
				if s.look(barrier.Stats().Busy, now.Sub(last)) {
					s.set()
				}
				last = now
			case <-ctx.Done():
				if s.on {
					runtime.SetDefaultGOMAXPROCS()
				}
				return
			}
		}
	}()
}

// spare decides whether there is one processor more than there are.
type spare struct {
	busy time.Duration // in syncs until the last look
	on   bool
}

// look decides by the time that was spent in syncs in all, and reports a change.
func (s *spare) look(busy, since time.Duration) bool {
	share := float64(busy-s.busy) / float64(since)
	s.busy = busy
	was := s.on
	s.on = share >= spareFrom || s.on && share >= spareUntil
	return s.on != was
}

// set has the scheduler go by it: it stops the world for a moment.
func (s *spare) set() {
	runtime.SetDefaultGOMAXPROCS() // of a container that was given other bounds meanwhile too
	if s.on {
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1)
	}
}
