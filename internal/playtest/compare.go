package playtest

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"keyturn/internal/config"
	"keyturn/internal/events"
)

// comparison holds one decision against what a test expects.
type comparison struct {
	want   config.Expectation
	got    decision
	faults config.Faults
	diff   []string
}

func (c *comparison) fault(at config.Position, format string, args ...any) {
	c.faults = append(c.faults, config.Fault{Position: at, What: fmt.Sprintf(format, args...)})
}

func (c *comparison) all() {
	c.reason(c.want.Fault, c.got.fault, "cannot be applied")
	if c.got.fault != "" {
		return // there is no plan to compare
	}
	c.reason(c.want.Refused, c.got.refused, "is refused")
	c.reason(c.want.Held, c.got.held, "is held")
	c.word(c.want.Class, string(c.got.plan.Class))
	if c.want.Playbooks != nil {
		c.playbooks()
	}
	c.effective()
	if c.want.Actions != nil {
		c.actions(c.want.Actions, c.got.plan.Actions, c.want.ActionsAt)
	}
	if c.want.DryRun != nil {
		var tried []events.Action
		for _, run := range c.got.plan.DryRuns {
			if run.Fault != "" {
				c.fault(c.want.DryRunAt, "playbook %s cannot be applied: %s", run.Playbook, run.Fault)
			}
			tried = append(tried, run.Actions...)
		}
		c.actions(c.want.DryRun, tried, c.want.DryRunAt)
	}
}

// reason compares what stops a plan. What stops one unexpectedly is a fault too.
func (c *comparison) reason(want config.Text, got, what string) {
	switch {
	case want.Value == "" && got != "":
		c.fault(c.want.At, "the plan %s: %s", what, got)
	case want.Value != "" && got == "":
		c.fault(want.At, "no plan that %s", what)
	case !strings.Contains(got, want.Value):
		c.fault(want.At, "the plan %s for another reason: %s", what, got)
	}
}

// word compares one word, if any is expected.
func (c *comparison) word(want config.Text, got string) bool {
	if want.Value == "" || want.Value == got {
		return true
	}
	if got == "" {
		got = "nothing"
	}
	c.fault(want.At, "is %s", got)
	return false
}

func (c *comparison) playbooks() {
	var want []string
	for _, p := range c.want.Playbooks {
		want = append(want, p.Value)
	}
	if !slices.Equal(want, c.got.plan.Playbooks) {
		c.fault(c.want.At, "the playbooks that match are [%s], not [%s]", strings.Join(c.got.plan.Playbooks, ", "), strings.Join(want, ", "))
	}
}

func (c *comparison) effective() {
	want, got := c.want.EffectiveAt, c.got.plan.EffectiveAt
	if want.Value == "" {
		return
	}
	at, _ := time.Parse(time.RFC3339, want.Value) // checked when it was read; "now" stays zero
	switch {
	case at.Equal(got):
	case got.IsZero():
		c.fault(want.At, "the plan takes effect at once")
	default:
		c.fault(want.At, "the plan takes effect at %s", got.UTC().Format(time.RFC3339Nano))
	}
}

// actions compares a list: every expected action, in order, and no other.
func (c *comparison) actions(want []config.ExpectedAction, got []events.Action, at config.Position) {
	before, last := len(c.faults), -1
	var lines []string
	used := make([]bool, len(got))
	for _, w := range want {
		i := slices.IndexFunc(got, func(a events.Action) bool {
			return a.Step == w.Step.Value && (w.Playbook.Value == "" || w.Playbook.Value == a.Playbook)
		})
		if i < 0 || used[i] {
			c.fault(w.At, "no such action: %s", listed(got))
			lines = append(lines, "- "+drawWanted(w))
			continue
		}
		used[i] = true
		if i < last {
			c.fault(w.At, "comes in another order: %s", listed(got))
		}
		last = max(last, i)
		if c.action(w, got[i]) {
			lines = append(lines, "  "+drawWanted(w))
		} else {
			lines = append(lines, "- "+drawWanted(w), "+ "+drawGot(w, got[i]))
		}
	}
	for i, a := range got {
		if !used[i] {
			c.fault(at, "the plan has an action more: %s/%s, %s at %s", a.Playbook, a.Step, a.Do, a.Connection)
			lines = append(lines, "+ "+drawGot(whole(), a))
		}
	}
	if len(c.faults) > before {
		c.diff = append(c.diff, lines...)
	}
}

// listed names the actions of a plan.
func listed(list []events.Action) string {
	if len(list) == 0 {
		return "the plan has none"
	}
	var names []string
	for _, a := range list {
		names = append(names, a.Playbook+"/"+a.Step)
	}
	return "the plan has " + strings.Join(names, ", ")
}

// action compares one action, and reports whether it is as expected.
func (c *comparison) action(w config.ExpectedAction, a events.Action) bool {
	before := len(c.faults)
	c.word(w.Do, a.Do)
	c.word(w.Connection, a.Connection)
	c.word(w.Class, string(a.Class))
	c.word(w.Target, a.Target)
	c.word(w.OnDead, string(a.OnDead))
	if w.After != nil {
		var want []string
		for _, t := range w.After {
			want = append(want, t.Value)
		}
		got := stepsOf(a.After)
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(want, got) {
			c.fault(w.AfterAt, "waits for [%s]", strings.Join(got, ", "))
		}
	}
	if w.With != nil {
		for _, wrong := range missing(w.With, plain(a.With), "with") {
			c.fault(w.WithAt, "%s", wrong)
		}
	}
	return len(c.faults) == before
}

// stepsOf names actions by their steps.
func stepsOf(ids []string) []string {
	names := []string{}
	for _, id := range ids {
		names = append(names, id[strings.LastIndexByte(id, ':')+1:])
	}
	return names
}

// plain is JSON as a tree.
func plain(b json.RawMessage) any {
	var v any
	_ = json.Unmarshal(b, &v) // nothing for no parameters
	return v
}

// missing says what of want is not in got. A mapping may have more than is wanted, anything else must be equal.
func missing(want, got any, path string) []string {
	w, ok := want.(map[string]any)
	if !ok {
		if reflect.DeepEqual(want, got) {
			return nil
		}
		return []string{path + " is " + draw(got)}
	}
	g, ok := got.(map[string]any)
	if !ok && len(w) > 0 {
		return []string{path + " is " + draw(got)}
	}
	var wrong []string
	for _, key := range sorted(w) {
		value, there := g[key]
		if !there {
			wrong = append(wrong, path+"."+key+" is not there")
			continue
		}
		wrong = append(wrong, missing(w[key], value, path+"."+key)...)
	}
	return wrong
}
