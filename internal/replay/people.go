package replay

import (
	"slices"
	"strings"
	"time"

	"keyturn/internal/events"
)

// people know who is who by what events said so far. They decide as the planner's order records do, name by name: a
// person has the principal of one of their names as id, joined persons point to one of them, and a name that was given
// anew says whose it is now.
type people struct {
	at map[string]*person // by the principal of a name
}

// person is what is known under one principal.
type person struct {
	id    string
	names []name
	took  []string // keys of names that were another person's before
	was   []string // ids of the persons that turned out to be this one
	into  string   // the id of the person that this one turned out to be
	moved string   // of the name that is the id: the id of the person whose it is now
}

// name is one identifier of a person.
type name struct {
	key   string // its principal
	id    events.Identifier
	since time.Time // of the newest event that gave it
}

// maxNames bounds the names of one person, as the planner does.
const maxNames = 32

// called is a person as guards count it.
type called struct {
	id    string
	keys  []string // the id, that of everybody who turned out to be this person, and all names
	taken []string // of these, names that were another person's before, who was counted under them
}

// namesOf are the names that a case gives its person.
func namesOf(c *Case) []name {
	names := make([]name, len(c.ids))
	for i, id := range c.ids {
		names[i] = name{key: id.Principal(), id: id, since: c.said}
	}
	return names
}

// load gives what is known under a principal; nothing is somebody new.
func (w people) load(key string) person {
	if p := w.at[key]; p != nil {
		return *p
	}
	return person{id: key}
}

// find gives the person whom a name calls by now.
func (w people) find(key string) person {
	p := w.load(key)
	if p.moved != "" {
		p = w.load(p.moved)
	}
	for p.into != "" {
		p = w.load(p.into)
	}
	return p
}

// save keeps what is known of a person.
func (w people) save(p person) { w.at[p.id] = &p }

// identity says whom a case is about, by all that is known now.
func (w people) identity(c *Case) called {
	p := w.whose(c)
	keys := append([]string{p.id}, p.was...)
	for _, n := range p.names {
		if !slices.Contains(keys, n.key) {
			keys = append(keys, n.key)
		}
	}
	return called{p.id, keys, p.took}
}

// whose gives the person whom the first name of a case calls that can be the one of all its names.
func (w people) whose(c *Case) person {
	names := namesOf(c)
	for _, n := range names {
		if p := w.find(n.key); fits(names, p.names) {
			return p
		}
	}
	if len(names) > 0 {
		return w.find(names[0].key)
	}
	return w.find(c.Principal)
}

// claim is a name that belongs to somebody who cannot be the case's person.
type claim struct {
	name  name
	moves bool // it goes to the case's person
}

// learn takes in what a case says of who is who: it joins those who are one by its names, and gives a name anew that was
// another person's. places says that the case takes its place among the events of its person by it.
func (w people) learn(c *Case, places bool) {
	names := namesOf(c)
	if len(names) == 0 {
		return
	}
	parts, claims := w.gather(c, names)
	who := slices.MinFunc(parts, func(a, b person) int { return strings.Compare(a.id, b.id) })
	who.names = slices.Clone(who.names)
	met := false
	for _, p := range parts {
		if p.id != who.id && w.at[p.id] != nil {
			met = true
			who.absorb(p)
		}
	}
	for _, n := range names {
		i := slices.IndexFunc(claims, func(l claim) bool { return l.name.id == n.id })
		if i >= 0 && !claims[i].moves {
			continue
		}
		met = who.add(n) && len(who.names) > 1 || met
		if i >= 0 {
			who.took = append(slices.Clone(who.took), n.key)
		}
	}
	if met || places {
		w.save(who)
	}
	for _, p := range parts {
		if p.id != who.id {
			w.save(person{id: p.id, into: who.id, moved: p.moved})
		}
	}
	for _, l := range claims {
		if l.moves {
			w.give(l.name.key, who.id)
		}
	}
}

// gather finds whom the names of a case call: who of them are one person, and whose else they are.
func (w people) gather(c *Case, names []name) (parts []person, claims []claim) {
	known := slices.Clone(names)
	for _, n := range names {
		p := w.find(n.key)
		barred := len(parts) > 0 && len(known)+len(p.names) > maxNames
		switch {
		case slices.ContainsFunc(parts, func(o person) bool { return o.id == p.id }):
		case !barred && fits(known, p.names):
			parts = append(parts, p)
			known = append(known, p.names...)
		default:
			claims = append(claims, claim{n, !barred && c.said.After(p.since(n.key))})
		}
	}
	return parts, claims
}

// give lets a name call another person from now on.
func (w people) give(key, to string) {
	holder := w.find(key)
	if holder.id == to {
		return
	}
	if holder.id != key {
		holder.forget(key)
		w.save(holder)
	}
	p := w.load(key)
	if p.id == holder.id {
		p.forget(key)
	}
	p.moved = to
	w.save(p)
}

// absorb takes over what is known of somebody who turned out to be this person.
func (p *person) absorb(o person) {
	for _, n := range o.names {
		p.add(n)
	}
	p.took = append(slices.Clone(p.took), o.took...)
	for _, id := range append([]string{o.id}, o.was...) {
		if !slices.Contains(p.was, id) {
			p.was = append(slices.Clone(p.was), id)
		}
	}
}

// add gives the person a name and reports whether it is new.
func (p *person) add(n name) bool {
	i := slices.IndexFunc(p.names, func(k name) bool { return k.id == n.id })
	if i < 0 {
		p.names = append(p.names, n)
		return true
	}
	if n.since.After(p.names[i].since) {
		p.names[i].since = n.since
	}
	return false
}

// forget removes a name.
func (p *person) forget(key string) {
	p.names = slices.DeleteFunc(slices.Clone(p.names), func(n name) bool { return n.key == key })
}

// since is when the newest event called the person so.
func (p *person) since(key string) time.Time {
	var at time.Time
	for _, n := range p.names {
		if n.key == key && n.since.After(at) {
			at = n.since
		}
	}
	return at
}

// fits reports whether two lists of names can be one person's: the first kind of which both have one decides, from what
// is given once and never again to what may be shared.
func fits(a, b []name) bool {
	for _, kind := range []events.Kind{events.OktaID, events.EmployeeNumber, events.Login, events.ASAUsername} {
		of := func(list []name) bool {
			return slices.ContainsFunc(list, func(n name) bool { return n.id.Kind == kind })
		}
		if of(a) && of(b) {
			return slices.ContainsFunc(a, func(n name) bool {
				return n.id.Kind == kind && slices.ContainsFunc(b, func(o name) bool { return o.id == n.id })
			})
		}
	}
	return true
}
