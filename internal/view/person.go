package view

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"keyturn/internal/ledger"
)

// Person is one person as far as events have told which names are one. It is for search, order and guards; no action
// is aimed by it.
type Person struct {
	ID    string  `json:"person"` // the key under which the person is kept
	Names []Name  `json:"names"`
	Joins []Joint `json:"joins"` // what made them one person's, oldest first
}

// Name is one identifier of a person.
type Name struct {
	Key   string    `json:"key"`            // by which the ledger lists what came under it
	ID    string    `json:"id"`             // with its kind: email:maria@acme.example
	Since time.Time `json:"since,omitzero"` // the time of the newest event in order that gave it
}

// Joint is an event that made names one person's.
type Joint struct {
	Case    string    `json:"case"`
	Event   string    `json:"event"` // what it is: user.rehired
	Time    time.Time `json:"time"`
	Names   []string  `json:"names"`             // that the event gave, with their kinds
	From    []string  `json:"from,omitempty"`    // the persons that turned out to be this one
	Claimed []string  `json:"claimed,omitempty"` // names that were another person's until then
}

// known is what a person's order record says of who is who. It has the shape in which the ledger keeps it.
type known struct {
	Names []Name  `json:"names"`
	Joins []Joint `json:"joins"`
	Into  string  `json:"into"`
	Moved string  `json:"moved"`
}

// Who tells whom the name of a key calls by now. Somebody of whom no event came has no names.
func (r *Reader) Who(ctx context.Context, key string) (Person, error) {
	k, err := r.known(ctx, key)
	if err == nil && k.Moved != "" {
		key = k.Moved
		k, err = r.known(ctx, key)
	}
	for err == nil && k.Into != "" {
		key = k.Into
		k, err = r.known(ctx, key)
	}
	if err != nil {
		return Person{}, fmt.Errorf("person: %w", err)
	}
	return Person{ID: key, Names: append([]Name{}, k.Names...), Joins: append([]Joint{}, k.Joins...)}, nil
}

// known reads a person's order record.
func (r *Reader) known(ctx context.Context, key string) (known, error) {
	var k known
	rec, err := r.ledger.Last(ctx, ledger.OrderSubject(key))
	if err != nil || len(rec.Body) == 0 {
		return k, err
	}
	if err := json.Unmarshal(rec.Body, &k); err != nil {
		return k, fmt.Errorf("order %s: %w", key, err)
	}
	return k, nil
}

// calls reports whether a key is one of the person's names.
func (p Person) calls(key string) bool {
	return slices.ContainsFunc(p.Names, func(n Name) bool { return n.Key == key })
}

// Known picks of some keys those that are names of the person.
func (p Person) Known(keys []string) []string {
	return slices.DeleteFunc(slices.Clone(keys), func(key string) bool { return !p.calls(key) })
}

// everyName adds to the keys those of all other names of whom they call.
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
