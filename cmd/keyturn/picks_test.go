package main

import (
	"testing"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/view"
)

// TestAWordGivenAgain: upon a plan that waits it is the same command, however often an interrupted bulk is repeated. A
// cancel of what goes on counts each time: a lane may have had the actions in hand when it was first given.
func TestAWordGivenAgain(t *testing.T) {
	for _, c := range []struct {
		verb events.Verb
		plan ledger.State
		same bool
	}{
		{events.Approve, ledger.Held, true},
		{events.Deny, ledger.Held, true},
		{events.Cancel, ledger.Held, true},
		{events.Cancel, ledger.Scheduled, true},
		{events.Cancel, ledger.Planned, false},
	} {
		row := view.CaseRow{ID: "c1", Plan: c.plan, Tally: view.Tally{Total: 2, Waiting: 2}}
		once, again := caseCommand(c.verb, row, "ann"), caseCommand(c.verb, row, "ann")
		if same := once == again; same != c.same {
			t.Errorf("%s upon a plan that is %s: the same command %t", c.verb, c.plan, same)
		}
	}
}
