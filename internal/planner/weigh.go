package planner

import (
	"context"
	"slices"
	"strings"

	"keyturn/internal/ledger"
)

// weigh asks the guards about an event that takes terminations back, before it has its place among the events of its
// person: without actions as well, for what it does is that the actions of others are not done. Held, it has no effect.
// It is asked whether or not something is known that it would take back: it would be obeyed by what comes late.
//
// Who is protected stands in nobody's way here: nothing is done to them by it.
func (t *turn) weigh(ctx context.Context, d *Decision) (ledger.State, string, error) {
	if !ordered(d.Event) || !entryOf(*d).Returns() {
		return "", "", nil
	}
	if placed, err := t.placed(ctx, *d); err != nil || placed {
		return "", "", err
	}
	t.preview(d)
	g, err := t.Plans.Guard(d.Plan)
	switch {
	case err != nil:
		return "", "", unjudged{err}
	case g.Protected != "":
		return "", "", nil
	}
	if err := t.stop(ctx, d, g); err != nil || d.Hold == nil {
		return "", "", err
	}
	d.Hold.Apart = true
	t.warn("what takes terminations back waits for a person: " + d.Hold.Why)
	return ledger.Held, d.Hold.Why, nil
}

// placed reports whether the event has its place among the events of its person already: a message that died after it
// had taken it goes on.
func (t *turn) placed(ctx context.Context, d Decision) (bool, error) {
	c, err := t.gather(ctx, d)
	return slices.ContainsFunc(c.Parts, func(p person) bool {
		i := p.Index(d.Case)
		return i >= 0 && p.Entries[i].Hash == d.Hash
	}), err
}

// preview fills in what the playbooks say of an event by now, as far as they can be applied: it is planned anew when it
// takes its place.
func (t *turn) preview(d *Decision) {
	d.Class, d.Actions, d.Playbooks, d.DryRuns = d.Event.Class, nil, nil, nil
	if plan, err := t.Plans.Plan(d.Event); err == nil {
		d.Actions, d.Playbooks, d.Config, d.DryRuns = plan.Actions, plan.Playbooks, plan.Config, plan.DryRuns
	}
}

// enter gives a plan that may go on now its place, if it was held without one, and says what becomes of it: the actions
// are those that were shown, with at least the class of what it takes back. why ends the reason that is recorded.
func (t *turn) enter(ctx context.Context, d *Decision) (state ledger.State, why string, err error) {
	if !d.Hold.Apart {
		return ledger.Planned, "", nil
	}
	shown := d.Class
	if state, why, err = t.overtake(ctx, d); state != "" || err != nil {
		return state, "; " + why, err
	}
	for i, a := range d.Actions {
		d.Actions[i].Class = sooner(a.Class, d.Class)
	}
	d.Class = sooner(shown, d.Class)
	if t.future(*d) {
		return ledger.Scheduled, "; " + t.until(*d), nil
	}
	return ledger.Planned, strings.TrimSuffix("; "+t.listing(*d), "; "), nil
}
