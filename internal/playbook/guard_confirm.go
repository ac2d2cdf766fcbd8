package playbook

import (
	"slices"
	"time"

	"keyturn/internal/config"
	"keyturn/internal/events"
)

// Confirmation is whose word a plan needs beside its own event's: that of another source, about the same person and of
// the same type.
type Confirmation struct {
	Within  time.Duration // of each other, by their acceptance
	Sources []string      // whose word counts; empty = that of any other source
}

// Counts reports whether the word of another event's source counts for an event of own.
func (c Confirmation) Counts(own, other string) bool { return own != other && allows(c.Sources, other) }

// Contradict reports whether two events give their persons different names of one kind. Neither is a word about the other
// then, whatever else they share: the account that is found by one name need not be the one that the other finds.
func Contradict(a, b []events.Identifier) bool {
	return slices.ContainsFunc(a, func(x events.Identifier) bool {
		return slices.ContainsFunc(b, func(y events.Identifier) bool { return x.Kind == y.Kind && x.Value != y.Value })
	})
}

// confirmation is a rule: which plans need it.
type confirmation struct {
	do   []string
	when condition
	Confirmation
}

// confirmations compiles which events must be confirmed by a second source.
func (c *compiler) confirmations(compiled *guards, g config.Guards) {
	for _, rule := range g.ConfirmBy {
		for _, name := range rule.Do {
			c.kind(name)
		}
		compiled.confirmations = append(compiled.confirmations, confirmation{
			do: texts(rule.Do), when: c.condition(rule.When, rule.On, (*environment).condition),
			Confirmation: Confirmation{Within: rule.Within, Sources: texts(rule.Sources)},
		})
	}
}

// unheard lists what a plan needs to be confirmed by, in the order of the file.
func (g guards) unheard(p events.Plan, s *subject) ([]Confirmation, error) {
	var list []Confirmation
	for _, rule := range g.confirmations {
		holds, err := rule.when.holds(s)
		if err != nil {
			return nil, err
		}
		covers := func(a events.Action) bool { return allows(rule.do, a.Do) }
		if holds && (slices.ContainsFunc(p.Actions, covers) || len(rule.do) == 0 && TakesBack(p.Event)) {
			list = append(list, rule.Confirmation)
		}
	}
	return list, nil
}

// Confirms reports whether an event may confirm another one: some rule is about events of its type.
func (s *Set) Confirms(e events.Event) bool {
	return slices.ContainsFunc(s.guards.confirmations, func(c confirmation) bool { return slices.Contains(c.when.on, e.Name()) })
}
