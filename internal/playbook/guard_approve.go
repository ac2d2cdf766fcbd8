package playbook

import (
	"fmt"
	"slices"
	"strings"

	"keyturn/internal/config"
	"keyturn/internal/events"
)

// approvals compiles which plans need a person's approval.
func (c *compiler) approvals(compiled *guards, g config.Guards) {
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
}

// asks says how many people must approve the plan, and of what.
func (g guards) asks(p events.Plan, v *Verdict) {
	var kinds []string
	for _, a := range p.Actions {
		if n := g.approvers[a.Do]; n > 0 {
			v.Approvers = max(v.Approvers, n)
			if !slices.Contains(kinds, a.Do) {
				kinds = append(kinds, a.Do)
			}
		}
	}
	if v.Approvers > 0 {
		v.Why = fmt.Sprintf("%s: needs the approval of %d", strings.Join(kinds, ", "), v.Approvers)
	}
}
