package main

import (
	"encoding/json"
	"slices"
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

// TestInPlanOrder: what is redriven together goes in the order of its plan, whatever died first.
func TestInPlanOrder(t *testing.T) {
	letter := func(id string, kind string, waitsFor ...string) events.DeadLetter {
		original, err := json.Marshal(events.Action{ID: id, After: waitsFor})
		if err != nil {
			t.Fatal(err)
		}
		return events.DeadLetter{ID: id, Kind: kind, Original: original}
	}
	list := []events.DeadLetter{
		letter("c:sessions", events.DeadAction, "c:suspend"), letter("f", events.DeadFault), letter("c:deactivate", events.DeadAction, "c:tokens", "c:sessions"),
		letter("c:tokens", events.DeadAction, "c:sessions"), letter("d:sessions", events.DeadAction, "d:suspend"), letter("c:suspend", events.DeadAction),
	}
	var c choice
	c.verb = events.RedriveVerb
	var got, behind []string
	ids := map[string]string{}
	for _, o := range c.orders(inPlanOrder(list), "ann") {
		ids[o.id] = o.target
		got = append(got, o.target)
		for _, id := range o.behind {
			behind = append(behind, ids[id]+" before "+o.target)
		}
	}
	if want := []string{"c:suspend", "c:sessions", "f", "c:tokens", "c:deactivate", "d:sessions"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	want := []string{"c:suspend before c:sessions", "c:sessions before c:tokens", "c:tokens before c:deactivate", "c:sessions before c:deactivate"}
	if !slices.Equal(behind, want) {
		t.Errorf("%v, want %v", behind, want)
	}
}
