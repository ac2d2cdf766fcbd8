package main

import (
	"encoding/json"
	"strings"
	"testing"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
)

// TestWhatHadBegunIsSeenTo: what a case lists for a person stands under its next step, also where another event overtook the one
// that lists it, and the person's word closes it.
func TestWhatHadBegunIsSeenTo(t *testing.T) {
	t.Parallel() // it waits for a planner
	for plan, newer := range map[ledger.State]string{ledger.Planned: "", ledger.Superseded: "newer", ledger.Cancelled: "newer"} {
		t.Run(string(plan), func(t *testing.T) {
			y := newYard(t, func() error { return nil })
			y.employ("worker-1")
			body, err := json.Marshal(struct {
				events.Plan
				ledger.Said
			}{
				events.Plan{Case: "sample", Class: events.Normal, Event: events.Event{Subject: "user:maria@acme.example", Type: "dev.keyturn.user.rehired.v1"}},
				ledger.Said{Newer: newer, Begun: []ledger.Begun{{Case: "older", Action: "older:offboard:suspend", Do: "okta.suspend_user", State: ledger.Verified, Made: 1}}},
			})
			y.must(err)
			for _, rec := range []ledger.Record{
				{Subject: ledger.PlanSubject("sample"), State: plan, Reason: "1 actions of older events had begun", Body: body},
				{Subject: ledger.LifecycleSubject("sample"), State: ledger.NeedsPerson},
			} {
				_, err := y.ledger.Append(t.Context(), ledger.Record{}, rec)
				y.must(err)
			}
			y.shows([]string{"case sample: needs_person", "okta.suspend_user of case older was verified, with 1 change: not undone", "keyturn cancel sample"}, nil)
			out, err := y.tool(t.Context(), "cases", "--state", "needs_person")
			if err != nil || !strings.Contains(out, "needs_person") {
				t.Errorf("%v: %s", err, out)
			}
			out, err = y.tool(t.Context(), "cancel", "sample", "--reason", "given back", "--as", "lee@acme.example")
			if err != nil || !strings.Contains(out, "seen to") {
				t.Fatalf("%v: %s", err, out)
			}
			y.stands(ledger.LifecycleSubject("sample"), ledger.Closed)
			y.shows(nil, []string{"needs_person", "next"})
		})
	}
}
