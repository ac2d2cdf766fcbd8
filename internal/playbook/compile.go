package playbook

import (
	"fmt"
	"slices"
	"strings"

	"keyturn/internal/config"
	"keyturn/internal/events"
)

// compiler collects the faults of all playbooks.
type compiler struct {
	kinds      map[string]Kind
	kindNames  []string
	eventNames []string
	envs       map[string]*environment // by the name of the event
	faults     config.Faults
}

func (c *compiler) fault(at config.Position, format string, args ...any) {
	c.faults = append(c.faults, config.Fault{Position: at, What: fmt.Sprintf(format, args...)})
}

// book compiles a playbook once for every type of event that it is for: the same expression has another type in each.
func (c *compiler) book(s *Set, b config.Playbook) {
	c.steps(b)
	var on []string
	for _, name := range b.On {
		if c.event(name) && !slices.Contains(on, name.Value) {
			on = append(on, name.Value)
		}
	}
	faults := map[config.Fault][]string{} // → the events for which it is one
	for _, name := range on {
		compiled, found := c.forEvent(b, name)
		s.books[name] = append(s.books[name], compiled)
		for _, f := range found {
			faults[f] = append(faults[f], name)
		}
	}
	for f, names := range faults {
		if len(names) < len(on) {
			f.What = "for " + strings.Join(names, ", ") + ": " + f.What
		}
		c.faults = append(c.faults, f)
	}
}

// event reports a name that the catalogue does not hold.
func (c *compiler) event(name config.Text) bool {
	if slices.Contains(c.eventNames, name.Value) {
		return true
	}
	if name.Value != "" {
		c.fault(name.At, "no such event%s", config.Suggest(name.Value, c.eventNames))
	}
	return false
}

// kind reports a kind of action that nobody knows.
func (c *compiler) kind(name config.Text) (Kind, bool) {
	k, ok := c.kinds[name.Value]
	if !ok && name.Value != "" {
		c.fault(name.At, "no such kind of action%s", config.Suggest(name.Value, c.kindNames))
	}
	return k, ok
}

// steps checks what is the same for every event: kinds and the names of their parameters.
func (c *compiler) steps(b config.Playbook) {
	for _, s := range b.Steps {
		k, ok := c.kind(s.Do)
		if !ok {
			continue
		}
		var known []string
		for _, p := range k.Parameters {
			known = append(known, p.Name)
			given := slices.ContainsFunc(s.With, func(w config.Param) bool { return w.Name == p.Name })
			if p.Required && !given {
				c.fault(s.Do.At, "%s needs the parameter %q: give it under with", k.Name, p.Name)
			}
		}
		for _, w := range s.With {
			if !slices.Contains(known, w.Name) {
				c.fault(w.At, "%s has no such parameter%s", k.Name, config.Suggest(w.Name, known))
			}
		}
	}
}

// forEvent compiles the expressions of a playbook for one type of event.
func (c *compiler) forEvent(b config.Playbook, name string) (book, config.Faults) {
	env, err := c.environment(name)
	if err != nil {
		return book{}, config.Faults{{Position: b.At, What: "cannot be compiled for " + name + ": " + err.Error()}}
	}
	var faults config.Faults
	compiled := book{name: b.Name, class: events.Class(b.Class.Value), dryRun: b.DryRun, regressed: events.Regressed(b.Regressed)}
	for _, after := range b.Recheck {
		compiled.recheck = append(compiled.recheck, events.Span(after))
	}
	env, compiled.variables, faults = env.declare(b.Variables)
	if b.When != nil {
		p, found := env.condition(*b.When)
		compiled.when = p
		faults = append(faults, found...)
	}
	last := map[string]string{} // connection → its last step so far
	for _, s := range b.Steps {
		with, found := env.params(s.With)
		faults = append(append(faults, found...), c.forms(env, s, with)...)
		compiled.steps = append(compiled.steps, step{
			name: s.Name, do: s.Do.Value, at: s.On.Value, with: with,
			like: like(compiled.steps, with), after: after(last[s.On.Value], s.Needs), onDead: events.OnDead(s.OnDead),
		})
		last[s.On.Value] = s.Name
	}
	return compiled, faults
}

// like is the first step that has the very same parameters: they are resolved once for each event.
func like(steps []step, with value) string {
	for _, s := range steps {
		if s.with.equals(with) {
			return s.name
		}
	}
	return ""
}

// forms reports parameters that are of another form than their kind wants.
func (c *compiler) forms(env *environment, s config.Step, with value) config.Faults {
	var faults config.Faults
	for _, p := range c.kinds[s.Do.Value].Parameters {
		for _, given := range s.With {
			if given.Name == p.Name {
				faults = append(faults, p.fits(env, given.Value, with.fields[p.Name])...)
			}
		}
	}
	return faults
}

// after lists the steps before one: the last at the same connection, and those that it needs.
func after(last string, needs []config.Text) []string {
	var names []string
	if last != "" {
		names = append(names, last)
	}
	for _, n := range needs {
		if !slices.Contains(names, n.Value) {
			names = append(names, n.Value)
		}
	}
	return names
}

func (c *compiler) environment(name string) (*environment, error) {
	if env, ok := c.envs[name]; ok {
		return env, nil
	}
	env, err := newEnvironment(name)
	if err == nil {
		c.envs[name] = env
	}
	return env, err
}
