package planner_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"keyturn/internal/config"
	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/planner"
	"keyturn/internal/playbook"
)

// onTrial are playbooks of which the first is only tried out.
const onTrial = `playbooks:
  - {name: new, on: [user.terminated, user.compromised], dry_run: true, actions: [{step: suspend, do: okta.suspend_user, at: okta-prod, with: {user: 1}}]}
  - {name: old, on: [user.terminated], actions: [{step: suspend, do: okta.suspend_user, at: okta-prod, with: {user: 1}}]}
guards: {brake: [{on: [user.terminated, user.compromised], max: 1, per: 1h, then: hold}]}
`

// TestDryRunsAreRecordedAndNotDone: what a playbook on trial would do stands in the plan's record, and no queue, count
// or case state knows of it.
func TestDryRunsAreRecordedAndNotDone(t *testing.T) {
	files, err := config.Read("c", config.Resolver{
		LookupEnv: func(string) (string, bool) { return "sample", true },
		ReadFile: func(name string) ([]byte, error) {
			if strings.HasSuffix(name, config.PlaybooksFile) {
				return []byte(onTrial), nil
			}
			return []byte("connections: {okta-prod: {provider: okta, base_url: https://okta.example, auth: {ssws: \"${env:S}\"}}}\n"), nil
		},
	})
	set, cerr := playbook.Compile(files.Playbooks, []playbook.Kind{{Name: "okta.suspend_user", Parameters: []playbook.Parameter{{Name: "user"}}}})
	if err := config.Join(err, cerr); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	decided := func(name, id, person string) (planner.Decision, ledger.Record) {
		t.Helper()
		e := w.overWire(w.happening(name, id, person, w.clock, time.Time{}))
		p := w.planner()
		p.Plans = set
		if out := p.Event(context.Background(), e, w.clock); out.Err != nil || out.Verdict != events.Done {
			t.Fatalf("got %+v", out)
		}
		rec := w.last(ledger.PlanSubject(e.Case()))
		d, err := planner.Decode(rec)
		if err != nil {
			t.Fatal(err)
		}
		return d, rec
	}

	// Tried twice, and the brake of one an hour has counted neither.
	for _, person := range []string{"ada", "eva"} {
		d, rec := decided("user.compromised", "c-"+person, person)
		life := w.last(ledger.LifecycleSubject(d.Case))
		if len(d.Actions) != 0 || len(d.DryRuns) != 1 || len(d.DryRuns[0].Actions) != 1 || rec.State != ledger.Planned ||
			rec.Reason != "only dry runs: nothing is done" || life.State != ledger.Closed {
			t.Errorf("got %s, %s, %+v", rec.State, life.State, d)
		}
	}
	d, rec := decided("user.terminated", "t", "maria")
	if rec.State != ledger.Planned || len(d.DryRuns) != 1 || len(d.Playbooks) != 1 {
		t.Errorf("got %s, %+v", rec.State, d)
	}
	w.settle()
	w.wantDone(events.ActionID(d.Case, "old", "suspend"))
	w.wantRest()
}
