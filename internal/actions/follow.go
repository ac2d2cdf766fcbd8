package actions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
)

// lifecycleTries bounds how often a case's lifecycle is decided again because another runner moved it meanwhile. A
// case has a handful of actions, and each moves it once.
const lifecycleTries = 8

// known is what an attempt knows when it brought its action to its end state: the record that says so, and the case's own as
// it stood before that. The zero value knows nothing.
type known struct {
	rec, life ledger.Record
	sole      bool // it is the only one of its plan, which goes on: nothing waits for it, and nobody else ends its case
}

// soleLife gives the case's own record that came with the only action of its plan. Of an action that was tried before,
// whatever became of its case is read.
func (at *attempt) soleLife() (ledger.Record, bool) {
	a := at.action
	if a.Sole == nil || a.Sole.Process != at.Process || at.tries > 1 {
		return ledger.Record{}, false
	}
	return ledger.Record{Subject: ledger.LifecycleSubject(a.Case), State: ledger.Open, Seq: a.Sole.Seq, Hash: a.Sole.Hash, Body: a.Sole.Body}, true
}

// finish does what follows from a terminal record, all of which may be repeated, and only then is the message done.
// Dying anywhere in it: the terminal record stands, and the redelivery does the rest.
func (r *Runner) finish(ctx context.Context, a events.Action, rec ledger.Record) events.Outcome {
	return r.finishKnowing(ctx, a, rec, known{})
}

// finishKnowing is finish of whom an attempt knows something that needs not be read.
func (r *Runner) finishKnowing(ctx context.Context, a events.Action, rec ledger.Record, k known) events.Outcome {
	if err := r.mark(ctx, a, rec); err != nil {
		return r.lookAgain(err)
	}
	if refusal(rec) {
		if err := r.refuseCase(ctx, a, rec); err != nil {
			return r.lookAgain(err)
		}
	}
	if err := r.goOn(ctx, a, k); err != nil {
		return r.lookAgain(err)
	}
	if err := r.again(ctx, a, rec); err != nil {
		return r.lookAgain(err)
	}
	return events.Outcome{Verdict: events.Done}
}

// Follow publishes the actions of a case that may go now and moves its lifecycle, as after an action's terminal
// record. It is for whoever ends an action without running it, such as an operator who drops a dead one; it may be
// repeated.
func (r *Runner) Follow(ctx context.Context, caseID string) error {
	return r.proceed(ctx, caseID, "", known{})
}

// goOn does for the case what follows from the end of its action.
func (r *Runner) goOn(ctx context.Context, a events.Action, k known) error {
	if k.sole {
		return r.follow(ctx, events.Plan{Case: a.Case, Actions: []events.Action{a}}, a.ID, k)
	}
	return r.proceed(ctx, a.Case, a.ID, k)
}

// proceed publishes what may go after an action, or after any, and moves the lifecycle. Of a plan that was refused
// meanwhile nothing goes any more.
func (r *Runner) proceed(ctx context.Context, caseID, after string, k known) error {
	rec, err := r.Ledger.Last(ctx, ledger.PlanSubject(caseID))
	if err != nil {
		return err
	}
	if plan, refused, err := refusedPlan(rec); err != nil || refused {
		if err == nil && len(plan.Actions) > 0 {
			err = r.stop(ctx, plan, rec.Reason)
		}
		return err
	}
	plan, err := planned(rec)
	if err != nil || len(plan.Actions) == 0 {
		return err
	}
	return r.follow(ctx, plan, after, k)
}

// plan reads the plan of a case. One that is not in state planned has no actions that could follow.
func (r *Runner) plan(ctx context.Context, caseID string) (events.Plan, error) {
	rec, err := r.Ledger.Last(ctx, ledger.PlanSubject(caseID))
	if err != nil {
		return events.Plan{}, err
	}
	return planned(rec)
}

// planned reads a plan that goes on, as far as its actions must know of each other: its case and its actions.
func planned(rec ledger.Record) (events.Plan, error) {
	var p struct {
		Case    string          `json:"case"`
		Actions []events.Action `json:"actions"`
	}
	if rec.State != ledger.Planned {
		return events.Plan{}, nil
	}
	if err := json.Unmarshal(rec.Body, &p); err != nil {
		return events.Plan{}, fmt.Errorf("plan %s: %w", rec.Subject, err)
	}
	return events.Plan{Case: p.Case, Actions: p.Actions}, nil
}

// about reads the event that an action of a case follows from; the zero one where there is no plan. A plan that was refused
// meanwhile still says it: the letter of what had died before must not say less when it is buried again.
func (r *Runner) about(ctx context.Context, caseID string) (events.Event, error) {
	rec, err := r.Ledger.Last(ctx, ledger.PlanSubject(caseID))
	if err != nil || rec.Seq == 0 {
		return events.Event{}, err
	}
	var p events.Plan
	if err := json.Unmarshal(rec.Body, &p); err != nil {
		return events.Event{}, fmt.Errorf("plan %s: %w", rec.Subject, err)
	}
	return p.Event, nil
}

// mark has a letter stand for the action if it is dead, and none if it is not, by its last record rec. Of two who work
// off copies of one message one may be late: it buries what was redriven meanwhile, or what is done by now. Therefore
// the record is read again behind every change; only an action that was begun more than once can have been dead.
func (r *Runner) mark(ctx context.Context, a events.Action, rec ledger.Record) error {
	for range lifecycleTries {
		var err error
		switch {
		case rec.State == ledger.Dead, rec.State == ledger.Contested, waits(a, rec.State):
			err = r.bury(ctx, a, rec)
		case rec.State == ledger.Cancelled, rec.Tries > 1:
			err = r.Morgue.Unbury(ctx, a.ID)
		default:
			return nil
		}
		if err != nil {
			return err
		}
		// Dying here: what stands may be out of date; the message comes again, and so does this.
		last, err := r.Ledger.Last(ctx, rec.Subject)
		if err != nil || last.Hash == rec.Hash {
			return err
		}
		rec = last
	}
	return fmt.Errorf("dead letter %s: %w, %d times", a.ID, ledger.ErrConflict, lifecycleTries)
}

// bury keeps the dead action for a person. All that it says comes from the ledger, so that a repeat says the same.
func (r *Runner) bury(ctx context.Context, a events.Action, rec ledger.Record) error {
	event, err := r.about(ctx, a.Case)
	if err != nil {
		return err
	}
	a.Visit, a.Sole = nil, nil // it is to be done, not to be looked at, and its case is moved by then
	original, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("dead letter %s: %w", a.ID, err)
	}
	d := events.DeadLetter{
		ID: a.ID, Kind: events.DeadAction, Case: a.Case, Connection: a.Connection, Source: event.Scope, Do: a.Do,
		Principal: event.Subject, Cause: string(rec.State), Error: rec.Reason, Attempts: rec.Attempts, Time: rec.Time, Original: original,
	}
	if rec.Evidence != nil && rec.Evidence.Failure != nil {
		f := rec.Evidence.Failure
		d.Cause, d.Status, d.RequestID, d.Error, d.Suggestion = f.Cause, f.Status, f.RequestID, f.Error, f.Suggestion
	}
	return r.Morgue.Bury(ctx, d)
}

// follow publishes successors and moves the lifecycle. after limits the successors to those of one action; empty
// means of all.
func (r *Runner) follow(ctx context.Context, plan events.Plan, after string, k known) error {
	if len(plan.Actions) > 1 {
		// Of several, one may be found undone while the case goes on. The only one is not looked at again before somebody
		// moved its case, who wins the compare-and-swap below.
		k.rec = ledger.Record{}
	}
	for range lifecycleTries {
		// The lifecycle is read before the actions: whoever ends an action after this read and moves the case wins
		// the compare-and-swap below, and this runner decides again.
		if k.life.Seq == 0 {
			life, err := r.Ledger.Last(ctx, ledger.LifecycleSubject(plan.Case))
			if err != nil {
				return err
			}
			k = known{life: life}
		}
		s, err := r.standing(ctx, plan, k.rec)
		if err != nil {
			return err
		}
		if err := r.publishNext(ctx, plan, s, after); err != nil {
			return err
		}
		err = r.move(ctx, plan, s, k.life)
		if !errors.Is(err, ledger.ErrConflict) {
			return err
		}
		k = known{}
	}
	return fmt.Errorf("lifecycle of case %s: %w, %d times", plan.Case, ledger.ErrConflict, lifecycleTries)
}

// standing is where the actions of a case stand: their last records, by id.
type standing map[string]ledger.Record

// standing reads the actions of a case from the leader, but for the one whose record is known.
func (r *Runner) standing(ctx context.Context, plan events.Plan, known ledger.Record) (standing, error) {
	s := make(standing, len(plan.Actions))
	for _, a := range plan.Actions {
		subject := ledger.ActionSubject(plan.Case, a.ID)
		if subject == known.Subject {
			s[a.ID] = known
			continue
		}
		rec, err := r.Ledger.Last(ctx, subject)
		if err != nil {
			return nil, err
		}
		s[a.ID] = rec
	}
	return s, nil
}

// ready reports whether all of these have come to an end.
func (s standing) ready(before []string) bool {
	return !slices.ContainsFunc(before, func(id string) bool { return !s.ended(id) })
}

// ended reports whether an action came to an end. Behind one that was found undone later, what waits either goes on, or is
// held as behind any other that did not last.
func (s standing) ended(id string) bool { return s[id].State.Ended() }

// stoppers gives those before a that did not reach their end state and keep it from going: a playbook may say so,
// and what destroys never goes after a failure.
func (s standing) stoppers(a events.Action) []string {
	if a.OnDead != events.Stop && !Destructive(a.Do) {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(a.After), func(id string) bool {
		return !s.ended(id) || s[id].State.Achieved()
	})
}

// held gives the actions that will not go unless a person sees to those before them, directly or further back. A
// plan lists an action after those that it waits for.
func (s standing) held(plan events.Plan) map[string]bool {
	held := map[string]bool{}
	for _, a := range plan.Actions {
		behind := slices.ContainsFunc(a.After, func(id string) bool { return held[id] })
		held[a.ID] = unsent(s[a.ID]) && (behind || len(s.stoppers(a)) > 0)
	}
	return held
}

// unsent reports whether an action may not have been sent to its lane: it has no record, or a person sent it again, which
// waits for what is before it as the first time.
func unsent(rec ledger.Record) bool { return rec.State == "" || rec.State == ledger.Redriven }

// publishNext sends the successors that may go. One that has another record was sent before.
func (r *Runner) publishNext(ctx context.Context, plan events.Plan, s standing, after string) error {
	for _, a := range plan.Actions {
		before := plan.Before(a)
		if len(before) == 0 || (after != "" && !slices.Contains(before, after)) {
			continue
		}
		if !unsent(s[a.ID]) || !s.ready(before) || len(s.stoppers(a)) > 0 {
			continue
		}
		var err error
		if a.Redrive, err = r.redrives(ctx, s[a.ID]); err != nil {
			return err
		}
		if err := r.Queue.PublishAction(ctx, a); err != nil {
			return fmt.Errorf("publish %s: %w", a.ID, err)
		}
		// Dying here: the message of the one that ended comes again and sends the rest; this one is found begun, or known by its id.
	}
	return nil
}

// redrives counts how often a person sent an action again that was not sent since, by its last record; of others it is 0.
func (r *Runner) redrives(ctx context.Context, last ledger.Record) (n int, err error) {
	if last.State != ledger.Redriven {
		return 0, nil
	}
	err = r.Ledger.Range(ctx, last.Subject, time.Time{}, func(rec ledger.Record) error {
		if rec.State == ledger.Redriven {
			n++
		}
		return nil
	})
	return n, err
}

// move brings the lifecycle to where the actions say it is, when all of them came to an end or are held.
func (r *Runner) move(ctx context.Context, plan events.Plan, s standing, life ledger.Record) error {
	state, reason, ended := s.verdict(plan)
	if !ended || (life.State == state && life.Reason == reason) || (life.State == state && state == ledger.Closed) {
		return nil
	}
	walk := []ledger.State{state}
	if life.State == ledger.Closed || (life.State == "" && state == ledger.ClosedWithResidual) {
		walk = []ledger.State{ledger.Open, state} // the state table wants it open first
	}
	for _, next := range walk {
		rec, err := r.Ledger.Append(ctx, life, ledger.Record{
			Subject: ledger.LifecycleSubject(plan.Case), State: next, By: r.Worker, Attempt: r.NewID(),
			Epoch: r.Epoch, Reason: reason, Body: life.Body,
		})
		if err != nil {
			return err
		}
		life = rec
	}
	// Dying here: the case stands where it belongs; the redelivery finds nothing to move.
	return nil
}

// verdict says where a case belongs whose actions stand like this, and why. It is false while one of them may go on
// by itself.
func (s standing) verdict(plan events.Plan) (state ledger.State, reason string, ended bool) {
	var troubled, residual []string
	held := s.held(plan)
	for _, a := range plan.Actions {
		rec := s[a.ID]
		switch {
		case held[a.ID]:
			note := a.Step + " is held"
			if by := s.stoppers(a); len(by) > 0 {
				note += " behind " + strings.Join(by, ", ")
			}
			troubled = append(troubled, note)
		case waits(a, rec.State):
			troubled = append(troubled, a.Step+" is "+string(rec.State))
		case !rec.State.Terminal():
			return "", "", false
		case rec.State == ledger.Dead, rec.State == ledger.Contested:
			troubled = append(troubled, a.Step+" is "+string(rec.State))
		}
		for _, left := range rec.Residual() {
			residual = append(residual, left.What)
		}
	}
	switch {
	case len(troubled) > 0:
		return ledger.NeedsPerson, strings.Join(troubled, "; "), true
	case len(residual) > 0:
		return ledger.ClosedWithResidual, strings.Join(residual, "; "), true
	}
	return ledger.Closed, "", true
}
