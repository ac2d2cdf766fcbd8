package playtest

import (
	"fmt"
	"slices"

	"keyturn/internal/config"
	"keyturn/internal/events"
	"keyturn/internal/playbook"
)

// Rule is one thing that playbooks.yaml says and that a test can try.
type Rule struct {
	What  string // "playbook offboard, user.terminated: matches"
	At    config.Position
	Tried bool
	Idle  string // why no event can try it; such a rule does not count
}

// coverage finds out which rules the plans of the tests have tried.
type coverage struct {
	books  []config.Playbook
	rules  []Rule
	index  map[string]int // by What
	guards []guard
}

// guard is one rule of the guards, compiled without the others.
type guard struct {
	what string
	set  *playbook.Set
}

func newCoverage(p config.Playbooks, kinds []playbook.Kind) (*coverage, error) {
	c := &coverage{books: p.List, index: map[string]int{}}
	for _, b := range p.List {
		for _, on := range b.On {
			c.add(matches(b.Name, on.Value), on.At)
			if b.When != nil {
				c.add(leaves(b.Name, on.Value), b.When.At)
			}
		}
	}
	return c, c.addGuards(p, kinds)
}

func (c *coverage) add(what string, at config.Position) {
	if _, known := c.index[what]; !known {
		c.index[what] = len(c.rules)
		c.rules = append(c.rules, Rule{What: what, At: at})
	}
}

func (c *coverage) tried(what string) { c.rules[c.index[what]].Tried = true }

func matches(book, event string) string { return "playbook " + book + ", " + event + ": matches" }

func leaves(book, event string) string { return "playbook " + book + ", " + event + ": when is false" }

// addGuards compiles every rule of the guards by itself: whether it has anything to say about a plan shows when it is
// asked alone.
func (c *coverage) addGuards(p config.Playbooks, kinds []playbook.Kind) error {
	names := config.Playbooks{} // the playbooks that rules name
	for _, b := range p.List {
		names.List = append(names.List, config.Playbook{Name: b.Name})
	}
	kinds = slices.Clone(kinds)
	for i := range kinds {
		kinds[i].Approvers = 0 // what a kind asks for by itself is no rule of the file
	}
	for _, at := range p.Guards.Admins {
		c.add("guard protected, last_admin at "+at.Value, at.At)
		c.rules[len(c.rules)-1].Idle = "only the provider tells who that is"
	}
	for _, one := range apart(p.Guards) {
		names.Guards = one.guards
		set, err := playbook.Compile(names, kinds)
		if err != nil {
			return fmt.Errorf("%s: %w", one.what, err)
		}
		c.add(one.what, one.at)
		c.rules[c.index[one.what]].Idle = idle(p.List, one.guards)
		c.guards = append(c.guards, guard{one.what, set})
	}
	return nil
}

// part is one rule of the guards.
type part struct {
	what   string
	at     config.Position
	guards config.Guards
}

// apart gives the rules of the guards one by one.
func apart(g config.Guards) []part {
	var list []part
	for _, p := range g.Protected {
		list = append(list, part{"guard protected " + p.Value, p.At, config.Guards{Protected: []config.Text{p}}})
	}
	for i, p := range g.Groups {
		list = append(list, part{fmt.Sprintf("guard protected, group %d %s", i+1, p.Why), p.At, config.Guards{Groups: []config.ProtectedGroup{p}}})
	}
	for i, b := range g.Brakes {
		list = append(list, part{fmt.Sprintf("guard brake[%d]", i), b.At, config.Guards{Brakes: []config.Brake{b}}})
	}
	for i, c := range g.ConfirmBy {
		list = append(list, part{fmt.Sprintf("guard confirm_by[%d]", i), c.At, config.Guards{ConfirmBy: []config.Confirmation{c}}})
	}
	for i, a := range g.Approve {
		list = append(list, part{fmt.Sprintf("guard approve[%d]", i), a.At, config.Guards{Approve: []config.Approval{a}}})
	}
	return list
}

// idle says why no plan can meet a rule of the guards; empty when one can. A playbook on trial is not guarded.
func idle(books []config.Playbook, g config.Guards) string {
	for _, rule := range g.Brakes {
		if !some(books, func(b config.Playbook) bool { return common(b.On, rule.On) }) {
			return "no playbook that is not on trial is for these events"
		}
	}
	for _, rule := range g.ConfirmBy {
		if !some(books, func(b config.Playbook) bool { return common(b.On, rule.On) && (len(rule.Do) == 0 || does(b, rule.Do)) }) {
			return "no playbook that is not on trial does such a thing for these events"
		}
	}
	for _, rule := range g.Approve {
		asks := func(b config.Playbook) bool {
			named := len(rule.Playbooks) == 0 || common([]config.Text{{Value: b.Name}}, rule.Playbooks)
			return named && (len(rule.Do) == 0 || does(b, rule.Do))
		}
		if !some(books, asks) {
			return "no playbook that is not on trial asks for such an action"
		}
	}
	return ""
}

// does reports whether a playbook has a step of one of the kinds.
func does(b config.Playbook, kinds []config.Text) bool {
	return slices.ContainsFunc(b.Steps, func(s config.Step) bool { return common([]config.Text{s.Do}, kinds) })
}

// some reports whether a playbook that is not on trial is as asked for.
func some(books []config.Playbook, as func(config.Playbook) bool) bool {
	return slices.ContainsFunc(books, func(b config.Playbook) bool { return !b.DryRun && as(b) })
}

func common(a, b []config.Text) bool {
	return slices.ContainsFunc(a, func(x config.Text) bool {
		return slices.ContainsFunc(b, func(y config.Text) bool { return x.Value == y.Value })
	})
}

// saw notes which rules a plan has tried.
func (c *coverage) saw(p events.Plan) {
	took := slices.Clone(p.Playbooks)
	var failed []string
	for _, run := range p.DryRuns {
		if run.Fault != "" {
			failed = append(failed, run.Playbook)
			continue
		}
		took = append(took, run.Playbook)
	}
	name := p.Event.Name()
	for _, b := range c.books {
		if !slices.ContainsFunc(b.On, func(on config.Text) bool { return on.Value == name }) {
			continue
		}
		switch {
		case slices.Contains(took, b.Name):
			c.tried(matches(b.Name, name))
		case b.When != nil && !slices.Contains(failed, b.Name):
			c.tried(leaves(b.Name, name))
		}
	}
	for _, g := range c.guards {
		v, err := g.set.Guard(p)
		if err == nil && (len(p.Actions) > 0 || playbook.TakesBack(p.Event)) && speaks(v) {
			c.tried(g.what)
		}
	}
}

// speaks reports whether a verdict says anything.
func speaks(v playbook.Verdict) bool {
	return v.Protected != "" || v.Approvers > 0 || len(v.Confirm)+len(v.Brakes) > 0
}
