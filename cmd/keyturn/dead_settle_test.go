package main

import (
	"testing"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
)

// TestOverruled: of two words upon one letter the first one counts, whatever became of the letter.
func TestOverruled(t *testing.T) {
	for state, by := range map[ledger.State]events.Verb{
		ledger.Cancelled: events.RedriveVerb, ledger.Redriven: events.Drop, ledger.Waiting: events.Drop, ledger.Started: events.Drop,
		ledger.Dead: events.Drop, ledger.Verified: "", ledger.Applied: "",
	} {
		for _, verb := range []events.Verb{events.RedriveVerb, events.Drop} {
			if got := overruled(verb, state); got != (verb == by) {
				t.Errorf("%s, and the action is %s: overruled %v", verb, state, got)
			}
		}
	}
}
