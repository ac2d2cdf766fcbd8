package config

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestCheckScopes: guards name sources by what their events carry.
func TestCheckScopes(t *testing.T) {
	g := Guards{
		Brakes:    []Brake{{Sources: []Text{{Value: "hr"}, {Value: "hr-poll"}}}},
		ConfirmBy: []Confirmation{{Sources: []Text{{Value: "siem"}, {Value: "sime"}}}},
	}
	err := g.CheckScopes(Sources{{Name: "hr-hook", DedupScope: "hr"}, {Name: "hr-poll", DedupScope: "hr"}, {Name: "siem", DedupScope: "siem"}})
	faults, _ := err.(Faults)
	var got []string
	for _, f := range faults {
		got = append(got, f.What)
	}
	want := []string{`its events carry its dedup_scope: name "hr"`, `no such source in sources.yaml: did you mean "siem"?`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
