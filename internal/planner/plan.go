package planner

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/playbook"
	"keyturn/internal/stream"
)

// decide decides the case of d, which prev says is not decided yet (it has no plan, waits for its time, or was a
// conflict that a person sent on), and does what follows.
func (t *turn) decide(ctx context.Context, prev ledger.Record, d Decision) error {
	state, why, err := t.detain(ctx, &d)
	if err == nil && state == "" {
		state, why, err = t.weigh(ctx, &d)
	}
	if err == nil && state == "" {
		state, why, err = t.overtake(ctx, &d)
	}
	if fault, ok := errors.AsType[unjudged](err); ok {
		return t.unplannable(ctx, prev.State, d, fault.error)
	}
	if err != nil {
		return err
	}
	if state == "" {
		asked := d.Event
		asked.Class = d.Class
		plan, err := t.Plans.Plan(asked)
		if err != nil {
			return t.unplannable(ctx, prev.State, d, err)
		}
		state, why, err = t.judge(ctx, &d, plan)
		if fault, ok := errors.AsType[unjudged](err); ok {
			return t.unplannable(ctx, prev.State, d, fault.error)
		}
		if err != nil {
			return err
		}
	}
	rec, err := t.write(ctx, prev, d, state, why)
	if errors.Is(err, stream.ErrTooLarge) {
		return t.unplannable(ctx, prev.State, d, err) // its playbooks copy the event more often than a record takes
	}
	if err != nil {
		return err
	}
	t.tell(rec, d)
	// Dying here: the plan stands and nobody was told. The message comes again and goes on in follow.
	if prev.Seq == 0 {
		return t.followFirst(ctx, rec, d)
	}
	return t.follow(ctx, rec, d)
}

// tell puts the decision into the turn's line.
func (t *turn) tell(rec ledger.Record, d Decision) {
	t.note(slog.String("state", string(rec.State)), slog.String("class", string(d.Class)),
		slog.Any("playbooks", d.Playbooks), slog.Int("actions", len(d.Actions)), slog.String("reason", rec.Reason))
}

// judge fills in the plan and says what becomes of it by the guards, the time and the brakes of this moment.
func (t *turn) judge(ctx context.Context, d *Decision, plan events.Plan) (ledger.State, string, error) {
	before := *d
	d.Actions, d.Playbooks, d.Config, d.DryRuns, d.SLA = plan.Actions, plan.Playbooks, plan.Config, plan.DryRuns, plan.SLA
	if plan.Class.Valid() {
		d.Class = plan.Class
	}
	why := t.listing(*d)
	if len(d.Actions) == 0 {
		if t.future(*d) {
			return ledger.Scheduled, t.until(*d), nil // the playbooks of that day may know what to do
		}
		switch {
		case len(t.replaced) > 0:
			return ledger.Held, t.doubt(d, why+idle(*d)+", and it took the place of "+strings.Join(t.replaced, ", ")), nil
		case len(before.Actions) > 0 && !playbook.TakesBack(d.Event):
			return ledger.Held, t.doubt(d, why+idle(*d)+", and by playbooks.yaml "+before.Config+" it was to do "+steps(before.Actions)), nil
		}
		return ledger.Planned, why + idle(*d), nil
	}
	return t.guard(ctx, d, why)
}

// doubt holds what no playbook asks anything for, and that took the place of a termination with actions, or had some itself
// while it waited for its time or a pause: closed as it stands, the person's access would stay and nobody would look.
func (t *turn) doubt(d *Decision, why string) string {
	d.Hold = &Hold{Why: why, Need: 1, Asked: t.askers(*d), Doubt: true}
	t.warn("waits for a person: " + why)
	return why
}

// steps names the steps of actions.
func steps(list []events.Action) string {
	var names []string
	for _, a := range list {
		names = append(names, a.Step)
	}
	return strings.Join(names, ", ")
}

// idle says why a plan has no actions.
func idle(d Decision) string {
	if len(d.DryRuns) > 0 {
		return "only dry runs: nothing is done"
	}
	return "no playbook asks for anything"
}

// future reports whether the event takes effect later than now, by any clock. A machine whose clock is ahead must not end
// anybody's access before the day: the broker's schedule tells when it is.
func (t *turn) future(d Decision) bool { return d.EffectiveAt.After(t.come()) }

// until says what a scheduled plan waits for.
func (t *turn) until(d Decision) string {
	return "takes effect at " + d.EffectiveAt.UTC().Format("2006-01-02T15:04:05.999Z")
}

// listing says what was begun already, for a person.
func (t *turn) listing(d Decision) string {
	if len(d.Begun) == 0 {
		return ""
	}
	begun := fmt.Sprintf("%d actions of older events had begun and are not undone", len(d.Begun))
	t.warn(begun)
	return begun + "; "
}

// unplannable keeps an event that the playbooks could not be applied to for a person. Nothing is decided: sent again,
// by its sender or by a redrive, it is planned anew.
func (t *turn) unplannable(ctx context.Context, s ledger.State, d Decision, fault error) error {
	t.unplanned, t.alert = fault, "the playbooks could not be applied: "+fault.Error()
	kind := events.DeadFault
	switch s {
	case ledger.Conflict:
		kind = events.DeadConflict // the letter that it has already
	case "":
		if first, err := t.kept(ctx, d); err != nil {
			return err
		} else if first.Hash != "" { // neither is decided: the letter stays with the one that came first
			return t.conflict(ctx, d.Event, d.Accepted, first)
		}
	}
	err := t.bury(ctx, d, events.DeadLetter{
		Kind: kind, Cause: causePlanning, Error: fault.Error(), Time: d.Accepted, Suggestion: "correct the playbook, then redrive",
	})
	if err != nil {
		return err
	}
	t.note(slog.String("state", "unplannable"))
	return t.moveTo(ctx, d.Case, ledger.NeedsPerson, t.alert)
}

// bury hands the event of a case to a person. letter says why, and what to do.
func (t *turn) bury(ctx context.Context, d Decision, letter events.DeadLetter) error {
	original, err := events.Marshal(d.Event)
	if err != nil {
		return err
	}
	letter.ID, letter.Case, letter.Source, letter.Principal = d.Case, d.Case, d.Event.Scope, d.Event.Subject
	letter.Original = original
	// Dying after it: what brought us here comes again, and buries the same letter.
	return t.Morgue.Bury(ctx, letter)
}

// The causes of dead letters that are the planner's own.
const (
	causePlanning = "planning"
	causeConflict = "conflict"
	causeMapping  = "mapping"
	causeLost     = "overtaken"
)
