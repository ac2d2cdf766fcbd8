package playbook

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"keyturn/internal/events"
)

const tried = `playbooks:
  - name: new
    on: [user.terminated]
    dry_run: true
    class: urgent
    when: event.raw.team == 'Sales'
    actions:
      - {step: a, do: okta.deactivate_user, at: okta, with: {user: "${{ event.data.user }}"}}
      - {step: b, do: okta.clear_sessions, at: okta, with: {user: "${{ event.data.user }}"}}
  - name: old
    on: [user.terminated]
    actions: [{step: a, do: okta.suspend_user, at: okta, with: {user: "${{ event.data.user }}"}}]
guards:
  approve: [{do: [okta.deactivate_user]}]
  protected: ["client:none"]
`

// TestDryRun: a playbook on trial is applied and recorded, and nothing else of a plan knows of it: neither its
// actions, nor its class, nor its guards.
func TestDryRun(t *testing.T) {
	set := rules(t, tried)
	e := event(t, "user.terminated", `{"user":{"email":"m@acme.example"},"team":"Sales"}`)
	p := plan(t, set, e)
	if len(p.DryRuns) != 1 || p.DryRuns[0].Playbook != "new" || p.DryRuns[0].Fault != "" {
		t.Fatalf("got %+v", p.DryRuns)
	}
	var ids []string
	for _, a := range p.DryRuns[0].Actions {
		ids = append(ids, a.ID)
		if _, among := p.Action(a.ID); among || a.Class != events.Urgent {
			t.Errorf("got %+v", a)
		}
	}
	if diff := cmp.Diff([]string{events.ActionID(p.Case, "new", "a"), events.ActionID(p.Case, "new", "b")}, ids); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"old"}, p.Playbooks); diff != "" || len(p.Actions) != 1 || len(p.First()) != 1 || p.Class != events.Normal {
		t.Errorf("got %+v", p)
	}
	if v := verdict(t, set, p); v.Approvers != 0 {
		t.Errorf("guarded by what is on trial: %+v", v)
	}

	p = plan(t, set, event(t, "user.terminated", `{"user":{"email":"m@acme.example"},"team":"Other"}`))
	if len(p.DryRuns) != 0 || len(p.Actions) != 1 {
		t.Errorf("got %+v", p)
	}
}

// TestDryRunFails: what is on trial cannot stop what is done, whether it has no value, takes too long or is too large.
func TestDryRunFails(t *testing.T) {
	list := "[" + strings.TrimSuffix(strings.Repeat("1,", 600), ",") + "]"
	for want, dry := range map[string]string{
		"no such key: team": "    when: event.raw.team == 'Sales'\n    actions: [{step: a, do: okta.clear_sessions, at: okta, with: {user: 1}}]\n",
		"takes too long":    "    when: \"" + list + ".all(a, " + list + ".all(b, a + b > 0 && [1, 2, 3].size() == 3))\"\n    actions: [{step: a, do: okta.clear_sessions, at: okta, with: {user: 1}}]\n",
		"too large": "    actions: [{step: a, do: okta.clear_sessions, at: okta, with: {user: '${{ event.raw.l }}'}}, " +
			"{step: b, do: okta.clear_sessions, at: okta, with: {user: '${{ event.raw.l }}'}}, {step: c, do: okta.clear_sessions, at: okta, with: {user: '${{ event.raw.l }}'}}]\n",
	} {
		set := rules(t, "playbooks:\n  - name: new\n    on: [user.terminated]\n    dry_run: true\n"+dry+
			"  - {name: old, on: [user.terminated], actions: [{step: a, do: okta.suspend_user, at: okta, with: {user: 1}}]}\n")
		p := plan(t, set, event(t, "user.terminated", `{"user":{"email":"m@a.example"},"l":["`+strings.Repeat("x", 60_000)+`"]}`))
		if len(p.DryRuns) != 1 || len(p.DryRuns[0].Actions) != 0 || !strings.Contains(p.DryRuns[0].Fault, want) {
			t.Errorf("want %q, got %d dry runs: %.200v", want, len(p.DryRuns), p.DryRuns)
		}
		if len(p.Actions) != 1 {
			t.Errorf("%s: %d actions", want, len(p.Actions))
		}
	}
}

// TestParametersAreBounded: a short expression that names a long text many times ends when parameters are full.
func TestParametersAreBounded(t *testing.T) {
	for _, x := range []string{"event.raw.l.map(x, event.raw.t)", "event.raw.l.map(x, event.data)", "event.raw.l.map(x, [[[]]])"} {
		set := rules(t, "playbooks: [{name: p, on: [user.terminated], actions: [{step: a, do: okta.suspend_user, at: okta, with: {user: '${{ "+x+" }}'}}]}]\n")
		data := `{"user":{"email":"m@a.example"},"t":"` + strings.Repeat("x", 200_000) + `","l":[` + strings.TrimSuffix(strings.Repeat("1,", 20_000), ",") + `]}`
		if _, err := set.Plan(event(t, "user.terminated", data)); err == nil || !strings.Contains(err.Error(), "larger than") {
			t.Errorf("%s: got %.200v", x, err)
		}
	}
}
