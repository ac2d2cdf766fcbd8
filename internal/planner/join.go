package planner

import (
	"context"
	"slices"
	"strings"
	"time"
)

// joint says what made names one person's.
type joint struct {
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

// crowd is everybody whom an event's names call.
type crowd struct {
	names   []name
	at      time.Time
	by      string    // the key of the name by which the event came to its person
	parts   []person  // who are one person; never none: the names of a kind that decides call somebody who fits
	claimed []claimed // names that the event gives, and that are somebody else's
}

// claimed is a name that belongs to a person who cannot be the event's.
type claimed struct {
	name   name
	holder person
	moves  bool // it goes to the event's person
}

// gather finds whom the names of an event call, and who of them are one person. It only reads.
func (t *turn) gather(ctx context.Context, d Decision) (crowd, error) {
	c := crowd{at: entryOf(d).At}
	c.names = t.names(d.Event, c.at)
	known := slices.Clone(c.names)
	for _, n := range c.names {
		p, err := t.find(ctx, n.Key, c.parts...)
		if err != nil {
			return c, err
		}
		barred := len(c.parts) > 0 && len(known)+len(p.Names) > maxNames ||
			slices.ContainsFunc(c.parts, func(o person) bool { return apart(o, p) })
		switch {
		case slices.ContainsFunc(c.parts, func(o person) bool { return o.id == p.id }):
		case !barred && fits(known, p.Names):
			if c.parts = append(c.parts, p); c.by == "" {
				c.by = n.Key
			}
			known = append(known, p.Names...)
		default:
			c.claimed = append(c.claimed, claimed{n, p, !barred && c.at.After(p.since(n.Key))})
		}
	}
	return c, nil
}

// claims reports whether the name is somebody else's, and goes to the event's person or stays.
func (c crowd) claims(id string, moves bool) bool {
	return slices.ContainsFunc(c.claimed, func(l claimed) bool { return l.name.ID == id && l.moves == moves })
}

// unite makes everybody in the crowd who is one person one in the ledger, gives the person the event's names, and an
// ordered event its place. The others point to the person only when reconcile is through (seal): until then the next
// redelivery unites them again.
func (t *turn) unite(ctx context.Context, c crowd, d Decision) (person, error) {
	who := slices.MinFunc(c.parts, func(a, b person) int { return strings.Compare(a.id, b.id) })
	changed := false
	j := joint{Case: d.Case, Event: d.Event.Name(), Time: t.now()}
	for _, p := range c.parts {
		if p.id != who.id && p.rec.Seq != 0 {
			j.From = append(j.From, p.id)
			j.Both = j.Both || len(p.Entries) > 0 && len(who.Entries) > 0
			who.absorb(p)
		}
	}
	met := len(j.From) > 0
	for _, n := range c.names {
		if c.claims(n.ID, false) {
			continue
		}
		met = who.learn(n) && len(who.Names) > 1 || met
		if c.claims(n.ID, true) {
			j.Claimed = append(j.Claimed, n.ID)
		} else {
			j.Names = append(j.Names, n.ID)
		}
	}
	if met {
		changed = true
		who.remember(j)
	}
	if e := entryOf(d); ordered(d.Event) {
		e.By = c.by
		changed = who.put(e) || changed
	}
	if !changed {
		return who, nil
	}
	// Dying after this write: the event has its place without a plan. Older events obey it at once, newer ones find it
	// and take its case before it is planned; its own redelivery decides by what it finds then. Persons who were joined
	// still stand for themselves too, and are joined again.
	return who, t.save(ctx, &who, "")
}

// remember keeps a joint, as one with what an earlier delivery of the same event did.
func (o *order) remember(j joint) {
	i := slices.IndexFunc(o.Joins, func(k joint) bool { return k.Case == j.Case })
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

// absorb takes over what is known of somebody who turned out to be this person.
func (p *person) absorb(o person) {
	for _, n := range o.Names {
		p.learn(n)
	}
	for _, e := range o.Entries {
		p.put(e)
	}
	p.Was, p.Apart = both(p.Was, o.ids()), both(p.Apart, o.Apart)
	for _, j := range o.Joins {
		p.remember(j)
	}
	slices.SortStableFunc(p.Joins, func(a, b joint) int { return a.Time.Compare(b.Time) })
}

// joinedBy reports whether the event joined persons who had events each, at this delivery or an earlier one.
func (o *order) joinedBy(caseID string) bool {
	return slices.ContainsFunc(o.Joins, func(j joint) bool { return j.Case == caseID && j.Both })
}

// seal has everybody else in the crowd point to the person. A conflict means that an event took a place there since:
// everything begins anew, and it is taken along.
func (t *turn) seal(ctx context.Context, c crowd, who person) error {
	for _, p := range c.parts {
		if p.id == who.id {
			continue
		}
		p.order = order{Into: who.id, Moved: p.Moved, Entries: []entry{}}
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
	for _, l := range c.claimed {
		if !l.moves {
			continue
		}
		if err := t.give(ctx, l.name.Key, who, "given to another person by "+d.Event.Name()+" "+d.Case); err != nil {
			return err
		}
	}
	return nil
}

// give lets a name call another person from now on.
func (t *turn) give(ctx context.Context, key string, to person, why string) error {
	holder, err := t.find(ctx, key)
	if err != nil || holder.id == to.id {
		return err
	}
	if holder.id != key && holder.knows(key) {
		holder.forget(key)
		if err := t.save(ctx, &holder, why); err != nil {
			return err
		}
		// Dying here: the holder is not called so any more, and the name still leads there; the message comes again.
	}
	p, err := t.load(ctx, key)
	if err != nil {
		return err
	}
	if p.id == holder.id {
		p.forget(key)
	}
	p.Moved = to.id
	return t.save(ctx, &p, why)
}
