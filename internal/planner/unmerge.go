package planner

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
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
	if from, err = t.load(ctx, from.id); err == nil {
		from, err = t.whole(ctx, from)
	}
	if err != nil {
		return "", err
	}
	if err := t.take(ctx, &own, from, keys, why); err != nil {
		return "", err
	}
	if from.leave(keys, own.id) {
		if err := t.save(ctx, &from, why); err != nil {
			return "", err
		}
	}
	return t.lost(ctx, own, from)
}

// lead has names call another person from now on.
func (t *turn) lead(ctx context.Context, keys []string, to person, why string) error {
	for _, key := range keys {
		p, err := t.load(ctx, key)
		if err != nil {
			return err
		}
		if p.Moved == to.id {
			continue
		}
		p.Moved = to.id
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
	if own.rec.Seq != 0 { // the command was begun before
		if from, err = t.load(ctx, own.Apart[0]); err == nil {
			from, err = t.whole(ctx, from)
		}
		return own, from, "", err
	}
	if from, err = t.find(ctx, keys[0]); err != nil {
		return own, from, "", err
	}
	rest := slices.Clone(from.Names)
	for _, key := range keys {
		if !from.knows(key) {
			return own, from, "these names are not joined in one person", nil
		}
		rest = slices.DeleteFunc(rest, func(n name) bool { return n.Key == key })
	}
	if len(rest) == 0 {
		return own, from, "the person has no other name", nil
	}
	return own, from, "", nil
}

// take copies what came by these names from one person to their own.
func (t *turn) take(ctx context.Context, own *person, from person, keys []string, why string) error {
	changed := own.rec.Seq == 0
	if changed {
		own.Apart = []string{from.id}
	}
	for _, n := range from.Names {
		if slices.Contains(keys, n.Key) && own.learn(n) {
			changed = true
		}
	}
	for _, e := range from.Entries {
		if slices.Contains(keys, e.By) && own.put(e) {
			changed = true
		}
	}
	if !changed {
		return nil
	}
	return t.save(ctx, own, why)
}

// leave drops names that were taken away, with what came by them, and reports whether anything changed.
func (p *person) leave(keys []string, to string) bool {
	if slices.Contains(p.Apart, to) {
		return false
	}
	p.Apart = append(p.Apart, to)
	for _, key := range keys {
		p.forget(key)
	}
	p.Entries = slices.DeleteFunc(p.Entries, func(e entry) bool { return slices.Contains(keys, e.By) })
	return true
}

// lost says what the events of one took from the other while they were taken for one.
func (t *turn) lost(ctx context.Context, a, b person) (string, error) {
	var cases []string
	for _, pair := range [][2]person{{a, b}, {b, a}} {
		for _, e := range pair[0].Entries {
			rec, err := t.Ledger.Last(ctx, ledger.PlanSubject(e.Case))
			if err != nil {
				return "", err
			}
			if rec.Seq == 0 {
				continue
			}
			d, err := Decode(rec)
			if err != nil {
				return "", err
			}
			if d.Newer != "" && pair[1].index(d.Newer) >= 0 {
				cases = append(cases, d.Case)
			}
		}
	}
	if len(cases) == 0 {
		return "taken apart; neither had lost anything to the other", nil
	}
	return fmt.Sprintf("taken apart; look at what one had lost to the other: %s", strings.Join(cases, ", ")), nil
}
