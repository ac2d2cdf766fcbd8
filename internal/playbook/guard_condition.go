package playbook

import (
	"cel.dev/cel-go/common/types"

	"keyturn/internal/config"
	"keyturn/internal/events"
)

// condition is an expression of a guard, compiled for every type of event that it is about: the same expression has
// another type in each. A condition without an expression always holds.
type condition struct {
	on   []string            // the events that the guard is about; empty = those in by, or every one without an expression
	expr bool                // there is an expression
	by   map[string]*program // by the name of the event
}

// condition compiles an expression of a guard. With a list of events it must fit each of them. Without one it is about
// the events of the catalogue that it fits, and says nothing about those whose type does not have its fields; one that
// fits none is a fault.
func (c *compiler) condition(x *config.Expr, on []config.Text, want func(*environment, config.Expr) (*program, config.Faults)) condition {
	compiled := condition{by: map[string]*program{}, expr: x != nil}
	for _, name := range on {
		c.event(name)
		compiled.on = append(compiled.on, name.Value)
	}
	if x == nil {
		return compiled
	}
	var nearest config.Faults // of the event that the expression fits best
	var of string
	for _, row := range events.Catalogue() {
		if !allows(compiled.on, row.Name) {
			continue
		}
		p, faults := c.fits(row.Name, *x, want)
		switch {
		case len(faults) == 0:
			compiled.by[row.Name] = p
		case len(on) > 0:
			c.misfit(row.Name, faults, len(on) > 1)
		case nearest == nil || len(faults) < len(nearest):
			nearest, of = faults, row.Name
		}
	}
	if len(compiled.by) == 0 && len(on) == 0 {
		c.misfit(of, nearest, true)
	}
	return compiled
}

// fits compiles an expression for one type of event.
func (c *compiler) fits(name string, x config.Expr, want func(*environment, config.Expr) (*program, config.Faults)) (*program, config.Faults) {
	env, err := c.environment(name)
	if err != nil {
		return nil, config.Faults{{Position: x.At, What: err.Error()}}
	}
	return want(env, x)
}

// misfit reports the faults that an expression has for one type of event.
func (c *compiler) misfit(name string, faults config.Faults, several bool) {
	for _, f := range faults {
		if several {
			f.What = "for " + name + ": " + f.What
		}
		c.faults = append(c.faults, f)
	}
}

// holds evaluates the condition for one event. It holds when it does for either spelling: nobody slips through a guard
// by writing a name in capitals, and nobody who wrote the guard need know how names are spelled.
func (x condition) holds(s *subject) (bool, error) {
	p := x.by[s.event.Name()]
	if p == nil {
		return !x.expr && allows(x.on, s.event.Name()), nil
	}
	spellings, err := s.bind()
	if err != nil {
		return false, err
	}
	any := false
	for _, event := range spellings {
		out, err := p.eval(event)
		if err != nil {
			return false, err
		}
		holds, ok := out.(types.Bool)
		if !ok {
			return false, p.Fault("is neither true nor false for this event")
		}
		any = any || bool(holds)
	}
	return any, nil
}
