package playbook

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const returning = `playbooks:
  - {name: p, on: [user.terminated], actions: [{step: a, do: okta.suspend_user, at: okta, with: {user: "${{ event.data.user }}"}}]}
guards:
  brake:
    - {on: [user.termination_rescinded, user.compromised], max: 5, per: 1h, then: hold}
  approve:
    - {on: [user.rehired], approvers: 2}
    - {class: [urgent, normal, bulk], approvers: 3}
    - {on: [user.rehired, user.termination_rescinded, user.compromised], do: [okta.suspend_user], approvers: 4}
  confirm_by:
    - {on: [user.rehired, user.compromised], within: 1h}
    - {on: [user.rehired, user.terminated], do: [okta.suspend_user], within: 2h}
`

// TestGuardsWithoutActions: guards that name an event that takes something back stand before it although nothing is
// done for it; those about actions, and those of other events without actions, do not.
func TestGuardsWithoutActions(t *testing.T) {
	set := rules(t, returning)
	for name, want := range map[string]Verdict{
		"user.termination_rescinded": {Brakes: []Brake{
			{Name: "user.compromised,user.termination_rescinded per 1h0m0s", Max: 5, Per: time.Hour}}},
		"user.rehired": {
			Approval: Approval{Approvers: 2, Why: "user.rehired: needs the approval of 2"},
			Confirm:  []Confirmation{{Within: time.Hour, Sources: []string{}}},
		},
		"user.compromised": {},
	} {
		e := event(t, name, `{"user":{"email":"m@acme.example"}}`)
		if diff := cmp.Diff(want, verdict(t, set, plan(t, set, e))); diff != "" {
			t.Errorf("%s: -want +got\n%s", name, diff)
		}
	}
}
