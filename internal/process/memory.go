package process

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// share is how much garbage there may be before it is collected: so many bytes of room, but in per cent of what is in use
// no less and no more than this.
type share struct{ room, least, most uint64 }

const (
	// paceEvery is how often it is looked at. A process is busy that would collect ten times in that time if there might be
	// half as much garbage as is in use, and no more when it would less than five times. A hundred events a second have it
	// collect three times.
	paceEvery = time.Second
	paceBusy  = 10
	paceCalm  = 5
	half      = 50
	// startOver is when nothing of a start goes on any more that needs the program's pages.
	startOver = 5 * time.Second
)

// The shares of a process that has little to do, and of one that is busy.
func calmly() share { return share{20 << 20, 40, half} }
func busily() share { return share{64 << 20, half, 200} }

// of gives the per cent where so many bytes are in use.
func (s share) of(live uint64) int {
	return int(min(max(100*s.room/max(live, 1), s.least), s.most)) //nolint:gosec // bounded
}

// SpareMemory has garbage collected at half of what Go allows by itself, and earlier where much is in use, until ctx ends:
// that is mostly the embedded broker's blocks and index of subjects, which hold little that must be looked at. A process that
// has so much to do that this would cost a sixth of its processors takes more room for as long. It is for processes that
// hold the embedded broker, once at their start. GOGC, where it is set, says otherwise.
func SpareMemory(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	debug.SetGCPercent(half)
	go func() {
		tick, started := time.NewTicker(paceEvery), time.NewTimer(startOver)
		defer tick.Stop()
		defer started.Stop()
		runs, _ := collected()
		p := pace{runs: runs, percent: half}
		for {
			select {
			case <-tick.C:
				if p.look(collected()) {
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
	runs    uint64 // collections until the last look
	percent int    // of what is in use
	busy    bool
}

// look decides by how many collections there were in all, and how many bytes are in use, and reports a change.
func (p *pace) look(runs, live uint64) bool {
	sparing := int(runs-p.runs) * p.percent / half //nolint:gosec // a count
	p.runs = runs
	p.busy = sparing >= paceBusy || p.busy && sparing >= paceCalm
	s := calmly()
	if p.busy {
		s = busily()
	}
	was := p.percent
	p.percent = s.of(live)
	return p.percent != was
}

// collected tells how often garbage was collected, and how many bytes were in use after the last time.
func collected() (runs, live uint64) {
	said := []metrics.Sample{{Name: "/gc/cycles/total:gc-cycles"}, {Name: "/gc/heap/live:bytes"}}
	metrics.Read(said)
	return said[0].Value.Uint64(), said[1].Value.Uint64()
}
