package playbook

import (
	"cmp"
	"slices"
	"strings"

	"keyturn/internal/config"
	"keyturn/internal/events"
)

// protected is a principal that is never acted upon.
type protected struct {
	principal string // as the file writes it
	why       string // for a person; empty = the file names it
}

// String is the principal, and why.
func (p protected) String() string {
	if p.why == "" {
		return p.principal
	}
	return p.principal + " (" + p.why + ")"
}

// group is everybody and everything of whom an expression over the event is true.
type group struct {
	when condition
	why  string // for a person
}

// protected compiles who is never acted upon.
func (c *compiler) protected(compiled *guards, g config.Guards) {
	for _, p := range g.Protected {
		if strings.ContainsAny(p.Value, "*?") {
			c.fault(p.At, "a pattern protects nobody: write every principal out in full, or a group with when")
		}
		compiled.protected = append(compiled.protected, protected{principal: p.Value})
	}
	compiled.admins = texts(g.Admins)
	for _, rule := range g.Groups {
		if rule.When == nil {
			continue // a fault of the file
		}
		compiled.groups = append(compiled.groups, group{
			when: c.condition(rule.When, rule.On, (*environment).condition), why: cmp.Or(rule.Why, rule.When.Source),
		})
	}
}

// SparesLastAdmin reports whether the last administrator is protected at a connection. Who that is only its provider
// can say.
func (s *Set) SparesLastAdmin(connection string) bool {
	return slices.Contains(s.guards.admins, connection)
}

// Sparing gives a copy of the set that protects these principals too, each for the same reason: what is not in the
// file, and must not be acted upon all the same.
func (s *Set) Sparing(why string, principals ...string) *Set {
	own := *s
	own.guards.protected = slices.Clone(s.guards.protected)
	for _, p := range principals {
		own.guards.protected = append(own.guards.protected, protected{p, why})
	}
	return &own
}

// protects says whom or what a plan would touch and must not. A plan is protected when any identifier of its event, or
// any whom or what one of its actions names, is: a person may be protected under one name and arrive under another.
func (g guards) protects(p events.Plan, s *subject) (string, error) {
	ids := append(events.Principals(p.Event), touched(p.Actions)...)
	if found := g.protectedOf(ids); found != "" {
		return found, nil
	}
	for _, group := range g.groups {
		holds, err := group.when.holds(s)
		if err != nil {
			return "", err
		}
		if holds {
			return p.Event.Subject + " (" + group.why + ")", nil
		}
	}
	return "", nil
}

// Protects gives the protected principal, as the file writes it and with the reason where there is one, that one of
// these identifiers is; empty = none. It is for those who learn at a provider what else an account is called. A group
// is known by events alone.
func (s *Set) Protects(ids []events.Identifier) string { return s.guards.protectedOf(ids) }

func (g guards) protectedOf(ids []events.Identifier) string {
	for _, p := range g.protected {
		if slices.ContainsFunc(ids, func(id events.Identifier) bool { return same(p.principal, id) }) {
			return p.String()
		}
	}
	return ""
}

// same compares a principal of the file with an identifier by the rules of the identifier's kind: the file does not
// say which kind it means.
func same(principal string, id events.Identifier) bool {
	kind, name, _ := strings.Cut(principal, ":")
	return kind+":"+events.Normalize(id.Kind, name) == id.Principal()
}
