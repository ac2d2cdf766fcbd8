package config

import (
	"slices"
	"strings"

	"keyturn/internal/events"
)

// Warnings lists what of the guards is no fault and guards less than it seems to: rules that nothing can reach, and those
// that whoever sends can pass by. A playbook on trial counts as if it acted: its guards may stand before it does. It is for
// whoever reads sources.yaml too.
func (p Playbooks) Warnings(list Sources) Faults {
	var found Faults
	warn := func(at Position, what string) { found = append(found, Fault{Position: at, What: what}) }
	for _, b := range p.Guards.Brakes {
		p.warnBrake(b, list, warn)
	}
	for _, a := range p.Guards.Approve {
		p.warnApproval(a, warn)
	}
	for _, c := range p.Guards.ConfirmBy {
		if !p.does(c.On, c.Do, nil, nil) {
			warn(c.At, "asks for no confirmation: no playbook "+doing(c.Do)+" for "+words(c.On))
			continue
		}
		for _, on := range c.On {
			p.warnConfirmation(c, on, list, warn)
		}
	}
	sorted, _ := found.Err().(Faults)
	return sorted
}

func (p Playbooks) warnBrake(b Brake, list Sources, warn func(Position, string)) {
	sends := func(on Text) bool {
		return slices.ContainsFunc(list, func(s Source) bool { return mentions(b.Sources, s.DedupScope) && s.sends(on.Value) })
	}
	switch {
	case !p.does(b.On, nil, nil, nil):
		warn(b.At, "holds nothing: no playbook acts upon "+words(b.On))
	case len(list) > 0 && !slices.ContainsFunc(b.On, sends):
		warn(b.At, "counts nothing: none of its sources sends "+words(b.On))
	}
	if b.By != nil && strings.Contains(b.By.Source, "event.source") {
		warn(b.By.At, "event.source is the sender's own word, which may be another one each time: count by event.scope, the configured source")
	}
}

func (p Playbooks) warnApproval(a Approval, warn func(Position, string)) {
	exempt := func(class string) bool { return slices.Contains(a.Exempt, class) }
	switch {
	case p.does(a.On, a.Do, a.Playbooks, func(class string) bool {
		return (len(a.Classes) == 0 || slices.Contains(a.Classes, class)) && !exempt(class)
	}):
	case len(a.Classes) > 0 && !slices.ContainsFunc(a.Classes, func(class string) bool { return !exempt(class) }):
		warn(a.At, "asks for no approval: it exempts every class that it is about")
	case !p.does(nil, a.Do, nil, nil):
		warn(a.At, "asks for no approval: no playbook "+doing(a.Do))
	default:
		warn(a.At, "asks for no approval: no playbook has an action that all its keys are about")
	}
}

// warnConfirmation tells of sources of which no other one can say what they say.
func (p Playbooks) warnConfirmation(c Confirmation, on Text, list Sources, warn func(Position, string)) {
	var scopes, alone []string
	for _, s := range list {
		if s.sends(on.Value) && !slices.Contains(scopes, s.DedupScope) {
			scopes = append(scopes, s.DedupScope)
		}
	}
	for _, own := range scopes {
		if !slices.ContainsFunc(scopes, func(other string) bool { return other != own && mentions(c.Sources, other) }) {
			alone = append(alone, quote(own))
		}
	}
	if len(alone) > 0 {
		warn(c.At, "no second source can confirm "+on.Value+" of "+strings.Join(alone, ", ")+
			": every plan waits for a person; name other sources, or let another one send it")
	}
}

// does reports whether a playbook has an action that all of it is about: for an event, of a kind, of a playbook and of a
// class. What is empty is about every one.
func (p Playbooks) does(on, do, books []Text, class func(string) bool) bool {
	for _, b := range p.List {
		for _, event := range b.On {
			own := b.Class.Value
			if row, _ := events.Lookup(event.Value); own == "" {
				own = string(row.Class)
			}
			if mentions(on, event.Value) && mentions(books, b.Name) && (class == nil || class(own)) &&
				slices.ContainsFunc(b.Steps, func(s Step) bool { return mentions(do, s.Do.Value) }) {
				return true
			}
		}
	}
	return false
}

// sends reports whether an event of that name can come from the source. A source whose preset is code takes every one.
func (s Source) sends(name string) bool {
	return s.Mapping == nil || slices.ContainsFunc(s.Mapping.Rows, func(r Row) bool { return r.Event.Value == name })
}

// mentions reports whether a list names the word; an empty list names every one.
func mentions(list []Text, word string) bool {
	return len(list) == 0 || slices.ContainsFunc(list, func(t Text) bool { return t.Value == word })
}

// doing says what no playbook does.
func doing(do []Text) string {
	if len(do) == 0 {
		return "does anything"
	}
	return "does " + words(do)
}

// words is "a, b or c"; of an empty list any event.
func words(list []Text) string {
	if len(list) == 0 {
		return "any event"
	}
	var all []string
	for _, t := range list {
		all = append(all, t.Value)
	}
	return alternatives(all)
}
