package planner

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/people"
)

// between joins the keys of names in the target of an Unmerge.
const between = "+"

// UnmergeTarget is the target of the command that takes the names of these keys out of the person who is called so.
func UnmergeTarget(keys ...string) string { return strings.Join(keys, between) }

// unmerge makes a person of their own of some names of a person, with the events that came by these names, and keeps
// both in order. No event joins the two again. What the events of one took from the other meanwhile cannot be given back
// by itself, and is named.
func (t *turn) unmerge(ctx context.Context, c events.Command) (string, error) {
	keys := strings.Split(c.Target, between)
	own, from, why, err := t.halves(ctx, c, keys)
	if err != nil || why != "" {
		return why, err
	}
	why = "taken apart by " + c.Actor + reason(c)
	if err := t.take(ctx, &own, from, keys, why); err != nil {
		return "", err
	}
	// Dying here: the new person stands, and nothing leads there; the command comes again.
	if err := t.lead(ctx, keys, own, why); err != nil {
		return "", err
	}
	// An event that found the person before its name led elsewhere has its place there since: it is taken along.
	if from, err = t.people(ctx).Whole(from.ID); err != nil {
		return "", err
	}
	if err := t.take(ctx, &own, from, keys, why); err != nil {
		return "", err
	}
	if from.Leave(keys, own.ID) {
		if err := t.save(ctx, &from, why); err != nil {
			return "", err
		}
	}
	return t.lost(ctx, own, from, keys)
}

// lead has names call another person from now on.
func (t *turn) lead(ctx context.Context, keys []string, to person, why string) error {
	for _, key := range keys {
		p, err := t.load(ctx, key)
		if err != nil {
			return err
		}
		if p.Moved == to.ID {
			continue
		}
		p.Moved = to.ID
		if err := t.save(ctx, &p, why); err != nil {
			return err
		}
		// Dying here: this name leads to the new person, whose order has its events; the others follow.
	}
	return nil
}

// halves gives the person of their own that the names become, empty at first, and the one that they are taken from; or
// why there is nothing to take apart.
func (t *turn) halves(ctx context.Context, c events.Command, keys []string) (own, from person, why string, err error) {
	if own, err = t.load(ctx, t.Keyer.Key("apart "+c.ID)); err != nil {
		return own, from, "", err
	}
	if own.Known && len(own.Apart) == 0 { // begun before, and an event has joined them to somebody since
		return own, from, "the names were taken apart, and joined anew since", nil
	}
	if own.Known { // the command was begun before
		from, err = t.people(ctx).Whole(own.Apart[0])
		return own, from, "", err
	}
	if from, err = t.people(ctx).Find(keys[0]); err != nil {
		return own, from, "", err
	}
	rest := slices.Clone(from.Names)
	for _, key := range keys {
		if !from.Knows(key) {
			return own, from, "these names are not joined in one person", nil
		}
		rest = slices.DeleteFunc(rest, func(n people.Name) bool { return n.Key == key })
	}
	if len(rest) == 0 {
		return own, from, "the person has no other name", nil
	}
	return own, from, "", nil
}

// take copies what came by these names from one person to their own.
func (t *turn) take(ctx context.Context, own *person, from person, keys []string, why string) error {
	if !own.Take(from, keys) {
		return nil
	}
	return t.save(ctx, own, why)
}

// lost says what the events of one took from the other while they were taken for one. keys are those of the names of one:
// what came by a name that both are called by stays with who keeps it, and is the other's all the same when it gives such a name.
func (t *turn) lost(ctx context.Context, a, b person, keys []string) (string, error) {
	var cases []string
	for _, pair := range [][2]person{{a, b}, {b, a}} {
		for _, e := range pair[0].Entries {
			_, d, err := t.plan(ctx, e.Case)
			if err != nil {
				return "", err
			}
			if d.Newer == "" {
				continue
			}
			rec, newer, err := t.plan(ctx, d.Newer)
			if err != nil {
				return "", err
			}
			if pair[1].Index(d.Newer) >= 0 || rec.Seq != 0 && t.gives(d, keys) != t.gives(newer, keys) {
				cases = append(cases, d.Case)
			}
		}
	}
	if len(cases) == 0 {
		return "taken apart; neither had lost anything to the other", nil
	}
	return fmt.Sprintf("taken apart; look at what one had lost to the other: %s", strings.Join(cases, ", ")), nil
}

// gives reports whether an event gives its person one of the names of these keys.
func (t *turn) gives(d Decision, keys []string) bool {
	return slices.ContainsFunc(t.names(d.Event, time.Time{}), func(n people.Name) bool { return slices.Contains(keys, n.Key) })
}
