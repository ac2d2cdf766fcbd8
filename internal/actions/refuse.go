package actions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
)

// untouched reports whether no attempt at the action changed anything, nor was about to.
func (at *attempt) untouched() bool {
	return len(at.ev.Applied) == 0 && len(at.ev.Needed) == 0 && at.ev.Pending == ""
}

// refuse ends an action whose target turned out to be protected before anything was changed. The whole case is refused
// by it: whoever else it acts upon is the same person, under names that no list has.
func (at *attempt) refuse(ctx context.Context, err error, why spared) (ledger.Record, events.Outcome) {
	f := failureOf(err)
	f.Cause = ledger.Protected
	at.ev.Failure = f
	at.charged++
	if err := at.append(ctx, ledger.Cancelled, "refused: "+why.Error()); err != nil {
		return at.rec, at.lookAgain(err)
	}
	// Dying here: it is not done, and its record says why; the message comes again and refuses the case.
	out := at.finish(ctx, at.action, at.rec)
	if out.Err == nil {
		out.Err = err
	}
	return at.rec, out
}

// refusal reports whether a record is the end of an action that was refused.
func refusal(rec ledger.Record) bool {
	return rec.State == ledger.Cancelled && rec.Evidence != nil && rec.Evidence.Failure != nil && rec.Evidence.Failure.Cause == ledger.Protected
}

// refuseCase writes that a plan is refused, for what one of its actions found.
func (r *Runner) refuseCase(ctx context.Context, a events.Action, rec ledger.Record) error {
	prev, err := r.Ledger.Last(ctx, ledger.PlanSubject(a.Case))
	if err != nil || prev.State != ledger.Planned {
		return err
	}
	_, err = r.Ledger.Append(ctx, prev, ledger.Record{
		Subject: prev.Subject, State: ledger.Refused, Reason: rec.Reason, Body: prev.Body, By: r.Worker, Attempt: r.NewID(), Epoch: r.Epoch,
	})
	if err != nil {
		return err
	}
	// Dying here: refused, and what had not begun may still begin; the message comes again and ends it.
	r.alert(ctx, a, rec)
	return nil
}

// stop ends whatever of a refused case has not begun, and moves the case when the rest has come to its end: closed, or
// to a person when something was done before anybody knew.
func (r *Runner) stop(ctx context.Context, plan events.Plan, why string) error {
	for range lifecycleTries {
		life, err := r.Ledger.Last(ctx, ledger.LifecycleSubject(plan.Case))
		if err != nil {
			return err
		}
		err = r.endUnbegun(ctx, plan, why)
		if err == nil {
			err = r.moveRefused(ctx, plan, life, why)
		}
		if !errors.Is(err, ledger.ErrConflict) {
			return err
		}
	}
	return fmt.Errorf("refused case %s: %w, %d times", plan.Case, ledger.ErrConflict, lifecycleTries)
}

// endUnbegun cancels the actions that nobody is at work on.
func (r *Runner) endUnbegun(ctx context.Context, plan events.Plan, why string) error {
	s, err := r.standing(ctx, plan, ledger.Record{})
	if err != nil {
		return err
	}
	for _, a := range plan.Actions {
		rec := s[a.ID]
		switch rec.State {
		case "", ledger.Waiting, ledger.Redriven, ledger.Regressed:
			if err := r.endOne(ctx, plan.Case, a, rec, why); err != nil {
				return err
			}
		case ledger.Cancelled: // perhaps by an earlier delivery that came no further
		default:
			continue
		}
		if rec.Tries > 0 {
			if err := r.Morgue.Unbury(ctx, a.ID); err != nil { // one that was found undone may have a letter
				return err
			}
			// Dying before or after it: the message that we work off comes again, and removes it once more.
		}
	}
	return nil
}

// endOne cancels an action of a refused case that nobody is at work on.
func (r *Runner) endOne(ctx context.Context, caseID string, a events.Action, rec ledger.Record, why string) error {
	// Dying after it: it will not begin. The message that we work off comes again for the rest.
	_, err := r.Ledger.Append(ctx, rec, ledger.Record{
		Subject: ledger.ActionSubject(caseID, a.ID), State: ledger.Cancelled, Reason: why, Evidence: rec.Evidence, By: r.Worker,
		Attempt: r.NewID(), Tries: rec.Tries, Attempts: rec.Attempts, Epoch: r.Epoch,
	})
	return err
}

// moveRefused brings the lifecycle of a refused case to its end, once nobody is at work on any of it.
func (r *Runner) moveRefused(ctx context.Context, plan events.Plan, life ledger.Record, why string) error {
	s, err := r.standing(ctx, plan, ledger.Record{})
	if err != nil {
		return err
	}
	touched := 0
	for _, a := range plan.Actions {
		rec := s[a.ID]
		if !rec.State.Terminal() {
			return nil // whoever ends it comes by here
		}
		changed := rec.Evidence != nil && (len(rec.Evidence.Applied) > 0 || len(rec.Evidence.Needed) > 0)
		if changed || rec.State != ledger.Cancelled {
			touched++
		}
	}
	state := ledger.Closed
	if touched > 0 {
		state, why = ledger.NeedsPerson, why+"; begun before: "+strconv.Itoa(touched)
	}
	if life.State == state || life.State == ledger.Closed {
		return nil // a person may have closed it
	}
	// Dying before it: the message that brought us here comes again, and finds everything ended.
	_, err = r.Ledger.Append(ctx, life, ledger.Record{
		Subject: ledger.LifecycleSubject(plan.Case), State: state, By: r.Worker, Attempt: r.NewID(), Epoch: r.Epoch, Reason: why, Body: life.Body,
	})
	return err
}

// refusedPlan gives the plan that a record says is refused.
func refusedPlan(rec ledger.Record) (events.Plan, bool, error) {
	if rec.State != ledger.Refused {
		return events.Plan{}, false, nil
	}
	var p events.Plan
	if err := json.Unmarshal(rec.Body, &p); err != nil {
		return p, false, fmt.Errorf("plan %s: %w", rec.Subject, err)
	}
	return p, true, nil
}
