package planner

import (
	"context"
	"slices"
	"strings"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
)

// person is one person, as far as events have told by now which names are one. It is the order record whose key is the
// person's id, and the key of a name that was never called otherwise is the id of its person. Persons that turn out to
// be one point to the one with the smallest id (Into), so that no two of them can point at each other, whoever joins
// them at the same time. A name that goes to another person says so where its own key is (Moved).
//
// It is for order, guards and search alone. It never chooses a target: an action acts upon what its own event names.
type person struct {
	id  string
	rec ledger.Record
	order
}

// name is one identifier of a person.
type name struct {
	Key   string    `json:"key"`            // of its principal: user:maria@acme.example
	ID    string    `json:"id"`             // with its kind: email:maria@acme.example
	Since time.Time `json:"since,omitzero"` // the time of the newest event that gave it to this person
}

// names are the identifiers that an event gives its person, the principal's first.
func (t *turn) names(e events.Event, at time.Time) []name {
	var all []name
	for _, id := range events.PersonIdentifiers(e) {
		n := name{Key: t.Keyer.Key(id.Principal()), ID: id.String(), Since: at}
		all = append(all, n)
	}
	return all
}

// principalKey is the key of the name that calls the event's person.
func (t *turn) principalKey(e events.Event) string { return t.Keyer.Key(events.Person(e)) }

// whose gives the person whom an event is about: whom its first name calls that can be the one of all its names.
func (t *turn) whose(ctx context.Context, e events.Event) (person, error) {
	names := t.names(e, time.Time{})
	for _, n := range names {
		if p, err := t.find(ctx, n.Key); err != nil || fits(names, p.Names) {
			return p, err
		}
	}
	return t.find(ctx, t.principalKey(e))
}

// find gives the person whom a name calls by now. Those who are known already are not read again.
func (t *turn) find(ctx context.Context, key string, known ...person) (person, error) {
	p, err := t.load(ctx, key)
	if err == nil && p.Moved != "" {
		p, err = t.load(ctx, p.Moved)
	}
	if err != nil {
		return p, err
	}
	return t.whole(ctx, p, known...)
}

// whole gives the person that p turned out to be.
func (t *turn) whole(ctx context.Context, p person, known ...person) (person, error) {
	var err error
	for err == nil && p.Into != "" {
		if i := slices.IndexFunc(known, func(k person) bool { return k.id == p.Into }); i >= 0 {
			return known[i], nil
		}
		p, err = t.load(ctx, p.Into)
	}
	return p, err
}

// called is a person as guards count it.
type called struct {
	Key string // the same for every event of the person, until it turns out to be another one
	// Keys are Key, the keys of all names of the person, and with them every Key that it had before: who was counted
	// under one of these was counted.
	Keys []string
	// taken are the keys of names that were another person's before: who was counted under one of these was that person.
	taken []string
}

// identity says whom an event concerns, for those that count people: by whichever names it came, and whatever became
// known by now of who is who. What concerns no person is its subject. It reads only.
func (t *turn) identity(ctx context.Context, e events.Event) (called, error) {
	p, err := t.whose(ctx, e)
	if err != nil {
		return called{}, err
	}
	c := called{Key: p.id, Keys: p.ids()}
	for _, n := range p.Names {
		if slices.Contains(c.Keys, n.Key) {
			continue
		}
		if c.Keys = append(c.Keys, n.Key); p.took(n.ID) {
			c.taken = append(c.taken, n.Key)
		}
	}
	return c, nil
}

// fits reports whether two lists of names can be one person's: the first kind of which both have one decides. An Okta id
// is given once and never again, an employee number hardly ever, and nobody has two logins at a time: who shares none is
// somebody else. A common e-mail proves nothing against that: mailboxes are shared, and addresses given anew.
func fits(a, b []name) bool {
	for _, kind := range []events.Kind{events.OktaID, events.EmployeeNumber, events.Login, events.ASAUsername} {
		mine, theirs := ofKind(a, kind), ofKind(b, kind)
		if len(mine) > 0 && len(theirs) > 0 {
			return slices.ContainsFunc(mine, func(id string) bool { return slices.Contains(theirs, id) })
		}
	}
	return true
}

// ofKind picks the identifiers of a kind.
func ofKind(names []name, kind events.Kind) []string {
	var ids []string
	for _, n := range names {
		if strings.HasPrefix(n.ID, string(kind)+":") {
			ids = append(ids, n.ID)
		}
	}
	return ids
}

// ids are the person's own and those of everybody who turned out to be this person.
func (p person) ids() []string { return append([]string{p.id}, p.Was...) }

// apart reports whether an operator said that two persons are not one.
func apart(a, b person) bool {
	said := func(a, b person) bool {
		return slices.ContainsFunc(a.Apart, func(id string) bool { return slices.Contains(b.ids(), id) })
	}
	return said(a, b) || said(b, a)
}

// knows reports whether the person is called so.
func (o *order) knows(key string) bool {
	return slices.ContainsFunc(o.Names, func(n name) bool { return n.Key == key })
}

// took reports whether a name was another person's before.
func (o *order) took(id string) bool {
	return slices.ContainsFunc(o.Joins, func(j joint) bool { return slices.Contains(j.Claimed, id) })
}

// since is when the newest event called the person so.
func (o *order) since(key string) time.Time {
	var at time.Time
	for _, n := range o.Names {
		if n.Key == key && n.Since.After(at) {
			at = n.Since
		}
	}
	return at
}

// learn adds a name and reports whether it is new.
func (o *order) learn(n name) bool {
	i := slices.IndexFunc(o.Names, func(k name) bool { return k.ID == n.ID })
	if i < 0 {
		o.Names = append(o.Names, n)
		return true
	}
	if n.Since.After(o.Names[i].Since) {
		o.Names[i].Since = n.Since
	}
	return false
}

// forget removes a name.
func (o *order) forget(key string) {
	o.Names = slices.DeleteFunc(o.Names, func(n name) bool { return n.Key == key })
}
