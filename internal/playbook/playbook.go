// Package playbook turns an event into a plan by the operator's rules, and says which guards stand before it.
//
// It is pure: no I/O, and no clock but the times in the event. The same event and the same files give the same plan,
// byte for byte, on every worker and on every day; what a plan's actions are called depends on the names in the file
// alone. Everything that can be checked without an event is checked by Compile, all faults at once and each with its
// file, line and column: an expression that names a field which the event does not have does not load.
//
// How a brake counts is said here as well (Tally), for those who keep what has passed.
//
// What cannot be evaluated for an event is an error of its plan, never a condition that is silently false: a rule of
// security that does not fire must be seen. Evaluation is bounded in cost and in time.
package playbook

import (
	"slices"

	"keyturn/internal/config"
	"keyturn/internal/events"
)

// Kind describes a kind of action to those who only name it.
type Kind struct {
	Name       string // what `do` says: "okta.suspend_user"
	Parameters []Parameter
	Approvers  int // how many people must approve it at least, whatever the guards say; 0 = none
}

// Parameter is one key of `with`.
type Parameter struct {
	Name     string
	Required bool
	Form     Form        // what it must be; empty = any
	Words    []string    // the texts that it may be; nil = any
	Fields   []Parameter // of a mapping: what it may have, at least one of it; nil = anything
}

// Form is what sort of value a parameter is.
type Form string

// The forms of parameters.
const (
	Text   Form = "text"
	Flag   Form = "true or false"
	Object Form = "a mapping"
	List   Form = "a list"
)

// Set is the compiled playbooks and guards of one configuration. It is safe for concurrent use.
type Set struct {
	books  map[string][]book // by catalogue name, in the order of the file
	shapes map[string]shape  // of the events in books
	guards guards
	sla    map[events.Class]events.Span
	config string // Version of the file that it was compiled from
	source []byte // that file
}

// Source is the file that the set was compiled from. It must not be changed.
func (s *Set) Source() []byte { return s.source }

// Version names the file that the set was compiled from, by its content.
func (s *Set) Version() string { return s.config }

// Names lists the playbooks of the set, sorted.
func (s *Set) Names() []string {
	var names []string
	for _, books := range s.books {
		for _, b := range books {
			names = append(names, b.name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// book is a playbook as it is for one type of event.
type book struct {
	name      string
	class     events.Class
	dryRun    bool
	variables map[string]*program // by their names in expressions: "variables.partner"
	when      *program            // nil: always
	recheck   []events.Span
	regressed events.Regressed
	steps     []step
}

// step is one action of a playbook.
type step struct {
	name, do, at string
	with         value
	like         string   // an earlier step with the very same parameters; empty = none
	after        []string // names of the steps that must be terminal before
	onDead       events.OnDead
}

// Compile checks and compiles playbooks against the catalogue of events and the kinds of actions. The error is
// config.Faults with everything that is wrong.
func Compile(p config.Playbooks, kinds []Kind) (*Set, error) {
	c := &compiler{kinds: map[string]Kind{}, envs: map[string]*environment{}}
	for _, k := range kinds {
		c.kinds[k.Name] = k
		c.kindNames = append(c.kindNames, k.Name)
	}
	for _, row := range events.Catalogue() {
		c.eventNames = append(c.eventNames, row.Name)
	}
	s := &Set{books: map[string][]book{}, shapes: map[string]shape{}, sla: map[events.Class]events.Span{}, config: p.Version, source: p.Source}
	for _, b := range p.List {
		c.book(s, b)
	}
	for name, env := range c.envs {
		s.shapes[name] = env.shape
	}
	s.guards = c.guards(p.Guards, p.List)
	for class, within := range p.SLA {
		s.sla[events.Class(class)] = events.Span(within)
	}
	if err := c.faults.Err(); err != nil {
		return nil, err
	}
	return s, nil
}
