package view

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"keyturn/internal/ledger"
	"keyturn/internal/people"
)

// Person is one person as far as events have told which names are one. It is for search, order and guards; no action
// is aimed by it.
type Person struct {
	ID    string  `json:"person"` // the key under which the person is kept
	Names []Name  `json:"names"`
	Joins []Joint `json:"joins"` // what made them one person's, oldest first
}

// Name is one identifier of a person, with its kind and the key by which the ledger lists what came under it.
type Name = people.Name

// Joint is an event that made names one person's.
type Joint struct {
	Case    string    `json:"case"`
	Event   string    `json:"event"` // what it is: user.rehired
	Time    time.Time `json:"time"`
	Names   []string  `json:"names"`             // that the event gave, with their kinds
	From    []string  `json:"from,omitempty"`    // the persons that turned out to be this one
	Claimed []string  `json:"claimed,omitempty"` // names that were another person's until then
}

// Who tells whom the name of a key calls by now. Somebody of whom no event came has no names.
func (r *Reader) Who(ctx context.Context, key string) (Person, error) {
	p, err := r.people(ctx).Find(key)
	if err != nil {
		return Person{}, fmt.Errorf("person: %w", err)
	}
	who := Person{ID: p.ID, Names: append([]Name{}, p.Names...), Joins: make([]Joint, len(p.Joins))}
	for i, j := range p.Joins {
		who.Joins[i] = Joint{Case: j.Case, Event: j.Event, Time: j.Time, Names: j.Names, From: j.From, Claimed: j.Claimed}
	}
	return who, nil
}

// people reads the persons of the ledger, which are not written again.
func (r *Reader) people(ctx context.Context) people.Load[struct{}] {
	return func(key string) (people.Person[struct{}], error) {
		p := people.Person[struct{}]{ID: key}
		rec, err := r.ledger.Last(ctx, ledger.OrderSubject(key))
		if err != nil || len(rec.Body) == 0 {
			return p, err
		}
		if err := json.Unmarshal(rec.Body, &p.Order); err != nil {
			return p, fmt.Errorf("order %s: %w", key, err)
		}
		p.Known = true
		return p, nil
	}
}

// Known picks of some keys those that are names of the person.
func (p Person) Known(keys []string) []string {
	called := people.Order{Names: p.Names}
	return slices.DeleteFunc(slices.Clone(keys), func(key string) bool { return !called.Knows(key) })
}

// everyName adds to the keys those of all other names of whom they call. An id that the person had before is none of
// them: as a name it may be another person's by now.
func (r *Reader) everyName(ctx context.Context, keys []string) ([]string, error) {
	all := slices.Clone(keys)
	for _, key := range keys {
		p, err := r.Who(ctx, key)
		if err != nil {
			return nil, err
		}
		for _, n := range p.Names {
			all = append(all, n.Key)
		}
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}
