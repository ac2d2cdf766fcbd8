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
	if err := p.wait(ctx, w); err != nil {
		return err
	}
	p.gate.mu.Lock()
	defer p.gate.mu.Unlock()
	p.room, p.short = w.bucket, ""
	return nil
}

// end gives back what was admitted and not used. It counts as a call that may have been made.
func (p *pass) end() {
	p.gate.change(func() {
		if p.room == "" {
			return
		}
		p.gate.inFlight--
		p.gate.bucket(p.room).learn(apiclient.Budget{Limit: -1, Remaining: -1}, time.Now())
		p.room = ""
	})
}
