package planner

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/people"
)

// displaced is what an older event loses, and what it cannot lose any more.
type displaced struct {
	begun []Begun
	class events.Class // with which it was to be done
}

// displace takes from an older event of the same person what it has not begun, because newer overtakes it, and lists
// what it has. Whether something was begun is decided by compare-and-swap on its own subject: either the start comes
// first and is listed, or the cancellation does and nothing starts. ids are the person's.
func (t *turn) displace(ctx context.Context, ids []string, old people.Entry, newer Decision) (displaced, error) {
	rec, d, err := t.plan(ctx, old.Case)
	if err != nil {
		return displaced{}, err
	}
	if rec.Seq == 0 {
		d = Decision{Plan: blank(old.Case, old.Hash, old.Event, old.Accepted)}
	} else if mine, err := t.owns(ctx, ids, old, d); err != nil || !mine {
		return displaced{}, err
	}
	out := displaced{class: d.Class}
	state, why := ledger.Superseded, "overtaken by "+newer.Event.Name()+" "+newer.Case
	back := entryOf(newer).Returns()
	if back && !old.Returns() {
		state = ledger.Cancelled
	}
	if len(d.Actions) > 0 && !back && !old.Returns() && (pendingPlan(rec.State) || d.Newer == newer.Case) {
		t.replaced = append(t.replaced, d.Case)
	}
	if pendingPlan(rec.State) || d.Newer == newer.Case || rec.State == ledger.Planned && back {
		t.gaveWay(old, d, newer)
	}
	switch rec.State {
	case "", ledger.Scheduled, ledger.Held, ledger.Conflict:
		d.Newer, d.Begun = newer.Case, nil // what it lists, the newer one lists, or wants as it is
		if rec, err = t.write(ctx, rec, d, state, why); err != nil {
			return out, err
		}
		// Dying here: the older case is decided. This event, or the older one's own message, does what follows.
		return out, t.follow(ctx, rec, d)
	case ledger.Superseded, ledger.Cancelled:
		return out, t.follow(ctx, rec, d)
	case ledger.Planned:
		if back != old.Returns() || t.future(newer) {
			out.begun, err = t.recall(ctx, d, why, newer.Case)
		}
	case ledger.Refused: // by a lane, which ends the rest; what was done before stands
		if back != old.Returns() {
			out.begun, err = t.begunOf(ctx, d, nil)
		}
	}
	// Two terminations at once want the same end; nothing is gained by stopping the first.
	return out, err
}

// pendingPlan reports whether a plan with actions waits in this state.
func pendingPlan(s ledger.State) bool { return s == ledger.Scheduled || s == ledger.Held }

// gaveWay tells of a termination that may be lost with an account: the event that takes its place calls the person otherwise,
// because somebody was renamed or two people have one number, or is a termination that leaves out an account of which it told.
func (t *turn) gaveWay(old people.Entry, d, newer Decision) {
	if old.Returns() {
		return
	}
	was, now := events.PersonIdentifiers(d.Event), events.PersonIdentifiers(newer.Event)
	kinds, to := people.Unlike(was, now), "an event that calls the person otherwise"
	if len(kinds) == 0 && !entryOf(newer).Returns() && newer.Event.Data != nil {
		kinds, to = people.Unnamed(was, now), "one that leaves out a name of the person"
	}
	if len(kinds) > 0 {
		t.warn(fmt.Sprintf("a termination gave way to %s (%s): case %s", to, strings.Join(kinds, ", "), d.Case))
	}
}

// owns reports whether what was decided in an older event's case is the person's: its place may be that of content which
// lost the case to another person's.
func (t *turn) owns(ctx context.Context, ids []string, old people.Entry, d Decision) (bool, error) {
	if d.Hash == old.Hash {
		return true, nil
	}
	who, err := t.whose(ctx, d.Event)
	return slices.Contains(ids, who.ID), err
}

// recall cancels the actions of a plan that nothing has come of yet, and lists the others. The message of a cancelled
// action stays where it is: whoever gets it finds the state. newer is the case that calls them back; empty = a person does.
func (t *turn) recall(ctx context.Context, d Decision, why, newer string) ([]Begun, error) {
	if len(d.Actions) > 0 {
		if err := t.unwatch(ctx, d.Case, why); err != nil {
			return nil, err
		}
	}
	begun, err := t.begunOf(ctx, d, func(id string, rec ledger.Record) error {
		if !pending(rec.State) && rec.State != ledger.Cancelled {
			return nil
		}
		return t.cancelAction(ctx, d.Case, id, rec, why, newer)
	})
	if err != nil {
		return nil, err
	}
	return begun, t.Follow(ctx, d.Case)
}

// begunOf lists the actions of a plan that cannot be called back. end is given each action as it stood; nil = nothing is
// changed.
func (t *turn) begunOf(ctx context.Context, d Decision, end func(id string, rec ledger.Record) error) ([]Begun, error) {
	var begun []Begun
	for _, a := range d.Actions {
		rec, err := t.Ledger.Last(ctx, ledger.ActionSubject(d.Case, a.ID))
		if err == nil && end != nil {
			err = end(a.ID, rec)
		}
		if err != nil {
			return nil, err
		}
		if begunIn(rec) {
			begun = append(begun, Begun{Case: a.Case, Action: a.ID, Do: a.Do, State: rec.State, Made: made(rec)})
		}
	}
	return begun, nil
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
// which a repeat knows that there is a dead letter to remove. newer is the case for whose sake it is not.
func (t *turn) cancelAction(ctx context.Context, caseID, id string, rec ledger.Record, why, newer string) error {
	if said := newer == "" && len(rec.Body) > 0; rec.State != ledger.Cancelled || said { // what an event called back, a person ends
		var body json.RawMessage
		var err error
		if newer != "" {
			if body, err = json.Marshal(recalled{newer}); err != nil {
				return err
			}
		}
		_, err = t.append(ctx, rec, ledger.Record{
			Subject: ledger.ActionSubject(caseID, id), State: ledger.Cancelled, Reason: why, Evidence: rec.Evidence,
			Tries: rec.Tries, Attempts: rec.Attempts, Epoch: rec.Epoch, Body: body,
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
	if err := t.Morgue.Unbury(ctx, id); err != nil {
		return err
	}
	// Dying before the barrier: the action is cancelled, and a power cut may give its letter back; the message comes again.
	// Behind it nothing repeats this: once the newer event has its plan, what it took back is not looked at any more.
	return t.Queue.Barrier(ctx)
}
