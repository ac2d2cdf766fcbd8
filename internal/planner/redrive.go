package planner

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/stream"
)

// redriveAction sends a dead action again. The dead letter goes before the action is published: were it the other way
// round, an action that dies again at once could lose its new letter to this redrive. Nothing is lost between the two,
// as the command is acknowledged after the last step only, and every step finds what was done by its id.
func (t *turn) redriveAction(ctx context.Context, c events.Command, caseID string) (string, error) {
	a, d, plan, rec, err := t.action(ctx, caseID, c.Target)
	if err != nil || a.ID == "" {
		return "no such action", err
	}
	past, err := t.redrives(ctx, rec, c.ID)
	switch {
	case err != nil:
		return "", err
	case past.mine && rec.State != ledger.Redriven:
		// It went on, perhaps by a copy of its message that was still about when this command had come no further.
		said := "redriven"
		if plan.State == ledger.Refused && rec.State == ledger.Cancelled {
			said = unsent(plan)
		}
		return said, t.Morgue.Exhume(ctx, a.ID, past.died)
	case past.mine:
	case plan.State == ledger.Refused && needsPerson(rec.State): // a lane found out who is meant; the others cannot know
		return unsent(plan) + "; drop it", nil
	case needsPerson(rec.State) && c.Shown != "" && c.Shown != Death(past.died):
		return "it was sent again since, and died again: look at it, then redrive that", nil
	case needsPerson(rec.State):
		past.n++
		rec, err = t.append(ctx, rec, ledger.Record{
			Subject: ledger.ActionSubject(caseID, a.ID), State: ledger.Redriven, Evidence: rec.Evidence,
			Tries: rec.Tries, Attempts: rec.Attempts, Epoch: rec.Epoch,
			Reason: fmt.Sprintf("redriven by %s%s", c.Actor, reason(c)),
		})
		if err != nil {
			return "", err
		}
		// Dying here: redriven, and nobody was told; the command comes again and knows its own record.
	default:
		return "the action is " + string(rec.State) + ", not dead", t.exhumeStale(ctx, a.ID, rec.State)
	}
	if said, err := t.unsend(ctx, c, caseID, rec); err != nil || said != "" {
		return said, err
	}
	if err := t.reopen(ctx, caseID, rec.Subject); err != nil {
		return "", err
	}
	if err := t.Morgue.Exhume(ctx, a.ID, past.died); err != nil {
		return "", err // of this death alone: a copy of its message that is still about may have died anew
	}
	if err := t.Queue.Barrier(ctx); err != nil {
		return "", err
	}
	// Dying here: the ledger says on disk that it is redriven; the command comes again and publishes it.
	if step, err := t.unended(ctx, caseID, d.Before(a)); err != nil || step != "" {
		// Whoever ends that one reads after its record that this one is redriven, and publishes it.
		return "redriven, goes after " + step, err
	}
	a.Redrive = past.n
	return "redriven", t.Queue.PublishAction(ctx, a)
}

// unended names one of these steps that has not come to an end, redriven itself perhaps; empty = there is none.
func (t *turn) unended(ctx context.Context, caseID string, before []string) (string, error) {
	for _, id := range before {
		rec, err := t.Ledger.Last(ctx, ledger.ActionSubject(caseID, id))
		if err != nil || !rec.State.Ended() {
			return id[strings.LastIndex(id, ":")+1:], err
		}
	}
	return "", nil
}

// Death names the death of an action for a redrive: events.Command.Shown. One that names another death than the last sends
// nothing: two people who saw the same letter send the action again once.
func Death(at time.Time) string { return at.UTC().Format(time.RFC3339Nano) }

// unsend takes back a redrive that met the refusal of its case: a lane that ends what has not begun passes by what is
// dead, and what it was told is read here after the redrive stands. Empty = the case is not refused.
func (t *turn) unsend(ctx context.Context, c events.Command, caseID string, rec ledger.Record) (string, error) {
	plan, err := t.Ledger.Last(ctx, ledger.PlanSubject(caseID))
	if err != nil || plan.State != ledger.Refused {
		return "", err
	}
	_, err = t.append(ctx, rec, ledger.Record{
		Subject: rec.Subject, State: ledger.Cancelled, Evidence: rec.Evidence, Tries: rec.Tries, Attempts: rec.Attempts, Epoch: rec.Epoch,
		Reason: plan.Reason + "; redriven by " + c.Actor + " meanwhile",
	})
	if err == nil {
		err = t.Queue.Barrier(ctx)
	}
	if err != nil {
		return "", err
	}
	// Dying here: cancelled, and its letter stands; the command comes again and knows its own redrive.
	return unsent(plan), t.Morgue.Unbury(ctx, c.Target)
}

// unsent says why an action of a refused case is not sent again.
func unsent(plan ledger.Record) string {
	return "the case is " + plan.Reason + ": nothing of it is sent again"
}

// needsPerson reports whether an action in this state waits for a person's word: it died, cannot be proven, or was found
// undone after it was proven. One of the last kind that is brought about again by itself loses nothing by being sent.
func needsPerson(s ledger.State) bool {
	return s == ledger.Dead || s == ledger.Contested || s == ledger.Regressed
}

// action finds an action in the plan of its case, and the last records of both.
func (t *turn) action(ctx context.Context, caseID, id string) (a events.Action, d Decision, plan, rec ledger.Record, err error) {
	if plan, d, err = t.plan(ctx, caseID); err != nil {
		return a, d, plan, rec, err
	}
	a, ok := d.Action(id)
	if !ok {
		return events.Action{}, d, plan, rec, nil
	}
	rec, err = t.Ledger.Last(ctx, ledger.ActionSubject(caseID, id))
	return a, d, plan, rec, err
}

// redrives is what an action's history tells a command.
type redrives struct {
	n    int       // how often the action was redriven
	mine bool      // one of these was by the command
	died time.Time // when it died of what the command redrives, or would
}

// redrives reads the history of an action.
func (t *turn) redrives(ctx context.Context, rec ledger.Record, command string) (past redrives, err error) {
	if rec.Seq == 0 {
		return past, nil
	}
	err = t.Ledger.Range(ctx, rec.Subject, time.Time{}, func(r ledger.Record) error {
		switch {
		case r.State == ledger.Redriven:
			past.n++
			past.mine = past.mine || r.Attempt == command
		case !past.mine && needsPerson(r.State):
			past.died = r.Time
		}
		return nil
	})
	return past, err
}

// reopen opens the case of a redriven action. The lifecycle is read before the action: if the action went on in
// between, so did the case, and it is left to those who run actions.
func (t *turn) reopen(ctx context.Context, caseID, subject string) error {
	life, err := t.Ledger.Last(ctx, ledger.LifecycleSubject(caseID))
	if err != nil || life.State == ledger.Open {
		return err
	}
	rec, err := t.Ledger.Last(ctx, subject)
	if err != nil || rec.State != ledger.Redriven {
		return err
	}
	_, err = t.setLife(ctx, life, caseID, ledger.Open, rec.Reason, time.Time{})
	return err
}

// exhumeStale removes the dead letter of an action that needs nobody any more.
func (t *turn) exhumeStale(ctx context.Context, id string, s ledger.State) error {
	if s.Achieved() || s == ledger.Cancelled {
		return t.Morgue.Unbury(ctx, id)
	}
	return nil
}

// redriveCase plans the event of a dead letter: a conflict as the case of its own that it is, one that the playbooks
// could not be applied to once more.
func (t *turn) redriveCase(ctx context.Context, c events.Command) (string, error) {
	rec, d, err := t.plan(ctx, c.Target)
	if err != nil {
		return "", err
	}
	letter, err := t.Morgue.DeadLetter(ctx, c.Target)
	switch {
	case errors.Is(err, stream.ErrNotFound) && rec.Seq == 0:
		return "no dead letter has that id", nil
	case err != nil && !errors.Is(err, stream.ErrNotFound):
		return "", err
	case err == nil && letter.Case == "":
		return t.redriveFault(ctx, c, letter)
	}
	if rec.Seq == 0 {
		if d, err = enclosed(letter); err != nil {
			return "the letter has no event that can be read: have its source send it again, then drop the letter", nil
		}
	}
	own, err := t.replan(ctx, rec, d)
	if err != nil {
		return "", err
	}
	if t.unplanned != nil {
		return "still not planned: " + t.unplanned.Error(), nil
	}
	said := "decided anew: " + own
	if own == "" {
		if said, err = t.redecided(ctx, c.Target); err != nil {
			return "", err
		}
	}
	// Dying here: the case goes on and its letter still stands; the command comes again.
	return said, t.Morgue.Unbury(ctx, c.Target)
}

// redecided says what became of a case that a person sent on.
func (t *turn) redecided(ctx context.Context, caseID string) (string, error) {
	rec, err := t.Ledger.Last(ctx, ledger.PlanSubject(caseID))
	switch {
	case err != nil:
		return "", err
	case rec.Attempt != t.attempt:
		return "the case is " + string(rec.State) + " already", nil
	case rec.State == ledger.Planned || rec.State == ledger.Scheduled:
		return "planned anew", nil
	}
	return "planned anew, and " + string(rec.State) + ": " + rec.Reason, nil
}

// replan decides a case that a person sends on, or follows what is decided meanwhile. It gives the case of its own under
// which it did, if it is one.
func (t *turn) replan(ctx context.Context, rec ledger.Record, d Decision) (own string, err error) {
	if rec.Seq == 0 {
		return "", t.event(ctx, d.Event, d.Accepted)
	}
	if d.Newer != "" && d.Denied == nil && (rec.State == ledger.Superseded || rec.State == ledger.Cancelled) {
		if err := t.revive(ctx, rec, d); err != nil || t.unplanned != nil {
			return "", err
		}
		return "", t.resume(ctx, d.Case)
	}
	if rec.State == ledger.Conflict || (rec.State == ledger.Scheduled && !t.future(d)) {
		return "", t.decide(ctx, rec, d)
	}
	t.note(slog.String("state", string(rec.State)))
	if rec.State == ledger.Planned {
		if own, err = t.reviveRest(ctx, d); own != "" || err != nil || t.unplanned != nil {
			return own, err
		}
	}
	return "", t.resume(ctx, d.Case)
}
