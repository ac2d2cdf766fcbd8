package planner

import (
	"context"
	"errors"
	"strings"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/people"
)

// cancelled does what follows from a plan that a person ended.
func (t *turn) cancelled(ctx context.Context, rec ledger.Record, d Decision) (string, error) {
	if err := t.follow(ctx, rec, d); err != nil {
		return "", err
	}
	lost, err := t.withdraw(ctx, d)
	return "cancelled" + lost, err
}

// withdraw lets an event that was ended overtake nothing any more. What it had taken is decided anew when a person ended
// it, and handed to a person when nobody did. It says so for a receipt.
func (t *turn) withdraw(ctx context.Context, d Decision) (string, error) {
	if !ordered(d.Event) {
		return "", nil
	}
	who, err := t.whose(ctx, d.Event)
	if err != nil {
		return "", err
	}
	if i := who.Index(d.Case); i >= 0 && who.Entries[i].Hash == d.Hash && !who.Entries[i].Void {
		who.Entries[i].Void = true
		if err := t.save(ctx, &who, "case "+d.Case+" was ended: it overtakes nothing any more"); err != nil {
			return "", err
		}
		// Dying here: it takes nothing any more, and what it took comes back when the message comes again.
	}
	if t.actor != "" {
		return t.restore(ctx, who)
	}
	return t.handOver(ctx, who, d)
}

// handOver gives each termination whose place an event had taken, which nobody approved in time, to a person: nothing
// else will be done for these. Each has a dead letter, and one redrive of them all decides them anew.
func (t *turn) handOver(ctx context.Context, who person, d Decision) (string, error) {
	var lost []string
	for _, e := range who.Entries {
		if e.Returns() {
			continue
		}
		rec, was, err := t.plan(ctx, e.Case)
		if err != nil {
			return "", err
		}
		by, err := t.lostTo(ctx, who, e, rec.State, was)
		if err != nil {
			return "", err
		}
		if was.Denied != nil || by != d.Case {
			continue
		}
		lost = append(lost, e.Case)
		if err := t.buryLost(ctx, was, by, rec.Time); err != nil {
			return "", err
		}
	}
	if len(lost) == 0 {
		return "", nil
	}
	t.warn("a termination that an event overtook, which was ended, is not done: case " + strings.Join(lost, ", "))
	return "; it had taken the place of " + strings.Join(lost, ", ") + ": redrive what still holds of that (keyturn dead redrive --cause " + causeLost + ")", nil
}

// lostTo gives the case for whose sake a termination is not done, or not to its end; empty = none.
func (t *turn) lostTo(ctx context.Context, who person, e people.Entry, s ledger.State, d Decision) (string, error) {
	switch {
	case s == ledger.Superseded, s == ledger.Cancelled:
		return d.Newer, nil
	case s == ledger.Planned && !e.Void:
		return t.recaller(ctx, who, d)
	}
	return "", nil
}

// buryLost hands a termination that lost its place, or its actions, to a case that was ended, to a person.
func (t *turn) buryLost(ctx context.Context, d Decision, by string, at time.Time) error {
	if d.Event.Data == nil {
		return nil // what it says was never kept: only its sender knows
	}
	return t.bury(ctx, d, events.DeadLetter{
		Kind: events.DeadFault, Cause: causeLost, Time: at,
		Error:      "case " + by + " took its place and was ended: what this one had not begun is not done",
		Suggestion: "redrive it if it still holds, else drop it",
	})
}

// revive decides anew a case whose place an event took that overtakes nothing any more. What it cannot do is said in
// t.unplanned.
func (t *turn) revive(ctx context.Context, rec ledger.Record, d Decision) error {
	who, err := t.whose(ctx, d.Event)
	if err != nil {
		return err
	}
	switch {
	case t.outdone(who, d):
		return nil
	case d.Event.Data == nil:
		t.unplanned = errors.New("what the event says was not kept: have it sent anew")
		return nil
	}
	d.Newer, d.Hold, d.Confirmed = "", nil, nil
	return t.decide(ctx, rec, d)
}

// outdone says in t.unplanned that a newer event decides, if one does.
func (t *turn) outdone(who person, d Decision) bool {
	newest, any := who.Newest()
	if !any || newest.Case == d.Case || newest.Compare(entryOf(d)) < 0 {
		return false
	}
	t.unplanned = errors.New("a newer event of the same person decides: " + newest.Event.Name() + " " + newest.Case)
	return true
}

// reviveRest decides anew, as a case of its own, what a case that overtakes nothing any more had called back of a plan that
// had gone out, and gives that case; empty = there is nothing of the kind.
func (t *turn) reviveRest(ctx context.Context, d Decision) (string, error) {
	who, err := t.whose(ctx, d.Event)
	if err != nil || !ordered(d.Event) {
		return "", err
	}
	i := who.Index(d.Case)
	by, err := t.recaller(ctx, who, d)
	if err != nil || i < 0 || by == "" {
		return "", err
	}
	if !who.Entries[i].Void && t.outdone(who, d) {
		return "", nil
	}
	id, why, err := t.anew(ctx, &who, who.Entries[i], d, by)
	if why != "" {
		t.unplanned = errors.New(why)
	}
	return id, err
}

// resume does what follows from a plan that was decided anew, and opens its case where it is closed.
func (t *turn) resume(ctx context.Context, caseID string) error {
	_, rec, d, err := t.read(ctx, caseID)
	if err != nil {
		return err
	}
	return t.follow(ctx, rec, d)
}
