package playbook

import (
	"fmt"
	"slices"
	"strings"

	"keyturn/internal/config"
	"keyturn/internal/events"
)

// Verdict is what the guards say about one plan. The zero value lets it go on.
type Verdict struct {
	Protected string  // the protected principal that the plan would touch, as the file writes it; empty = none
	Approvers int     // how many people must approve; 0 = none
	Why       string  // for Approvers: which kinds, for a person
	Brakes    []Brake // those that count this event; whoever keeps the count decides
}

// guards are the compiled guards.
type guards struct {
	protected []string       // principals as the file writes them
	approvers map[string]int // kind → how many must approve
	brakes    []eventBrake
}

// eventBrake is a brake and the events that it counts.
type eventBrake struct {
	on []string
	Brake
}

func (c *compiler) guards(g config.Guards) guards {
	compiled := guards{approvers: map[string]int{}}
	for _, p := range g.Protected {
		if strings.ContainsAny(p.Value, "*?") {
			c.fault(p.At, "a pattern protects nobody: write every principal out in full")
		}
		compiled.protected = append(compiled.protected, p.Value)
	}
	for name, k := range c.kinds {
		if k.Approvers > 0 {
			compiled.approvers[name] = k.Approvers
		}
	}
	for _, rule := range g.Approve {
		for _, name := range rule.Do {
			if _, ok := c.kind(name); ok {
				compiled.approvers[name.Value] = max(compiled.approvers[name.Value], rule.Approvers)
			}
		}
	}
	for _, b := range g.Brakes {
		brake, ok := c.brake(b)
		if !ok {
			continue
		}
		if slices.ContainsFunc(compiled.brakes, func(other eventBrake) bool { return other.Name == brake.Name }) {
			c.fault(b.At, "another brake counts the same events over the same time: keep the one with the smaller max")
			continue
		}
		compiled.brakes = append(compiled.brakes, brake)
	}
	return compiled
}

func (c *compiler) brake(b config.Brake) (eventBrake, bool) {
	var on []string
	known := true
	for _, name := range b.On {
		known = c.event(name) && known
		on = append(on, name.Value)
	}
	slices.Sort(on)
	return eventBrake{on: on, Brake: Brake{Name: strings.Join(on, ",") + " per " + b.Per.String(), Max: b.Max, Per: b.Per}}, known
}

// Guard says what stands between a plan and its actions. A plan is protected when any identifier of its event, or any
// whom or what one of its actions names, is: a person may be protected under one name and arrive under another.
func (s *Set) Guard(p events.Plan) Verdict {
	v := Verdict{Protected: s.guards.protects(p)}
	if len(p.Actions) == 0 {
		return v
	}
	var kinds []string
	for _, a := range p.Actions {
		if n := s.guards.approvers[a.Do]; n > 0 {
			v.Approvers = max(v.Approvers, n)
			if !slices.Contains(kinds, a.Do) {
				kinds = append(kinds, a.Do)
			}
		}
	}
	if v.Approvers > 0 {
		v.Why = fmt.Sprintf("%s: needs the approval of %d", strings.Join(kinds, ", "), v.Approvers)
	}
	v.Brakes = s.BrakesFor(p.Event)
	return v
}

// BrakesFor lists the brakes that count an event, in the order of the file.
func (s *Set) BrakesFor(e events.Event) []Brake {
	var list []Brake
	for _, b := range s.guards.brakes {
		if slices.Contains(b.on, e.Name()) {
			list = append(list, b.Brake)
		}
	}
	return list
}

// protects gives the protected principal that a plan would touch.
func (g guards) protects(p events.Plan) string {
	ids := events.Principals(p.Event)
	for _, a := range p.Actions {
		ids = append(ids, identifiers(a.With)...)
	}
	return g.protectedOf(ids)
}

// Protects gives the protected principal, as the file writes it, that one of these identifiers is; empty = none. It is
// for those who learn at a provider what else an account is called.
func (s *Set) Protects(ids []events.Identifier) string { return s.guards.protectedOf(ids) }

func (g guards) protectedOf(ids []events.Identifier) string {
	for _, name := range g.protected {
		if slices.ContainsFunc(ids, func(id events.Identifier) bool { return same(name, id) }) {
			return name
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
