package worker

import (
	"context"
	"fmt"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/planner"
	"keyturn/internal/playbook"
)

const (
	// countEvery is when a count is read anew. A company does not change by much in that time, and reading it takes a
	// call for every 200 users (Okta, vendor page Users API).
	countEvery = 6 * time.Hour
	// countLook is how often it is looked whether a count is wanted: a new configuration may want another.
	countLook = 15 * time.Second
	// countAgain is when a count is tried again for the first time: the lane may not have begun yet.
	countAgain = 100 * time.Millisecond
)

// census reads at one connection what brakes are a share of, for as long as its lane is held. The calls are of class
// bulk and pass the lane's gate, as all others.
type census struct {
	ledger *ledger.Ledger
	now    func() time.Time
	wanted func() []playbook.Count // by the configuration in force, at any connection
}

// run keeps the counts up to date until ctx ends. What cannot be read is tried again, less and less often.
func (c census) run(ctx context.Context, d *desk, holder string) {
	for wait := countAgain; ; {
		failed := false
		for _, of := range c.wanted() {
			if of.Connection != d.connection.Name {
				continue
			}
			if err := c.keep(ctx, d, holder, of); err != nil && ctx.Err() == nil {
				failed = true
				d.log.WarnContext(ctx, "not counted", "connection", of.Connection, "what", of.What, "error", err, "retry_in", wait)
			}
		}
		next := countLook
		if failed {
			next, wait = wait, min(2*wait, countLook)
		} else {
			wait = countAgain
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(next):
		}
	}
}

// keep reads one count, unless it was read lately.
func (c census) keep(ctx context.Context, d *desk, holder string, of playbook.Count) error {
	rec, last, err := planner.LoadCount(ctx, c.ledger, of)
	if err != nil || c.now().Sub(last.Read) < countEvery {
		return err
	}
	if err := d.lane.Err(); err != nil {
		return err // the credential is refused: each call would count against it
	}
	made := gated(d.made, d.gate(events.Bulk))
	now := planner.Count{Connection: of.Connection, What: of.What, Read: c.now().UTC()}
	switch {
	case made.Okta != nil:
		now.N, err = made.Okta.CountActiveUsers(ctx)
	case made.ASA != nil:
		now.N, err = made.ASA.CountActiveUsers(ctx)
	default:
		err = fmt.Errorf("connection %s has no users to count", of.Connection)
	}
	if err != nil {
		return err
	}
	return planner.SaveCount(ctx, c.ledger, rec, holder, now)
}
