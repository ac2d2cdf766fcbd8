package playbook

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"keyturn/internal/config"
	"keyturn/internal/events"
)

// Approval is what a plan needs before it goes on.
type Approval struct {
	Approvers int    // how many people must approve; 0 = none
	Why       string // what of the plan needs it, for a person
	// Expires is when the plan no longer waits, counted from when it was held; 0 = never. Proceed says that it goes on
	// then, instead of being denied: every rule that asks for an approval must say so.
	Expires time.Duration
	Proceed bool
}

// approval is a rule: which actions need how many approvals.
type approval struct {
	do, playbooks, classes, exempt []string
	when                           condition
	approvers                      int
	expires                        time.Duration
	proceed                        bool
}

// approvals compiles which plans need a person's approval. A kind may ask for one by itself, which no rule takes away.
func (c *compiler) approvals(compiled *guards, g config.Guards, books []config.Playbook) {
	for _, name := range c.kindNames {
		if n := c.kinds[name].Approvers; n > 0 {
			compiled.approvals = append(compiled.approvals, approval{do: []string{name}, approvers: n})
		}
	}
	var names []string
	for _, b := range books {
		names = append(names, b.Name)
	}
	for _, rule := range g.Approve {
		for _, name := range rule.Do {
			c.kind(name)
		}
		for _, name := range rule.Playbooks {
			if name.Value != "" && !slices.Contains(names, name.Value) {
				c.fault(name.At, "no such playbook%s", config.Suggest(name.Value, names))
			}
		}
		compiled.approvals = append(compiled.approvals, approval{
			do: texts(rule.Do), playbooks: texts(rule.Playbooks), classes: rule.Classes, exempt: rule.Exempt,
			when: c.condition(rule.When, rule.On, (*environment).condition), approvers: rule.Approvers,
			expires: rule.Expires, proceed: rule.Then == "proceed",
		})
	}
}

// asks says which approvals a plan needs.
func (g guards) asks(p events.Plan, s *subject) (Approval, error) {
	var asked []approval
	var reasons []string
	for _, rule := range g.approvals {
		holds, err := rule.when.holds(s)
		if err != nil {
			return Approval{}, err
		}
		about := func(a events.Action) bool { return rule.covers(a, g.class(a, p.Event)) }
		if holds && (slices.ContainsFunc(p.Actions, about) || rule.names(p.Event.Name())) {
			asked = append(asked, rule)
		}
	}
	for _, a := range p.Actions {
		class := g.class(a, p.Event)
		for _, rule := range asked {
			if reason := rule.reason(a, class, p.Event); rule.covers(a, class) && !slices.Contains(reasons, reason) {
				reasons = append(reasons, reason)
			}
		}
	}
	if len(reasons) == 0 && len(asked) > 0 {
		reasons = []string{p.Event.Name()}
	}
	all := join(asked)
	if all.Approvers > 0 {
		all.Why = fmt.Sprintf("%s: needs the approval of %d", strings.Join(reasons, ", "), all.Approvers)
	}
	return all, nil
}

// covers reports whether the rule is about the action, which has the class by guards.class.
func (r approval) covers(a events.Action, class events.Class) bool {
	return allows(r.do, a.Do) && allows(r.playbooks, a.Playbook) && allows(r.classes, string(class)) &&
		!slices.Contains(r.exempt, string(class))
}

// names reports whether the rule is about the event itself, whatever is done for it: it says so by the event's name, and
// is about no action or playbook. The class is the catalogue's: a sender raises it at will.
func (r approval) names(event string) bool {
	row, _ := events.Lookup(event)
	return takesBack(event) && slices.Contains(r.when.on, event) && len(r.do) == 0 && len(r.playbooks) == 0 &&
		allows(r.classes, string(row.Class)) && !slices.Contains(r.exempt, string(row.Class))
}

// reason says what of an action needs the approval.
func (r approval) reason(a events.Action, class events.Class, e events.Event) string {
	switch {
	case len(r.do) > 0:
		return a.Do
	case len(r.playbooks) > 0:
		return "playbook " + a.Playbook
	case len(r.classes) > 0:
		return "class " + string(class)
	}
	return e.Name()
}

// join makes one of all rules that ask: the most people, the first denial. It goes on by itself only when all say so,
// and then with the last of them.
func join(asked []approval) Approval {
	var all Approval
	proceed := len(asked) > 0
	for _, r := range asked {
		all.Approvers = max(all.Approvers, r.approvers)
		proceed = proceed && r.proceed
	}
	for _, r := range asked {
		switch {
		case proceed:
			all.Expires, all.Proceed = max(all.Expires, r.expires), true
		case !r.proceed && r.expires > 0 && (all.Expires == 0 || r.expires < all.Expires):
			all.Expires = r.expires
		}
	}
	return all
}
