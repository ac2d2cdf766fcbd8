// Package people decides who is who: which names are one person's, who turn out to be one person by an event that gives
// names of both, whose a name is that was given anew, and which of a person's events comes last.
//
// It is pure. What is known under each key is read by a function that is handed in, and what is to be written comes back,
// in the order in which it must be: the planner keeps it in the ledger, a replay in memory, and the views read what the
// planner wrote.
//
// It is for order, guards and search alone. It never chooses a target: an action acts upon what its own event names.
package people

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"keyturn/internal/events"
)

// Person is one person, as far as events have told by now which names are one: what stands under the key that is the
// person's id. The key of a name that was never called otherwise is the id of its person. Persons that turn out to be one
// point to the one with the smallest id (Into), so that no two of them can point at each other, whoever joins them at the
// same time. A name that goes to another person says so where its own key is (Moved).
type Person[R any] struct {
	ID    string
	Known bool // something stands there
	Rec   R    // what its store needs to write it again
	Order
}

// Load reads what stands under a key; where nothing does, it is somebody of whom only the id is known.
type Load[R any] func(key string) (Person[R], error)

// Name is one identifier of a person.
type Name struct {
	Key   string    `json:"key"`            // of its principal: user:maria@acme.example
	ID    string    `json:"id"`             // with its kind: email:maria@acme.example
	Since time.Time `json:"since,omitzero"` // the time of the newest event that gave it to this person
}

// Names are the identifiers that an event of a time gives its person, the principal's first. key makes the key of a
// principal.
func Names(ids []events.Identifier, at time.Time, key func(principal string) string) []Name {
	names := make([]Name, len(ids))
	for i, id := range ids {
		names[i] = Name{Key: key(id.Principal()), ID: id.String(), Since: at}
	}
	return names
}

// Find gives the person whom a name calls by now.
func (load Load[R]) Find(key string) (Person[R], error) {
	p, err := load(key)
	if to := cmp.Or(p.Moved, p.Into); err == nil && to != "" {
		return load.Whole(to)
	}
	return p, err
}

// Whole gives the person that the one of this id turned out to be.
func (load Load[R]) Whole(id string) (Person[R], error) {
	p, err := load(id)
	for err == nil && p.Into != "" {
		p, err = load(p.Into)
	}
	return p, err
}

// Whose gives the person whom an event is about: whom its first name calls that can be the one of all its names. principal
// is the key of what the event is about, which need not be a person.
func (load Load[R]) Whose(names []Name, principal string) (Person[R], error) {
	for _, n := range names {
		if p, err := load.Find(n.Key); err != nil || fits(names, p.Names) {
			return p, err
		}
	}
	return load.Find(principal)
}

// Called is a person as guards count it.
type Called struct {
	Key string // the same for every event of the person, until it turns out to be another one
	// Keys are Key, the keys of all names of the person, and every Key that it had before.
	Keys []string
	// Counted are those of Keys under which whoever was counted was this person: a name that was another person's
	// before is not among them.
	Counted []string
}

// Called says how guards count the person.
func (p Person[R]) Called() Called {
	c := Called{Key: p.ID, Keys: p.IDs(), Counted: p.IDs()}
	for _, n := range p.Names {
		if slices.Contains(c.Keys, n.Key) {
			continue
		}
		if c.Keys = append(c.Keys, n.Key); !p.took(n.ID) {
			c.Counted = append(c.Counted, n.Key)
		}
	}
	return c
}

// IDs are the person's own and those of everybody who turned out to be this person.
func (p Person[R]) IDs() []string { return append([]string{p.ID}, p.Was...) }

// fits reports whether two lists of names can be one person's: the first kind of which both have one decides. An Okta id
// is given once and never again, an employee number hardly ever, and nobody has two logins at a time: who shares none is
// somebody else. A common e-mail proves nothing against that: mailboxes are shared, and addresses given anew. Where both have
// none of the same kind, a login or a number may be the account name of somebody else: then it is their addresses that must agree.
func fits(a, b []Name) bool {
	for _, kind := range []events.Kind{events.OktaID, events.EmployeeNumber, events.Login, events.ASAUsername} {
		of := func(n Name) bool { return n.is(kind) }
		if slices.ContainsFunc(a, of) && slices.ContainsFunc(b, of) {
			shared := func(n Name) bool {
				return n.is(kind) && slices.ContainsFunc(b, func(o Name) bool { return o.ID == n.ID })
			}
			return slices.ContainsFunc(a, shared)
		}
	}
	return sameAddress(a, b)
}

// sameAddress reports whether two lists of names have an address in common, which may be the e-mail of one and the login of
// the other, or one of them has no e-mail.
func sameAddress(a, b []Name) bool {
	mail := func(n Name) bool { return n.is(events.Email) }
	address := func(n Name) bool { return n.is(events.Email) || n.is(events.Login) }
	return !slices.ContainsFunc(a, mail) || !slices.ContainsFunc(b, mail) || slices.ContainsFunc(a, func(n Name) bool {
		return address(n) && slices.ContainsFunc(b, func(o Name) bool { return address(o) && o.Key == n.Key })
	})
}

// Disputed reports whether all of these names, by which the person was found, were another person's before.
func (o *Order) Disputed(names []Name) bool {
	return len(names) > 0 && !slices.ContainsFunc(names, func(n Name) bool { return !o.took(n.ID) })
}

// Unlike gives the kinds of names that two events both give a person, and that say somebody else. Events that share an
// Okta id are about one person, and an e-mail that the other event calls the login is the same.
func Unlike(a, b []events.Identifier) []string {
	says := func(list []events.Identifier, value string) bool {
		return slices.ContainsFunc(list, func(id events.Identifier) bool { return id.Value == value })
	}
	var kinds []string
	for _, x := range a {
		for _, y := range b {
			switch {
			case x.Kind != y.Kind:
			case x.Kind == events.OktaID && x.Value == y.Value:
				return nil
			case !says(b, x.Value) && !says(a, y.Value):
				kinds = append(kinds, string(x.Kind))
			}
		}
	}
	return kinds
}

// Unnamed gives the kinds of account names in a that b says under no kind: whoever acts by b alone may leave these accounts as
// they are. An employee number is the name of no account.
func Unnamed(a, b []events.Identifier) []string {
	var kinds []string
	for _, x := range a {
		if x.Kind != events.EmployeeNumber && !slices.ContainsFunc(b, func(y events.Identifier) bool { return y.Value == x.Value }) {
			kinds = append(kinds, string(x.Kind))
		}
	}
	return kinds
}

// is reports whether a name is of a kind.
func (n Name) is(kind events.Kind) bool {
	rest, of := strings.CutPrefix(n.ID, string(kind))
	return of && strings.HasPrefix(rest, ":")
}

// Knows reports whether the person is called so.
func (o *Order) Knows(key string) bool {
	return slices.ContainsFunc(o.Names, func(n Name) bool { return n.Key == key })
}

// took reports whether a name was another person's before.
func (o *Order) took(id string) bool {
	return slices.ContainsFunc(o.Joins, func(j Joint) bool { return slices.Contains(j.Claimed, id) })
}

// since is when the newest event called the person so.
func (o *Order) since(key string) time.Time {
	var at time.Time
	for _, n := range o.Names {
		if n.Key == key && n.Since.After(at) {
			at = n.Since
		}
	}
	return at
}

// learn adds a name and reports whether it is new.
func (o *Order) learn(n Name) bool {
	i := slices.IndexFunc(o.Names, func(k Name) bool { return k.ID == n.ID })
	if i < 0 {
		o.Names = append(o.Names, n)
		return true
	}
	if n.Since.After(o.Names[i].Since) {
		o.Names[i].Since = n.Since
	}
	return false
}

// forget removes names and reports whether the person was called so.
func (o *Order) forget(which func(Name) bool) bool {
	before := len(o.Names)
	o.Names = slices.DeleteFunc(slices.Clone(o.Names), which)
	return len(o.Names) < before
}
