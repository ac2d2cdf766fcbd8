package planner

import (
	"context"
	"errors"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/stream"
)

// dropAction gives a dead action up. What waits for it and may not go without it stays held: cancelling the case ends
// that too.
func (t *turn) dropAction(ctx context.Context, c events.Command, caseID string) (string, error) {
	a, _, _, rec, err := t.action(ctx, caseID, c.Target)
	if err != nil || a.ID == "" {
		return "no such action", err
	}
	switch {
	case needsPerson(rec.State) || (rec.State == ledger.Cancelled && rec.Attempt == c.ID):
		if err := t.cancelAction(ctx, caseID, a.ID, rec, "dropped by "+c.Actor+reason(c), ""); err != nil {
			return "", err
		}
		// Dying here: given up; the case is moved when the command comes again.
	default:
		return "the action is " + string(rec.State) + ", not dead", t.exhumeStale(ctx, a.ID, rec.State)
	}
	return "dropped", t.Follow(ctx, caseID)
}

// dropCase gives up a conflict, an event that could not be planned, or a delivery that could not be mapped.
func (t *turn) dropCase(ctx context.Context, c events.Command) (string, error) {
	letter, err := t.Morgue.DeadLetter(ctx, c.Target)
	missing := errors.Is(err, stream.ErrNotFound)
	if err != nil && !missing {
		return "", err
	}
	if !missing && letter.Case == "" {
		return "dropped", t.Morgue.Unbury(ctx, c.Target)
	}
	rec, d, err := t.plan(ctx, c.Target)
	if err != nil {
		return "", err
	}
	if missing && rec.State != ledger.Conflict && !d.deniedBy(c) {
		return "no dead letter has that id", nil
	}
	if rec.Seq == 0 {
		if d, err = enclosed(letter); err != nil {
			return t.dropUnread(ctx, c, letter)
		}
	}
	ends, err := t.givenUp(ctx, rec)
	if err != nil {
		return "", err
	}
	if ends {
		w := consent(c)
		d.Denied = &w
		if rec, err = t.write(ctx, rec, d, ledger.Cancelled, "dropped by "+c.Actor+reason(c)); err != nil {
			return "", err
		}
		// Dying here: given up; the letter goes when the command comes again.
	}
	if err := t.follow(ctx, rec, d); err != nil {
		return "", err
	}
	lost := ""
	if ends || d.deniedBy(c) { // what is given up overtakes nothing any more
		if lost, err = t.withdraw(ctx, d); err != nil {
			return "", err
		}
	}
	// Dying here: the letter stands, or went before what was withdrawn is on disk; the command comes again, knows its own word,
	// and goes on.
	return "dropped" + lost, t.Morgue.Unbury(ctx, c.Target)
}

// givenUp reports whether a case ends with its letter: it waits for nothing else.
func (t *turn) givenUp(ctx context.Context, rec ledger.Record) (bool, error) {
	switch rec.State {
	case "", ledger.Conflict, ledger.Scheduled:
		return true, nil
	case ledger.Held:
		life, err := t.Ledger.Last(ctx, ledger.LifecycleSubject(ledger.CaseOf(rec.Subject)))
		return undecided(life, rec), err
	}
	return false, nil
}

// enclosed is the blank plan of the event in a dead letter. An error: nobody can read it; one that was too large to be
// buried is not there, and another version may have written it.
func enclosed(letter events.DeadLetter) (Decision, error) {
	e, err := events.Unmarshal(letter.Original)
	if err != nil {
		return Decision{}, err
	}
	return Decision{Plan: blank(letter.Case, e.ContentHash(), e, letter.Time)}, nil
}

// dropUnread gives up a letter whose event nobody can read. Its case has no plan, and gets none.
func (t *turn) dropUnread(ctx context.Context, c events.Command, letter events.DeadLetter) (string, error) {
	life, err := t.Ledger.Last(ctx, ledger.LifecycleSubject(letter.Case))
	if err != nil {
		return "", err
	}
	if life.State == ledger.NeedsPerson {
		if _, err := t.setLife(ctx, life, letter.Case, ledger.Closed, "dropped by "+c.Actor+reason(c), letter.Time); err != nil {
			return "", err
		}
	}
	if err := t.Queue.Barrier(ctx); err != nil {
		return "", err
	}
	// Dying here: given up, which is on disk before the letter goes; that goes when the command comes again.
	return "dropped", t.Morgue.Unbury(ctx, c.Target)
}
