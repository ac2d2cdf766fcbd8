package planner

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/people"
)

// overtake finds the event's person, joins those who turn out to be one by it, and gives the event its place among the
// person's events. It is superseded by a newer one, otherwise it takes what is pending from the older ones.
func (t *turn) overtake(ctx context.Context, d *Decision) (ledger.State, string, error) {
	d.Class, d.Begun, d.Joined, d.Claimed = d.Event.Class, nil, nil, nil
	c, err := t.gather(ctx, *d)
	if err != nil || len(c.Names) == 0 {
		return "", "", err
	}
	who, err := t.unite(ctx, c, *d)
	if err != nil {
		return "", "", err
	}
	newest, any := who.Newest()
	mine := any && newest.Case == d.Case
	if mine || any && who.JoinedBy(d.Case) {
		if err := t.reconcile(ctx, c, who, d); err != nil {
			return "", "", err
		}
	}
	if err := t.seal(ctx, c, who); err != nil {
		return "", "", err
	}
	if err := t.claim(ctx, c, who, *d); err != nil {
		return "", "", err
	}
	if d.learn(c, who); len(d.Claimed) > 0 {
		t.warn(fmt.Sprintf("two people have one name (%s): they are not joined", kindsOf(d.Claimed)))
	}
	if ordered(d.Event) && len(who.Entries) > 1 && who.Disputed(c.Names) {
		t.warn(fmt.Sprintf("two people have one name (%s): it alone says who is meant", kindsOf(idsOf(c.Names))))
	}
	if !ordered(d.Event) || mine {
		return "", "", nil
	}
	if !entryOf(*d).Returns() {
		t.warn("a termination is superseded by " + newest.Event.Name() + " " + newest.Case)
	}
	d.Newer, d.Actions, d.DryRuns = newest.Case, nil, nil
	return ledger.Superseded, t.listing(*d) + "a newer event of the same person decides: " + newest.Event.Name() + " " + newest.Case, nil
}

// warn adds to what a person should look at.
func (t *turn) warn(text string) {
	if t.alert != "" {
		text = t.alert + "; " + text
	}
	t.alert = text
}

// learn puts into the decision what the event said about who is who. What it changed is read from the person, where it
// stands also when the change was made at an earlier delivery.
func (d *Decision) learn(c crowd, who person) {
	for _, j := range who.Joins {
		if j.Case == d.Case {
			d.Joined = append(d.Joined, j.Names...)
			d.Claimed = append(d.Claimed, j.Claimed...)
		}
	}
	for _, l := range c.Claims {
		if !l.Moves {
			d.Claimed = append(d.Claimed, l.ID)
		}
	}
}

// reconcile has the person's newest event take what is pending from all older ones: the event of d itself, or, where d
// joined two people, one that did not know of the other's events when it was decided. What had begun is listed in d,
// which is not decided yet.
func (t *turn) reconcile(ctx context.Context, c crowd, who person, d *Decision) error {
	newest, _ := who.Newest()
	newer, err := t.decided(ctx, newest, *d)
	if err != nil {
		return err
	}
	older := who.Entries[:who.Index(newest.Case)]
	for _, old := range older {
		if old.Case == d.Case {
			continue // its own turn decides it, which is this one
		}
		b, err := t.displace(ctx, holds(c, who), old, newer)
		if err != nil {
			return err
		}
		d.Begun = append(d.Begun, b.begun...)
		if newest.Case == d.Case && newest.Returns() && !old.Returns() {
			d.Class = sooner(d.Class, b.class)
		}
	}
	if newest.Case != d.Case && len(t.replaced) > 0 {
		t.warn("a termination is superseded by " + newest.Event.Name() + " " + newest.Case)
		t.replaced = nil // not by the event that is decided here
	}
	if newest.Case == d.Case && newest.Returns() && len(older) == 0 {
		t.alert = "it takes nothing back: no older termination is known under any name of this event; one that comes late obeys it"
	}
	return nil
}

// decided gives the decision about an event of the order, as far as there is one.
func (t *turn) decided(ctx context.Context, e people.Entry, d Decision) (Decision, error) {
	if e.Case == d.Case {
		return d, nil
	}
	rec, known, err := t.plan(ctx, e.Case)
	if err != nil || rec.Seq == 0 {
		return Decision{Plan: blank(e.Case, e.Hash, e.Event, e.Accepted)}, err
	}
	return known, nil
}

// holds gives the ids under which the person's events may stand by now.
func holds(c crowd, who person) []string {
	ids := who.IDs()
	for _, p := range c.Parts {
		ids = append(ids, p.ID)
	}
	return ids
}

// sooner gives the more urgent of two classes: what takes a termination back must not queue behind it.
func sooner(a, b events.Class) events.Class {
	list := events.Classes()
	if i, j := slices.Index(list, a), slices.Index(list, b); j >= 0 && j < i {
		return b
	}
	return a
}

// idsOf gives the identifiers of names.
func idsOf(names []people.Name) []string {
	var ids []string
	for _, n := range names {
		ids = append(ids, n.ID)
	}
	return ids
}

// kindsOf gives the kinds of identifiers, for the log: their values are personal.
func kindsOf(ids []string) string {
	var kinds []string
	for _, id := range ids {
		kind, _, _ := strings.Cut(id, ":")
		kinds = append(kinds, kind)
	}
	return strings.Join(kinds, ", ")
}
