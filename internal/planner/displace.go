package planner

import (
	"context"
	"slices"

	"keyturn/internal/ledger"
)

// displace takes from an older event of the same person what it has not begun, because newer overtakes it, and lists
// what it has. Whether something was begun is decided by compare-and-swap on its own subject: either the start comes
// first and is listed, or the cancellation does and nothing starts.
func (t *turn) displace(ctx context.Context, key string, old entry, newer Decision) ([]Begun, error) {
	rec, err := t.Ledger.Last(ctx, ledger.PlanSubject(old.Case))
	if err != nil {
		return nil, err
	}
	d := Decision{Plan: blank(old.Case, old.Hash, old.Event, old.Accepted)}
	if rec.Seq != 0 {
		if d, err = Decode(rec); err != nil {
			return nil, err
		}
		if !slices.Contains(t.keys(d.Event), key) {
			return nil, nil // the place was that of content which lost its case to another person's
		}
	}
	state, why := ledger.Superseded, "overtaken by "+newer.Event.Name()+" "+newer.Case
	back := entryOf(newer).returns()
	if back && !old.returns() {
		state = ledger.Cancelled
	}
	switch rec.State {
	case "", ledger.Scheduled, ledger.Held, ledger.Conflict:
		d.Newer = newer.Case
		if rec, err = t.write(ctx, rec, d, state, why); err != nil {
			return nil, err
		}
		// Dying here: the older case is decided. This event, or the older one's own message, does what follows.
		return nil, t.follow(ctx, rec, d)
	case ledger.Superseded, ledger.Cancelled:
		return nil, t.follow(ctx, rec, d)
	case ledger.Planned:
		if back != old.returns() || t.future(newer) {
			return t.recall(ctx, d, why)
		}
	}
	// Two terminations at once want the same end; nothing is gained by stopping the first.
	return nil, nil
}

// recall cancels the actions of a plan that nothing has come of yet, and lists the others. The message of a cancelled
// action stays where it is: whoever gets it finds the state.
func (t *turn) recall(ctx context.Context, d Decision, why string) ([]Begun, error) {
	var begun []Begun
	for _, a := range d.Actions {
		rec, err := t.Ledger.Last(ctx, ledger.ActionSubject(d.Case, a.ID))
		if err != nil {
			return nil, err
		}
		if pending(rec.State) || rec.State == ledger.Cancelled {
			if err := t.cancelAction(ctx, d.Case, a.ID, rec, why); err != nil {
				return nil, err
			}
		}
		if b := (Begun{Case: d.Case, Action: a.ID, Do: a.Do, State: rec.State, Made: made(rec)}); begunIn(rec) {
			begun = append(begun, b)
		}
	}
	return begun, t.Follow(ctx, d.Case)
}

// pending reports whether nobody works on an action in this state.
func pending(s ledger.State) bool {
	switch s {
	case "", ledger.Waiting, ledger.Redriven, ledger.Regressed, ledger.Dead, ledger.Contested:
		return true
	}
	return false
}

// begunIn reports whether the action cannot be called back any more, or changed something before it was.
func begunIn(rec ledger.Record) bool {
	switch rec.State {
	case ledger.Started, ledger.Verified, ledger.Applied:
		return true
	}
	return made(rec) > 0
}

// made counts the changes that an action made.
func made(rec ledger.Record) int {
	if rec.Evidence == nil {
		return 0
	}
	return len(rec.Evidence.Applied)
}

// cancelAction writes that an action will not be done, behind rec, and keeps its evidence: also that it had died, by
// which a repeat knows that there is a dead letter to remove.
func (t *turn) cancelAction(ctx context.Context, caseID, id string, rec ledger.Record, why string) error {
	if rec.State != ledger.Cancelled {
		_, err := t.append(ctx, rec, ledger.Record{
			Subject: ledger.ActionSubject(caseID, id), State: ledger.Cancelled, Reason: why, Evidence: rec.Evidence,
			Tries: rec.Tries, Attempts: rec.Attempts, Epoch: rec.Epoch,
		})
		if err != nil {
			return err
		}
		// Dying here: the action will not start. Its letter goes and the case is moved when the message that we work off
		// comes again.
	}
	if rec.Evidence == nil || rec.Evidence.Failure == nil {
		return nil
	}
	return t.Morgue.Unbury(ctx, id)
}
