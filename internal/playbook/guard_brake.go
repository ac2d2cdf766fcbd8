package playbook

import (
	"slices"
	"strings"

	"keyturn/internal/config"
	"keyturn/internal/events"
)

// eventBrake is a brake and the events that it counts.
type eventBrake struct {
	on []string
	Brake
}

// brakes compiles how much may happen in a window of time.
func (c *compiler) brakes(compiled *guards, g config.Guards) {
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
