package planner

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
)

// follow does what follows from a decision. It may be called any number of times: whatever is done already is found
// done, or is harmless to repeat.
func (t *turn) follow(ctx context.Context, rec ledger.Record, d Decision) error {
	life, err := t.Ledger.Last(ctx, ledger.LifecycleSubject(d.Case))
	if err != nil {
		return err
	}
	if life, err = t.awaken(ctx, rec, life, d); err != nil {
		return err
	}
	return t.followFrom(ctx, rec, d, life)
}

// awaken opens a closed case whose plan was decided since, anew or, when its letter was dropped, for the first time, or
// which lists since what had begun.
func (t *turn) awaken(ctx context.Context, rec, life ledger.Record, d Decision) (ledger.Record, error) {
	if life.State != ledger.Closed || life.Seq > rec.Seq {
		return life, nil
	}
	// Dying before either: decided, or listed, and the case is closed; the message comes again and opens it.
	switch {
	case rec.State == ledger.Scheduled, rec.State == ledger.Planned, rec.State == ledger.Held:
		return t.setLife(ctx, life, d.Case, ledger.Open, rec.Reason, time.Time{})
	case d.lists():
		return t.setLife(ctx, life, d.Case, ledger.NeedsPerson, rec.Reason, time.Time{})
	}
	return life, nil
}

// followFirst is follow of the first decision about a case. Where it goes on the case hardly ever has a record yet: it is not
// read, and opening a case that has one is refused.
func (t *turn) followFirst(ctx context.Context, rec ledger.Record, d Decision) error {
	if rec.State == ledger.Planned && len(d.Actions) > 0 {
		if err := t.followFrom(ctx, rec, d, ledger.Record{}); !errors.Is(err, ledger.ErrConflict) {
			return err
		}
	}
	return t.follow(ctx, rec, d)
}

// followFrom is follow of a case whose own record is life.
func (t *turn) followFrom(ctx context.Context, rec ledger.Record, d Decision, life ledger.Record) error {
	// A plan that goes on is listed behind its actions, which need not wait for that. What may be the word that another case
	// waits for is listed first: confirm.
	late := rec.State == ledger.Planned && life.State == "" && !t.Plans.Confirms(d.Event)
	if !late {
		if err := t.list(ctx, d); err != nil {
			return err
		}
	}
	if life.State == ledger.Closed || life.State == ledger.ClosedWithResidual {
		return nil // nothing is left to follow
	}
	if rec.State != ledger.Conflict {
		if err := t.confirm(ctx, d); err != nil {
			return err
		}
	}
	if late {
		if err := t.launch(ctx, rec, d, life); err != nil {
			return err
		}
		// Dying here: its actions go, and no name leads to the case yet; the message comes again and lists it, closed or not.
		return t.list(ctx, d)
	}
	switch rec.State {
	case ledger.Planned:
		return t.launch(ctx, rec, d, life)
	case ledger.Scheduled:
		return t.await(ctx, rec, d)
	case ledger.Held:
		return t.keep(ctx, rec, d)
	case ledger.Conflict:
		return t.buryConflict(ctx, d)
	}
	return t.conclude(ctx, d, life.State)
}

// launch publishes the first actions of a plan.
func (t *turn) launch(ctx context.Context, rec ledger.Record, d Decision, life ledger.Record) error {
	if err := t.Queue.Barrier(ctx); err != nil {
		return err
	}
	// Dying here: the plan is on disk. From now on it alone is published, whatever becomes of the playbooks.
	if d.Hold != nil && !d.Hold.Until.IsZero() {
		if err := t.Timetable.Unschedule(ctx, d.Case); err != nil {
			return err
		}
		// Dying here: the end of its hold is called off. One that fired already finds the plan decided.
	}
	if err := t.exhume(ctx, d, life.State); err != nil {
		return err
	}
	life, err := t.open(ctx, rec, d, life)
	if err != nil {
		return err
	}
	if err := t.wind(ctx, d); err != nil {
		return err
	}
	// Dying here: the case is open and none of its actions is published; the message comes again. The case is moved
	// first, so that whoever is done with the last action finds it open and closes it.
	for _, a := range d.First() {
		a.Sole = Sole(d.Plan, life, t.Process)
		if err := t.Queue.PublishAction(ctx, a); err != nil {
			return err
		}
		// Dying here: the lane has it, and the message comes again; published twice, the action is found begun.
	}
	return nil
}

// open brings the case of a plan that goes on to where it belongs before its actions are published, and gives its record.
func (t *turn) open(ctx context.Context, rec ledger.Record, d Decision, life ledger.Record) (ledger.Record, error) {
	switch {
	case len(d.Actions) == 0, life.State != "" && life.State != ledger.Open:
		return t.moved(ctx, d.Case)
	case life.State == "":
		return t.setLife(ctx, life, d.Case, ledger.Open, rec.Reason, d.Accepted)
	}
	return life, nil
}

// Sole is what the only action of a plan takes along of its open case, whose own record life is; nil for a plan of several,
// and for a process that has no id.
func Sole(p events.Plan, life ledger.Record, process string) *events.Sole {
	if process == "" || len(p.Actions) != 1 || life.State != ledger.Open {
		return nil
	}
	return &events.Sole{Process: process, Seq: life.Seq, Hash: life.Hash, Body: life.Body}
}

// await has a plan come back when it takes effect.
func (t *turn) await(ctx context.Context, rec ledger.Record, d Decision) error {
	if err := t.overcome(ctx, rec, d); err != nil {
		return err
	}
	if err := t.move(ctx, d.Case); err != nil {
		return err
	}
	// Dying here: the plan stands and waits for nothing; the message comes again. The case is open already, which is how
	// whoever cancels it knows that there may be something to take back.
	return t.comeBack(ctx, d.Event, d.EffectiveAt)
}

// buryConflict hands a conflict to a person.
func (t *turn) buryConflict(ctx context.Context, d Decision) error {
	if err := t.Queue.Barrier(ctx); err != nil {
		return err
	}
	err := t.bury(ctx, d, events.DeadLetter{
		Kind: events.DeadConflict, Cause: causeConflict, Time: d.Accepted,
		Error:      "case " + d.Against + " came with other content under the same id",
		Suggestion: "compare it with that case; redrive it if it is meant as well, else drop it",
	})
	if err != nil {
		return err
	}
	return t.move(ctx, d.Case)
}

// conclude ends a case that nothing will come of any more: refused, superseded or cancelled.
func (t *turn) conclude(ctx context.Context, d Decision, life ledger.State) error {
	if life != "" {
		if err := t.Timetable.Unschedule(ctx, d.Case); err != nil {
			return err
		}
		// Dying here: what fired already finds the plan decided.
	}
	if life == ledger.NeedsPerson {
		if err := t.Queue.Barrier(ctx); err != nil {
			return err
		}
		// Dying here: the end is on disk, and a letter that holds the only copy of an event may go.
	}
	if err := t.exhume(ctx, d, life); err != nil {
		return err
	}
	return t.move(ctx, d.Case)
}

// exhume removes the dead letter of a case that waited for a person and goes on. It is on disk before the case is
// moved: dying between the two, the case still says that there may be one.
func (t *turn) exhume(ctx context.Context, d Decision, life ledger.State) error {
	if life != ledger.NeedsPerson {
		return nil
	}
	if err := t.setApart(ctx, d); err != nil {
		return err
	}
	if err := t.Morgue.Unbury(ctx, d.Case); err != nil {
		return err
	}
	return t.Queue.Barrier(ctx)
}

// list lists the case unless this turn did.
func (t *turn) list(ctx context.Context, d Decision) error {
	if t.listed == d.Case {
		return nil
	}
	return t.index(ctx, d)
}

// index lists the case under every name that the event gives its principal and its person.
func (t *turn) index(ctx context.Context, d Decision) error {
	names := []string{d.Event.Subject}
	for _, id := range events.Principals(d.Event) {
		if name := id.Principal(); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, name := range names {
		_, err := t.append(ctx, ledger.Record{}, ledger.Record{
			Subject: ledger.PersonSubject(t.Keyer.Key(name), d.Case), State: ledger.Kept,
		})
		if err != nil && !errors.Is(err, ledger.ErrConflict) { // a conflict: it is listed already
			return err
		}
		// Dying here: listed under some names; the rest follows with the message.
	}
	return nil
}

// read gives where a case stands and its plan. The lifecycle is read first: of two that move it at once, the second to
// write begins anew and sees everything that the first one saw.
func (t *turn) read(ctx context.Context, caseID string) (life, rec ledger.Record, d Decision, err error) {
	if life, err = t.Ledger.Last(ctx, ledger.LifecycleSubject(caseID)); err != nil {
		return life, rec, d, err
	}
	if rec, err = t.Ledger.Last(ctx, ledger.PlanSubject(caseID)); err != nil {
		return life, rec, d, err
	}
	d, err = Decode(rec)
	return life, rec, d, err
}

// move brings the lifecycle of a case to where its plan and its actions say.
func (t *turn) move(ctx context.Context, caseID string) error {
	_, err := t.moved(ctx, caseID)
	return err
}

// moved does so, and gives the record that the case stands at.
func (t *turn) moved(ctx context.Context, caseID string) (ledger.Record, error) {
	life, rec, d, err := t.read(ctx, caseID)
	if err != nil {
		return life, err
	}
	to, err := t.standing(ctx, life, rec, d)
	if err != nil || to == "" || to == life.State {
		return life, err
	}
	return t.setLife(ctx, life, caseID, to, rec.Reason, d.Accepted)
}

// moveTo brings the lifecycle of a case that has no plan, or whose plan does not tell, to a state.
func (t *turn) moveTo(ctx context.Context, caseID string, to ledger.State, why string) error {
	life, err := t.Ledger.Last(ctx, ledger.LifecycleSubject(caseID))
	if err != nil || life.State == to {
		return err
	}
	_, err = t.setLife(ctx, life, caseID, to, why, time.Time{})
	return err
}

// setLife writes a lifecycle record behind prev.
func (t *turn) setLife(ctx context.Context, prev ledger.Record, caseID string, to ledger.State, why string, accepted time.Time) (ledger.Record, error) {
	life, err := prev.Life()
	if err != nil {
		return prev, err
	}
	if !accepted.IsZero() {
		life.Accepted = accepted
	}
	if life.Late != nil && life.Late.Said == t.attempt {
		life.Late.Said = "" // by the record before it, in this turn: it is told once, and what this one says besides
	}
	return t.writeLife(ctx, prev, caseID, to, why, life)
}

// writeLife writes a lifecycle record with its body behind prev.
func (t *turn) writeLife(ctx context.Context, prev ledger.Record, caseID string, to ledger.State, why string, life ledger.Life) (ledger.Record, error) {
	rec := ledger.Record{Subject: ledger.LifecycleSubject(caseID), State: to, Reason: why}
	if life != (ledger.Life{}) {
		body, err := json.Marshal(life)
		if err != nil {
			return prev, err
		}
		rec.Body = body
	}
	return t.append(ctx, prev, rec)
}

// unwatch ends the looks at what a case's actions did: what a newer event or a person took back is not to be found
// "undone". It is written before any action is looked at: whoever finds an action undone at the same time either reads
// it, or has recorded what the caller reads next.
func (t *turn) unwatch(ctx context.Context, caseID, why string) error {
	prev, err := t.Ledger.Last(ctx, ledger.LifecycleSubject(caseID))
	if err != nil {
		return err
	}
	life, err := prev.Life()
	if err != nil || life.Unwatched != "" {
		return err
	}
	life.Unwatched = why
	// Dying after it: nothing is looked at again; what had not begun is cancelled when the message comes again.
	_, err = t.writeLife(ctx, prev, caseID, cmp.Or(prev.State, ledger.Open), prev.Reason, life)
	return err
}
