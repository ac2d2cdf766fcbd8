package planner

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/people"
)

// person is one person as the ledger has them: the body of their order record, changed by compare-and-swap only: of two
// events that are planned at once, one sees the other.
type person = people.Person[ledger.Record]

// load reads what stands under a key.
func (t *turn) load(ctx context.Context, key string) (person, error) {
	p := person{ID: key}
	rec, err := t.Ledger.Last(ctx, ledger.OrderSubject(key))
	if err != nil || rec.Seq == 0 {
		return p, err
	}
	p.Rec, p.Known = rec, true
	if err := json.Unmarshal(rec.Body, &p.Order); err != nil {
		return p, fmt.Errorf("order %s: %w", key, err)
	}
	return p, nil
}

// save writes it behind what was read.
func (t *turn) save(ctx context.Context, p *person, why string) error {
	body, err := json.Marshal(p.Order)
	if err != nil {
		return fmt.Errorf("order %s: %w", p.ID, err)
	}
	p.Rec, err = t.append(ctx, p.Rec, ledger.Record{
		Subject: ledger.OrderSubject(p.ID), State: ledger.Kept, Reason: why, Body: body,
	})
	p.Known = err == nil
	return err
}

// people reads the persons of the ledger.
func (t *turn) people(ctx context.Context) people.Load[ledger.Record] {
	return func(key string) (person, error) { return t.load(ctx, key) }
}

// names are the identifiers that an event gives its person, the principal's first.
func (t *turn) names(e events.Event, at time.Time) []people.Name {
	return people.Names(events.PersonIdentifiers(e), at, t.Keyer.Key)
}

// whose gives the person whom an event is about.
func (t *turn) whose(ctx context.Context, e events.Event) (person, error) {
	return t.people(ctx).Whose(t.names(e, time.Time{}), t.Keyer.Key(events.Person(e)))
}

// called is a person as guards count it.
type called = people.Called

// identity says whom an event concerns, for those that count people: by whichever names it came, and whatever became
// known by now of who is who. What concerns no person is its subject. It reads only.
func (t *turn) identity(ctx context.Context, e events.Event) (called, error) {
	p, err := t.whose(ctx, e)
	if err != nil {
		return called{}, err
	}
	return p.Called(), nil
}
