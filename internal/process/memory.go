package process

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// spare is how much garbage there may be for what is in use, in per cent, before it is collected, while that happens
	// seldom: half of what Go does by itself. It costs about 2 per cent of the processor time of an event then.
	spare = 50
	// room is how much garbage, in bytes, a busy process may have instead: four times less is collected where 32 MiB are in
	// use. roomy bounds it, in per cent.
	room  = 64 << 20
	roomy = 200
	// paceEvery is how often it is looked at. A process is busy from so many collections in that time on, and no more when
	// there was none for paceCalm looks.
	paceEvery = 500 * time.Millisecond
	paceBusy  = 3
	paceCalm  = 4
)

// SpareMemory has garbage collected twice as often as Go does by itself, until ctx ends: what is in use is mostly the
// embedded broker's blocks and index of subjects, and there would be as much garbage again. A process that has so much to do
// that this would cost a sixth of its processors takes more room for as long. It is for processes that hold the embedded
// broker, once at their start. GOGC, where it is set, says otherwise.
func SpareMemory(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	debug.SetGCPercent(spare)
	go func() {
		tick := time.NewTicker(paceEvery)
		defer tick.Stop()
		runs, _ := collected()
		p, now := pace{runs: runs}, spare
		for {
			select {
			case <-tick.C:
				if next := p.next(collected()); next != now { // setting it stops the world for a moment
					now = next
					debug.SetGCPercent(now)
				}
			case <-ctx.Done():
				return
			}
		}
	}()
}

// pace decides how much garbage there may be.
type pace struct {
	runs uint64 // collections until the last look
	calm int    // looks in a row without one
	busy bool
}

// next gives the per cent until the next look, by how many collections there were in all and how many bytes are in use.
func (p *pace) next(runs, live uint64) int {
	ran := runs - p.runs
	p.runs = runs
	if p.calm++; ran > 0 {
		p.calm = 0
	}
	p.busy = ran >= paceBusy || p.busy && p.calm < paceCalm
	if !p.busy || live == 0 {
		return spare
	}
	return int(min(max(100*room/live, spare), roomy)) //nolint:gosec // 200 at most
}

// collected tells how often garbage was collected, and how many bytes were in use after the last time.
func collected() (runs, live uint64) {
	said := []metrics.Sample{{Name: "/gc/cycles/total:gc-cycles"}, {Name: "/gc/heap/live:bytes"}}
	metrics.Read(said)
	return said[0].Value.Uint64(), said[1].Value.Uint64()
}
