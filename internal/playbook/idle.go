package playbook

import (
	"slices"
	"strconv"
	"strings"

	"keyturn/internal/config"
	"keyturn/internal/events"
)

// Warnings lists what of the guards is no fault and guards less than it seems to: rules that nothing can reach, and those
// that whoever sends can pass by. A playbook on trial counts as if it acted: its guards may stand before it does. It is for
// whoever reads sources.yaml too.
func Warnings(p config.Playbooks, list config.Sources) config.Faults {
	r := reach{books: p.List, sources: list}
	for _, b := range p.Guards.Brakes {
		r.brake(b)
	}
	for _, a := range p.Guards.Approve {
		r.approval(a)
	}
	for _, c := range p.Guards.ConfirmBy {
		r.confirmation(c)
	}
	return r.found
}

// reach says what can come to a guard.
type reach struct {
	books   []config.Playbook
	sources config.Sources
	found   config.Faults
}

func (r *reach) warn(at config.Position, what string) {
	r.found = append(r.found, config.Fault{Position: at, What: what})
}

func (r *reach) brake(b config.Brake) {
	on := texts(b.On)
	sent := func(name string) bool {
		return slices.ContainsFunc(r.scopes(name), func(scope string) bool { return allows(texts(b.Sources), scope) })
	}
	switch {
	case !r.acts(on, nil, nil, nil):
		r.warn(b.At, "holds nothing: no playbook acts upon "+strings.Join(on, " or "))
	case len(r.sources) > 0 && !slices.ContainsFunc(on, sent):
		r.warn(b.At, "counts nothing: none of its sources sends "+strings.Join(on, " or "))
	}
	if b.By != nil && strings.Contains(b.By.Source, "event.source") {
		r.warn(b.By.At, "event.source is the sender's own word, which may be another one each time: count by event.scope, the configured source")
	}
}

func (r *reach) approval(a config.Approval) {
	asks := func(class string) bool { return allows(a.Classes, class) && !slices.Contains(a.Exempt, class) }
	switch {
	case r.acts(texts(a.On), texts(a.Do), texts(a.Playbooks), asks):
	case len(a.Classes) > 0 && !slices.ContainsFunc(a.Classes, asks):
		r.warn(a.At, "asks for no approval: it exempts every class that it is about")
	case len(a.Do) > 0 && !r.acts(nil, texts(a.Do), nil, nil): // it stands ready for the playbook that will
	default:
		r.warn(a.At, "asks for no approval: no playbook has an action that all its keys are about")
	}
}

// confirmation tells also of sources of which no other one can say what they say.
func (r *reach) confirmation(c config.Confirmation) {
	if on := texts(c.On); !r.acts(on, texts(c.Do), nil, nil) {
		what := "acts upon "
		if len(c.Do) > 0 {
			what = "does " + strings.Join(texts(c.Do), " or ") + " for "
		}
		r.warn(c.At, "asks for no confirmation: no playbook "+what+strings.Join(on, " or "))
		return
	}
	counts := Confirmation{Sources: texts(c.Sources)}
	for _, on := range c.On {
		var alone []string
		scopes := r.scopes(on.Value)
		for _, own := range scopes {
			if !slices.ContainsFunc(scopes, func(other string) bool { return counts.Counts(own, other) }) {
				alone = append(alone, strconv.Quote(own))
			}
		}
		if len(alone) > 0 {
			r.warn(c.At, "no second source can confirm "+on.Value+" of "+strings.Join(alone, " or ")+
				": every plan waits for a person; name other sources, or let another one send it")
		}
	}
}

// acts reports whether a playbook has an action that all of it is about: for an event, of a kind, of a playbook and of a
// class. What is empty is about every one.
func (r *reach) acts(on, do, books []string, class func(string) bool) bool {
	named := func(event string) bool {
		row, _ := events.Lookup(event)
		return takesBack(event) && (class == nil || class(string(row.Class)))
	}
	if len(do) == 0 && len(books) == 0 && slices.ContainsFunc(on, named) {
		return true // what the event itself does
	}
	return slices.ContainsFunc(r.books, func(b config.Playbook) bool {
		return allows(books, b.Name) &&
			slices.ContainsFunc(b.On, func(event config.Text) bool {
				given := b.Class.Value
				if row, ok := events.Lookup(event.Value); ok && given == "" {
					given = string(row.Class)
				}
				return allows(on, event.Value) && (class == nil || class(given))
			}) &&
			slices.ContainsFunc(b.Steps, func(s config.Step) bool { return allows(do, s.Do.Value) })
	})
}

// scopes lists from where an event of that name can come. A source whose preset is code sends every one.
func (r *reach) scopes(name string) []string {
	var list []string
	for _, s := range r.sources {
		sends := s.Mapping == nil || slices.ContainsFunc(s.Mapping.Rows, func(row config.Row) bool { return row.Event.Value == name })
		if sends && !slices.Contains(list, s.DedupScope) {
			list = append(list, s.DedupScope)
		}
	}
	return list
}
