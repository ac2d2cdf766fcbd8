package planner

import (
	"context"

	"keyturn/internal/ledger"
	"keyturn/internal/people"
)

// crowd is everybody whom an event's names call.
type crowd = people.Crowd[ledger.Record]

// gather finds whom the names of an event call, and who of them are one person. It only reads.
func (t *turn) gather(ctx context.Context, d Decision) (crowd, error) {
	return t.people(ctx).Gather(t.names(d.Event, entryOf(d).At))
}

// unite makes everybody in the crowd who is one person one in the ledger, gives the person the event's names, and an
// ordered event its place. The others point to the person only when reconcile is through (seal): until then the next
// redelivery unites them again.
func (t *turn) unite(ctx context.Context, c crowd, d Decision) (person, error) {
	who, changed := c.Unite(people.Joint{Case: d.Case, Event: d.Event.Name(), Time: t.now()})
	if e := entryOf(d); ordered(d.Event) {
		e.By = c.By
		changed = who.Put(e) || changed
	}
	if !changed {
		return who, nil
	}
	// Dying after this write: the event has its place without a plan. Older events obey it at once, newer ones find it
	// and take its case before it is planned; its own redelivery decides by what it finds then. Persons who were joined
	// still stand for themselves too, and are joined again.
	return who, t.save(ctx, &who, "")
}

// seal has everybody else in the crowd point to the person. A conflict means that an event took a place there since:
// everything begins anew, and it is taken along.
func (t *turn) seal(ctx context.Context, c crowd, who person) error {
	for _, p := range c.Others(who.ID) {
		if err := t.save(ctx, &p, ""); err != nil {
			return err
		}
		// Dying here: this name leads to the person; the next one does when the message comes again.
	}
	return nil
}

// claim deals with names that are somebody else's: nobody is joined by them. A name that was given anew (a reused
// e-mail) belongs to whom the newest event gives it to, so that what comes by this name alone is about the one who has
// it; one that an operator took away stays where it is.
func (t *turn) claim(ctx context.Context, c crowd, who person, d Decision) error {
	for _, l := range c.Claims {
		if !l.Moves {
			continue
		}
		given, err := c.Give(t.people(ctx), l, who.ID)
		if err != nil {
			return err
		}
		for _, p := range given {
			if err := t.save(ctx, &p, "given to another person by "+d.Event.Name()+" "+d.Case); err != nil {
				return err
			}
			// Dying between the two: the holder is not called so any more, and the name still leads there; the message
			// comes again.
		}
	}
	return nil
}
