package planner_test

import (
	"testing"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
)

// TestWhatWasTakenApartIsSomebodyElsesSince: a command that comes again, after a crash, and finds that the person whom it made
// has turned out to be another one by then, is answered.
func TestWhatWasTakenApartIsSomebodyElsesSince(t *testing.T) {
	w := newWorld(t)
	made := ledger.OrderSubject(w.keyer.Key("apart c1"))
	_, err := w.ledger().Append(t.Context(), ledger.Record{}, ledger.Record{Subject: made, State: ledger.Kept, Body: []byte(`{"entries":null,"into":"other"}`)})
	if err != nil {
		t.Fatal(err)
	}
	w.send(w.command("c1", events.Unmerge, w.keyer.Key("user:maria@acme.example"), "ann"))
	w.settle()
	if said := w.receipt("c1").Outcome; said != "the names were taken apart, and joined anew since" {
		t.Error(said)
	}
}
