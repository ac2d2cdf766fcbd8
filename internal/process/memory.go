package process

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// share is how much garbage there may be before it is collected: so many bytes of room, but in per cent of what is in use
// no less and no more than this.
type share struct{ room, least, most uint64 }

const (
	// paceEvery is how often it is looked at: within a second that began a burst, collecting takes a seventh of two processors.
	// A process is busy that took so many bytes in that time, and until it takes less than half as many. A hundred events a
	// second take 5 MiB of that.
	paceEvery = 200 * time.Millisecond
	paceBusy  = 28 << 20
	half      = 50
	// startOver is when nothing of a start goes on any more that needs the program's pages.
	startOver = 5 * time.Second
)

// The shares of a process that has little to do, and of one that is busy: no less than Go itself allows. With 20 MiB of room the
// first takes 10 MiB more at a hundred events a second and a sixth less of a processor, with 10 MiB the slowest hundredth of
// events takes 9 ms in place of 7.
func calmly() share { return share{11 << 20, 20, half} }
func busily() share { return share{64 << 20, 100, 200} }

// of gives the per cent where so many bytes are in use.
func (s share) of(live uint64) int {
	return int(min(max(100*s.room/max(live, 1), s.least), s.most)) //nolint:gosec // bounded
}

// SpareMemory has garbage collected at half of what Go allows by itself, and earlier where more is in use, until ctx ends:
// that is mostly the embedded broker's blocks and index of subjects, which hold little that must be looked at. A process that
// is busy takes the room that Go allows, or more, for as long: collecting would cost it a good part of its processors. It is
// for processes that hold the embedded broker, once at their start. GOGC, where it is set, says otherwise.
func SpareMemory(ctx context.Context) {
	runtime.MemProfileRate = 0 // there is no way to ask for a profile
	if os.Getenv("GOGC") != "" {
		return
	}
	debug.SetGCPercent(half)
	go func() {
		tick, started := time.NewTicker(paceEvery), time.NewTimer(startOver)
		defer tick.Stop()
		defer started.Stop()
		made, _ := heap()
		p := pace{made: made, percent: half}
		for {
			select {
			case <-tick.C:
				if p.look(heap()) {
					debug.SetGCPercent(p.percent) // stops the world for a moment
				}
			case <-started.C:
				_ = forgetProgram() // what stays costs room and nothing else
			case <-ctx.Done():
				return
			}
		}
	}()
}

// pace decides how much garbage there may be.
type pace struct {
	made    uint64 // bytes taken until the last look
	percent int    // of what is in use
	busy    bool
}

// look decides by how many bytes were taken in all, and how many are in use, and reports a change.
func (p *pace) look(made, live uint64) bool {
	took := made - p.made
	p.made = made
	p.busy = took >= paceBusy || p.busy && took >= paceBusy/2
	s := calmly()
	if p.busy {
		s = busily()
	}
	was := p.percent
	p.percent = s.of(live)
	return p.percent != was
}

// heap tells how many bytes were taken in all, and how many were in use after the last collection.
func heap() (made, live uint64) {
	said := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}, {Name: "/gc/heap/live:bytes"}}
	metrics.Read(said)
	return said[0].Value.Uint64(), said[1].Value.Uint64()
}
