package main

import (
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

// TestInPlanOrder: what is redriven together goes in the order of its plan, whatever died first and whatever ended between.
func TestInPlanOrder(t *testing.T) {
	plan := events.Plan{Actions: []events.Action{{ID: "c:suspend"}, {ID: "c:sessions", After: []string{"c:suspend"}}, {ID: "c:done", After: []string{"c:sessions"}},
		{ID: "c:tokens", After: []string{"c:done"}}, {ID: "c:deactivate", After: []string{"c:tokens", "c:sessions"}}}}
	before := order{}
	for _, a := range plan.Actions {
		before[a.ID] = plan.Before(a)
	}
	letter := func(id string, kind string) events.DeadLetter { return events.DeadLetter{ID: id, Kind: kind} }
	list := []events.DeadLetter{
		letter("c:sessions", events.DeadAction), letter("f", events.DeadFault), letter("c:deactivate", events.DeadAction),
		letter("c:tokens", events.DeadAction), letter("d:sessions", events.DeadAction), letter("c:suspend", events.DeadAction),
	}
	var c choice
	c.verb = events.RedriveVerb
	var got, behind []string
	ids := map[string]string{}
	for _, o := range c.orders(before.sort(list), before, "ann") {
		ids[o.id] = o.target
		got = append(got, o.target)
		for _, id := range o.behind {
			behind = append(behind, ids[id]+" before "+o.target)
		}
	}
	if want := []string{"c:suspend", "c:sessions", "f", "c:tokens", "c:deactivate", "d:sessions"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	want := []string{"c:suspend before c:sessions", "c:sessions before c:tokens", "c:suspend before c:tokens",
		"c:tokens before c:deactivate", "c:sessions before c:deactivate", "c:suspend before c:deactivate"}
	if !slices.Equal(behind, want) {
		t.Errorf("%v, want %v", behind, want)
	}
}
