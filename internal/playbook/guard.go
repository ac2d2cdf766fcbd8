package playbook

import (
	"slices"

	"keyturn/internal/config"
	"keyturn/internal/events"
)

// Verdict is what the guards say about one plan. The zero value lets it go on.
type Verdict struct {
	Protected string // whom or what the plan would touch and must not, for a person; empty = nobody
	Approval
	Confirm []Confirmation // whose word it needs as well; each of them
	Brakes  []Brake        // those that count this event; whoever keeps the count decides
}

// guards are the compiled guards.
type guards struct {
	shapes        map[string]shape // of the events that an expression is about
	protected     []protected
	groups        []group
	admins        []string // connections at which the last administrator is protected
	approvals     []approval
	confirmations []confirmation
	brakes        []eventBrake
	classes       map[string]events.Class // of the playbooks that say one
}

// guards compiles all guards. What is faulty is left out and reported.
func (c *compiler) guards(g config.Guards, books []config.Playbook) guards {
	compiled := guards{shapes: map[string]shape{}, classes: map[string]events.Class{}}
	c.protected(&compiled, g)
	c.approvals(&compiled, g, books)
	c.confirmations(&compiled, g)
	c.brakes(&compiled, g)
	for _, b := range books {
		if b.Class.Value != "" {
			compiled.classes[b.Name] = events.Class(b.Class.Value)
		}
	}
	for name, env := range c.envs {
		compiled.shapes[name] = env.shape
	}
	return compiled
}

// TakesBack reports whether an event ends what is pending by another one: that is what it does, whether or not a playbook
// has actions for it, and guards that name such an event stand before it all the same.
func TakesBack(e events.Event) bool { return takesBack(e.Name()) }

func takesBack(event string) bool {
	return event == "user.termination_rescinded" || event == "user.rehired"
}

// Guard says what stands between a plan and its actions, or before what its event takes back. Its error is config.Faults: an expression has no value for
// the event. Then nothing may be done, for nobody knows whether it may.
func (s *Set) Guard(p events.Plan) (Verdict, error) {
	subject := &subject{event: p.Event, shapes: s.guards.shapes}
	subject.event.Class = own(p.Event)
	var v Verdict
	var err error
	if v.Protected, err = s.guards.protects(p, subject); err != nil || len(p.Actions) == 0 && !TakesBack(p.Event) {
		return v, err
	}
	if v.Approval, err = s.guards.asks(p, subject); err != nil {
		return v, err
	}
	if v.Confirm, err = s.guards.unheard(p, subject); err != nil {
		return v, err
	}
	v.Brakes, err = s.guards.slow(subject)
	return v, err
}

// own is the class that the catalogue gives an event. Guards judge by it, not by the one that the event has: whoever holds
// the key of a source may raise that one, and would let itself off.
func own(e events.Event) events.Class {
	row, _ := events.Lookup(e.Name())
	return row.Class
}

// class is the one that an action has by the playbooks and the catalogue, whatever its event says.
func (g guards) class(a events.Action, e events.Event) events.Class {
	if class, ok := g.classes[a.Playbook]; ok {
		return class
	}
	return own(e)
}

// subject is the event that guards look at, made ready for expressions when the first one asks for it: with its
// identifiers in their one spelling, and as its sender wrote it.
type subject struct {
	event          events.Event
	shapes         map[string]shape
	spelled, plain any
}

// bind gives the variables of the event, the spelled one first.
func (s *subject) bind() ([]any, error) {
	for _, v := range []struct {
		to    *any
		spell func(events.Payload)
	}{{&s.spelled, events.Spell}, {&s.plain, func(events.Payload) {}}} {
		if *v.to != nil {
			continue
		}
		payload, err := events.Decode(s.event)
		if err != nil {
			return nil, err
		}
		v.spell(payload)
		if *v.to, err = s.shapes[s.event.Name()].bind(s.event, payload); err != nil {
			return nil, err
		}
	}
	return []any{s.spelled, s.plain}, nil
}

// texts gives the words of a list in the file.
func texts(list []config.Text) []string {
	words := make([]string, len(list))
	for i, t := range list {
		words[i] = t.Value
	}
	return words
}

// allows reports whether a list names the word; an empty list names every one.
func allows(list []string, word string) bool { return len(list) == 0 || slices.Contains(list, word) }
