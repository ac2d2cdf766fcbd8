package planner

import (
	"context"

	"keyturn/internal/ledger"
)

// lists reports whether an event that another overtook lists what had begun: it found out who is who, and the other one was
// decided without knowing.
func (d Decision) lists() bool { return d.Newer != "" && len(d.Begun) > 0 }

// standing says where a case should stand by its plan; empty = where it does.
func (t *turn) standing(ctx context.Context, at, rec ledger.Record, d Decision) (ledger.State, error) {
	life := at.State
	switch rec.State {
	case ledger.Scheduled:
		if undecided(at, rec) {
			return "", nil
		}
		return ledger.Open, nil
	case ledger.Held:
		switch {
		case undecided(at, rec):
			return "", nil
		case d.Hold != nil && d.Hold.Need == 0:
			return ledger.Open, nil // it waits for a time
		}
		return ledger.NeedsPerson, nil
	case ledger.Conflict:
		return ledger.NeedsPerson, nil
	case ledger.Planned:
		return t.progress(ctx, life, d)
	case ledger.Superseded, ledger.Cancelled:
		if d.lists() {
			return toLookAt(life), nil
		}
	case ledger.Refused:
		// One that a lane refused, it moves as well: something may have been done before.
		if begun, err := t.begun(ctx, d); err != nil || begun && life != "" {
			return "", err
		}
	}
	return ledger.Closed, nil
}

// undecided reports whether a case whose plan waits needs a person because it could not be decided again since.
func undecided(life, rec ledger.Record) bool {
	return pendingPlan(rec.State) && life.State == ledger.NeedsPerson && life.Seq > rec.Seq
}

// begun reports whether any action of a plan has a record.
func (t *turn) begun(ctx context.Context, d Decision) (bool, error) {
	for _, a := range d.Actions {
		rec, err := t.Ledger.Last(ctx, ledger.ActionSubject(d.Case, a.ID))
		if err != nil || rec.State != "" {
			return err == nil, err
		}
	}
	return false, nil
}

// progress says where the case of a plan that goes on should stand. Once an action has begun, those who run actions
// move the case; until then whatever it waited for a person for is over.
func (t *turn) progress(ctx context.Context, life ledger.State, d Decision) (ledger.State, error) {
	switch {
	case len(d.Actions) > 0 && life == "":
		return ledger.Open, nil
	case len(d.Actions) > 0 && life == ledger.NeedsPerson:
		if begun, err := t.begun(ctx, d); err != nil || begun {
			return "", err
		}
		return ledger.Open, nil
	case len(d.Actions) > 0:
		return "", nil
	case len(d.Begun) == 0:
		return ledger.Closed, nil
	}
	return toLookAt(life), nil
}

// toLookAt says where a case should stand that lists something for a person, whose word alone closes it; empty = where it does.
func toLookAt(life ledger.State) ledger.State {
	if life == "" || life == ledger.Open {
		return ledger.NeedsPerson
	}
	return ""
}
