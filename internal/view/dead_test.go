package view_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"keyturn/internal/events"
	"keyturn/internal/view"
)

// letters are three actions, of which two need the same, a conflict and a fault.
func letters() []events.DeadLetter {
	died := func(h int) time.Time { return time.Date(2026, 3, 2, h, 0, 0, 0, time.UTC) }
	return []events.DeadLetter{
		{ID: "aaaaaa:offboard:devices", Kind: events.DeadAction, Case: "aaaaaa", Connection: "asa-prod", Do: "asa.revoke_clients",
			Principal: "user:maria@acme.example", Cause: "transient", Time: died(1), Suggestion: "see to the provider"},
		{ID: "aaaaaa:offboard:suspend", Kind: events.DeadAction, Case: "aaaaaa", Connection: "okta-prod", Do: "okta.suspend_user",
			Principal: "user:maria@acme.example", Source: "hr-relay", Cause: "permanent", Time: died(3), Suggestion: "give it the right"},
		{ID: "bbbbbb:leavers:suspend", Kind: events.DeadAction, Case: "bbbbbb", Connection: "okta-prod", Do: "okta.suspend_user",
			Principal: "user:sam@acme.example", Source: "siem", Cause: "permanent", Time: died(2), Suggestion: "give it the right"},
		{ID: "cccccc", Kind: events.DeadConflict, Case: "cccccc", Source: "hr-relay", Principal: "user:lee@acme.example",
			Cause: "conflict", Time: died(4), Suggestion: "compare it"},
		{ID: "f1:x:y", Kind: events.DeadFault, Source: "hr-relay", Cause: "mapping", Time: died(5), Suggestion: "mend the mapping"},
	}
}

func TestDeadLettersAreChosen(t *testing.T) {
	at := func(h int) time.Time { return time.Date(2026, 3, 2, h, 0, 0, 0, time.UTC) }
	for name, c := range map[string]struct {
		filter view.DeadFilter
		want   []int
	}{
		"all":                  {view.DeadFilter{}, []int{0, 1, 2, 3, 4}},
		"cause":                {view.DeadFilter{Cause: "permanent"}, []int{1, 2}},
		"connection":           {view.DeadFilter{Connection: "asa-prod"}, []int{0}},
		"kind":                 {view.DeadFilter{Kind: events.DeadFault}, []int{4}},
		"kind of action":       {view.DeadFilter{Do: "okta.suspend_user"}, []int{1, 2}},
		"source":               {view.DeadFilter{Source: "hr-relay"}, []int{1, 3, 4}},
		"source of an action":  {view.DeadFilter{Source: "siem"}, []int{2}},
		"playbook":             {view.DeadFilter{Playbook: "offboard"}, []int{0, 1}},
		"not an id of a fault": {view.DeadFilter{Playbook: "x"}, nil},
		"person":               {view.DeadFilter{Principal: "Maria@"}, []int{0, 1}},
		"case":                 {view.DeadFilter{Case: "bbb"}, []int{2}},
		"since":                {view.DeadFilter{Since: at(3)}, []int{1, 3, 4}},
		"until":                {view.DeadFilter{Until: at(3)}, []int{0, 2}},
		"several":              {view.DeadFilter{Cause: "permanent", Playbook: "leavers"}, []int{2}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []int
			for i, d := range letters() {
				if c.filter.Matches(d) {
					got = append(got, i)
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestLettersWithoutASource: those of actions that died before letters had one are told apart from those of others.
func TestLettersWithoutASource(t *testing.T) {
	for name, c := range map[string]struct {
		filter view.DeadFilter
		want   []int
	}{
		"no source is asked for":   {view.DeadFilter{}, nil},
		"any source":               {view.DeadFilter{Source: "siem"}, []int{0}},
		"another filter speaks no": {view.DeadFilter{Source: "siem", Connection: "okta-prod"}, nil},
	} {
		var got []int
		for i, d := range letters() {
			if c.filter.Unsaid(d) {
				got = append(got, i)
			}
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestDeadLettersAreGrouped(t *testing.T) {
	list := letters()
	list[4].Suggestion = "mend the mapping of another field"
	list = append(list, letters()[4]) // the same, but for what to do
	got := view.GroupDead(list)
	want := []view.DeadGroup{
		{Cause: "permanent", Connection: "okta-prod", Kind: "okta.suspend_user", Count: 2, Oldest: list[2].Time, Suggestion: "give it the right"},
		{Cause: "transient", Connection: "asa-prod", Kind: "asa.revoke_clients", Count: 1, Oldest: list[0].Time, Suggestion: "see to the provider"},
		{Cause: "conflict", Source: "hr-relay", Kind: "conflict", Count: 1, Oldest: list[3].Time, Suggestion: "compare it"},
		{Cause: "mapping", Source: "hr-relay", Kind: "fault", Count: 1, Oldest: list[4].Time, Suggestion: "mend the mapping of another field"},
		{Cause: "mapping", Source: "hr-relay", Kind: "fault", Count: 1, Oldest: list[4].Time, Suggestion: "mend the mapping"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for i, mark := range []string{"[idem:b743e9e251f4a0fa]", "[idem:733b2e76c55d4b11]"} {
		list[i].Cause, list[i].Connection, list[i].Do = "permanent", "mosaic-prod", "transmit.update_client"
		list[i].Suggestion = "put " + mark + " into its description"
	}
	if got := view.GroupDead(list[:1]); got[0].Suggestion != list[0].Suggestion {
		t.Errorf("alone: %+v", got)
	}
	if got := view.GroupDead(list[:2]); len(got) != 1 || got[0].Count != 2 || got[0].Suggestion != "put … into its description" {
		t.Errorf("advice that names the target: %+v", got)
	}
	if none := view.GroupDead(nil); none == nil || len(none) != 0 {
		t.Errorf("of nothing: %v", none)
	}
}
