package lane

import (
	"context"
	"time"

	"keyturn/internal/apiclient"
)

// admitted reports whether the call was admitted before it was asked for.
func (p *pass) admitted(bucket string) bool {
	p.gate.mu.Lock()
	defer p.gate.mu.Unlock()
	if p.room != bucket || bucket == "" {
		return false
	}
	p.room = ""
	return true
}

// makeRoom waits for as long as it takes until the call that had too little time for it may go, and keeps that for the
// next call of its bucket. Without it an action whose look spends a window would never make its change.
func (p *pass) makeRoom(ctx context.Context) error {
	p.gate.mu.Lock()
	w := &waiter{pass: p, bucket: p.short, patient: true}
	p.gate.mu.Unlock()
	if w.bucket == "" { // it was not this action's call
		return overdue(context.DeadlineExceeded)
	}
	began := time.Now()
	if err := p.wait(ctx, w); err != nil {
		return err
	}
	if err := p.still(ctx, w.bucket, began); err != nil {
		return err
	}
	p.gate.mu.Lock()
	defer p.gate.mu.Unlock()
	p.room, p.short = w.bucket, ""
	return nil
}

// still asks once more about a first change that was admitted, if it waited for that since began: somebody may have paused it
// meanwhile. One that may not be made gives its place back.
func (p *pass) still(ctx context.Context, bucket string, began time.Time) error {
	p.gate.mu.Lock()
	may := p.may
	p.may = nil
	p.gate.mu.Unlock()
	if may == nil || time.Since(began) < haltLook {
		return nil
	}
	err := may(ctx)
	if err == nil {
		return nil
	}
	p.gate.change(func() { p.gate.giveBack(bucket) })
	return later(againSoon, err.Error())
}

// end gives back what was admitted and not used.
func (p *pass) end() {
	p.gate.change(func() {
		if p.room != "" {
			p.gate.giveBack(p.room)
			p.room = ""
		}
	})
}

// giveBack gives back a call that was admitted and not made. It counts as one that may have been. g.mu is held.
func (g *gate) giveBack(bucket string) {
	g.inFlight--
	g.bucket(bucket).learn(apiclient.Budget{Limit: -1, Remaining: -1}, time.Now())
}
