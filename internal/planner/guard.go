package planner

import (
	"context"
	"fmt"
	"strings"

	"keyturn/internal/ledger"
)

// unjudged is a fault of the guards for one event: nobody knows whether its plan may go on, and a person must look.
type unjudged struct{ error }

// guard says what becomes of a plan with actions by the guards, the time and the brakes of this moment. why begins the
// reason of a plan that goes on.
func (t *turn) guard(ctx context.Context, d *Decision, why string) (ledger.State, string, error) {
	g, err := t.Plans.Guard(d.Plan)
	switch {
	case err != nil:
		return "", "", unjudged{err}
	case g.Protected != "":
		return ledger.Refused, t.refuse(g), nil
	case t.future(*d):
		return ledger.Scheduled, t.until(*d), nil
	}
	d.Hold = nil
	paused, err := t.pausedBy(ctx, *d)
	if err != nil {
		return "", "", err
	}
	if len(paused) > 0 {
		d.Hold = t.waitFor(paused, *d)
		return ledger.Held, d.Hold.Why, nil
	}
	if err := t.stop(ctx, d, g); err != nil {
		return "", "", err
	}
	if d.Hold != nil {
		t.warn("waits for a person: " + d.Hold.Why)
		return ledger.Held, d.Hold.Why, nil
	}
	if len(d.Confirmed) > 0 {
		why += "confirmed by case " + strings.Join(d.Confirmed, ", ") + "; "
	}
	if len(d.Actions) == 1 {
		return ledger.Planned, why + "1 action", nil
	}
	return ledger.Planned, why + fmt.Sprintf("%d actions", len(d.Actions)), nil
}

// stop asks for the second word, the brakes and the approvals, and says in d.Hold what is missing; nil = nothing is.
func (t *turn) stop(ctx context.Context, d *Decision, g Guard) error {
	missing, err := t.hear(ctx, d, g.Confirm)
	if err != nil {
		return err
	}
	brake, over := "", ""
	if missing == nil { // what is not confirmed uses up no brake
		if brake, over, err = t.brake(ctx, *d, g.Brakes); err != nil {
			return err
		}
	}
	d.Hold = t.holdFor(g, *d, missing, brake, over)
	return nil
}

// refuse raises the alert about a plan that would touch whom it must not, and gives the reason.
func (t *turn) refuse(g Guard) string {
	t.warn("asked to act on a protected principal")
	return g.Protected + " is protected"
}
