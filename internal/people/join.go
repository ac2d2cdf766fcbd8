package people

import (
	"slices"
	"strings"
	"time"

	"keyturn/internal/events"
)

// Joint says what made names one person's.
type Joint struct {
	Case  string    `json:"case"`           // of the event that gave them together
	Event string    `json:"event"`          // what the event is: user.rehired
	Time  time.Time `json:"time"`           // when it was worked off
	Names []string  `json:"names"`          // that the event gave, with their kinds
	From  []string  `json:"from,omitempty"` // the persons that turned out to be this one by it
	Both  bool      `json:"both,omitempty"` // more than one of them had events
	// Claimed are names that were another person's until then.
	Claimed []string `json:"claimed,omitempty"`
}

// maxJoints bounds what is remembered of joints in the newest record; the older records have them all.
const maxJoints = 32

// maxNames bounds how many names one person can come to have: whoever has more is not one person, but a feed that is
// wrong or means harm.
const maxNames = 32

// Crowd is everybody whom an event's names call.
type Crowd[R any] struct {
	Names  []Name
	By     string      // the key of the name by which the event came to its person
	Parts  []Person[R] // who are one person; never none
	Claims []Claim     // names that the event gives, and that are somebody else's
}

// Claim is a name that belongs to a person who cannot be the event's.
type Claim struct {
	Name
	Moves bool // it goes to the event's person
}

// Gather finds whom the names of an event call, and who of them are one person. Who is known to be of it already is not
// read again.
//
// Names of all kinds are kept under what they say alone, so that each of an event's can call somebody who cannot be its
// person: a login that is the e-mail of one who has another login. The event is about whom its first name calls then, as
// its principal says, and teaches nothing about who is who.
func (load Load[R]) Gather(names []Name) (Crowd[R], error) {
	c := Crowd[R]{Names: names}
	var called Person[R] // by the first name
	part := func(id string) int { return slices.IndexFunc(c.Parts, func(p Person[R]) bool { return p.ID == id }) }
	again := Load[R](func(key string) (Person[R], error) {
		if i := part(key); i >= 0 {
			return c.Parts[i], nil
		}
		return load(key)
	})
	known := slices.Clone(names)
	for i, n := range names {
		p, err := again.Find(n.Key)
		if err != nil {
			return c, err
		}
		if i == 0 {
			called = p
		}
		barred := len(c.Parts) > 0 && len(known)+len(p.Names) > maxNames || slices.ContainsFunc(c.Parts, p.apart)
		switch {
		case part(p.ID) >= 0:
		case !barred && fits(known, p.Names):
			if c.Parts = append(c.Parts, p); c.By == "" {
				c.By = n.Key
			}
			known = append(known, p.Names...)
		default:
			c.Claims = append(c.Claims, Claim{n, !barred && n.Since.After(p.since(n.Key))})
		}
	}
	if len(c.Parts) == 0 && len(names) > 0 {
		c.Parts, c.By = []Person[R]{called}, names[0].Key
		for i := range c.Claims {
			c.Claims[i].Moves = false
		}
	}
	return c, nil
}

// Unite makes one person of the parts, which stay as they are, and gives it the event's names. j says which event joins
// them, and is remembered with what came of it; met is false when the event says nothing new of who is who.
func (c Crowd[R]) Unite(j Joint) (who Person[R], met bool) {
	who = slices.MinFunc(c.Parts, func(a, b Person[R]) int { return strings.Compare(a.ID, b.ID) })
	who.Names, who.Joins, who.Entries = slices.Clone(who.Names), slices.Clone(who.Joins), slices.Clone(who.Entries)
	for _, p := range c.Parts {
		if p.ID != who.ID && p.Known {
			j.From = append(j.From, p.ID)
			j.Both = j.Both || len(p.Entries) > 0 && len(who.Entries) > 0
			who.absorb(p)
		}
	}
	met = len(j.From) > 0
	for _, n := range c.Names {
		claim := slices.IndexFunc(c.Claims, func(l Claim) bool { return l.ID == n.ID })
		if claim >= 0 && !c.Claims[claim].Moves {
			continue
		}
		met = who.learn(n) && len(who.Names) > 1 || met
		if claim >= 0 {
			j.Claimed = append(j.Claimed, n.ID)
		} else {
			j.Names = append(j.Names, n.ID)
		}
	}
	if met {
		who.remember(j)
	}
	return who, met
}

// Others gives everybody else of the parts as they are to be written: pointing to the person.
func (c Crowd[R]) Others(who string) []Person[R] {
	var others []Person[R]
	for _, p := range c.Parts {
		if p.ID != who {
			p.Order = Order{Into: who, Moved: p.Moved, Entries: []Entry{}}
			others = append(others, p)
		}
	}
	return others
}

// Give lets a name that was claimed call another person from now on, and gives what is to be written for that, in this order: of
// its holder, then of what stands under its own key, which leads to the other person.
//
// The holder is not called so any more. But whose e-mail alone was given to somebody else still has the login that reads like
// it, and is told by that from whoever has another.
func (c Crowd[R]) Give(load Load[R], claimed Claim, to string) ([]Person[R], error) {
	key := claimed.Key
	given := func(n Name) bool {
		claim := func(l Claim) bool { return l.ID == n.ID && l.Moves }
		return n.Key == key && (n.is(events.Email) || slices.ContainsFunc(c.Claims, claim))
	}
	holder, err := load.Find(key)
	if err != nil || holder.ID == to {
		return nil, err
	}
	own, err := load(key)
	if err != nil {
		return nil, err
	}
	var write []Person[R]
	if own.ID == holder.ID {
		own.forget(given)
	} else if holder.forget(given) {
		write = append(write, holder)
	}
	own.Moved = to
	return append(write, own), nil
}

// Take copies what came by these names from one person to one of their own, and reports whether there was anything new.
func (p *Person[R]) Take(from Person[R], keys []string) bool {
	changed := !p.Known
	if changed {
		p.Apart = []string{from.ID}
	}
	for _, n := range from.Names {
		changed = slices.Contains(keys, n.Key) && p.learn(n) || changed
	}
	for _, e := range from.Entries {
		changed = slices.Contains(keys, e.By) && p.Put(e) || changed
	}
	return changed
}

// Leave drops names that another person of this id took, with what came by them, and reports whether anything changed.
func (p *Person[R]) Leave(keys []string, to string) bool {
	if slices.Contains(p.Apart, to) {
		return false
	}
	p.Apart = append(p.Apart, to)
	for _, key := range keys {
		p.forget(func(n Name) bool { return n.Key == key })
	}
	p.Entries = slices.DeleteFunc(p.Entries, func(e Entry) bool { return slices.Contains(keys, e.By) })
	return true
}

// apart reports whether an operator said that two persons are not one.
func (p Person[R]) apart(o Person[R]) bool {
	said := func(a, b Person[R]) bool {
		return slices.ContainsFunc(a.Apart, func(id string) bool { return slices.Contains(b.IDs(), id) })
	}
	return said(p, o) || said(o, p)
}

// absorb takes over what is known of somebody who turned out to be this person.
func (p *Person[R]) absorb(o Person[R]) {
	for _, n := range o.Names {
		p.learn(n)
	}
	for _, e := range o.Entries {
		p.Put(e)
	}
	p.Was, p.Apart = both(p.Was, o.IDs()), both(p.Apart, o.Apart)
	for _, j := range o.Joins {
		p.remember(j)
	}
	slices.SortStableFunc(p.Joins, func(a, b Joint) int { return a.Time.Compare(b.Time) })
}

// remember keeps a joint, as one with what an earlier delivery of the same event did.
func (o *Order) remember(j Joint) {
	i := slices.IndexFunc(o.Joins, func(k Joint) bool { return k.Case == j.Case })
	if i < 0 {
		o.Joins = append(o.Joins, j)
		o.Joins = slices.Delete(o.Joins, 0, max(0, len(o.Joins)-maxJoints))
		return
	}
	k := &o.Joins[i]
	k.Names, k.From, k.Claimed = both(k.Names, j.Names), both(k.From, j.From), both(k.Claimed, j.Claimed)
	k.Both = k.Both || j.Both
}

// both gives what is in either list, once.
func both(a, b []string) []string {
	for _, s := range b {
		if !slices.Contains(a, s) {
			a = append(a, s)
		}
	}
	return a
}

// JoinedBy reports whether the event joined persons who had events each, at this delivery or an earlier one.
func (o *Order) JoinedBy(caseID string) bool {
	return slices.ContainsFunc(o.Joins, func(j Joint) bool { return j.Case == caseID && j.Both })
}
