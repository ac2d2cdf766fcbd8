package planner

import (
	"context"
	"slices"

	"keyturn/internal/events"
	"keyturn/internal/people"
)

// ordered reports whether the event has a place in its person's order.
func ordered(e events.Event) bool { return people.Ordered(e) }

// entryOf is the place of a decision's event.
func entryOf(d Decision) people.Entry {
	e := people.Entry{Case: d.Case, Hash: d.Hash, Accepted: d.Accepted, Event: d.Event, At: people.TimeOf(d.Event, d.Accepted)}
	e.Event.Data = nil
	return e
}

// disown takes out of its person's order an event that lost its case to other content: two contents under one id came
// at the same time, this one took its place first and the other one its plan. Left there, it would supersede events
// that nobody else replaces.
func (t *turn) disown(ctx context.Context, e events.Event, decided Decision) error {
	if !ordered(e) {
		return nil
	}
	who, err := t.whose(ctx, e)
	if err != nil {
		return err
	}
	i := who.Index(decided.Case)
	if i < 0 || who.Entries[i].Hash != e.ContentHash() {
		return nil
	}
	lost := who.Entries[i]
	who.Entries = slices.Delete(who.Entries, i, i+1)
	if ordered(decided.Event) {
		owner, err := t.whose(ctx, decided.Event)
		if err != nil {
			return err
		}
		if won := entryOf(decided); owner.ID == who.ID {
			won.By = lost.By
			who.Put(won)
		}
	}
	return t.save(ctx, &who, "other content decided case "+decided.Case)
}
