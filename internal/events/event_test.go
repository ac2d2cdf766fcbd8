package events

import (
	"testing"

	"pgregory.net/rapid"
)

// The ids of cases and actions stand in ledgers: a change of their making would make every stored case a stranger.
func TestCaseIDIsFixed(t *testing.T) {
	e := Event{ID: "evt-1", Source: "https://hr.acme.example/prod"}
	const want = "y4kmkehoyjrmhwtuvkdwrs6ebm"
	if got := CaseID("hr-relay", e); got != want {
		t.Errorf("case id %s, want %s", got, want)
	}
	if got := ActionID(want, "offboard", "suspend"); got != want+":offboard:suspend" {
		t.Errorf("action id %s", got)
	}
}

func TestContentHashIsFixed(t *testing.T) {
	e := Event{Type: "dev.keyturn.user.terminated.v1", Subject: "user:maria@acme.example", Data: []byte(`{"user":{"email":"maria@acme.example"}}`)}
	const want = "374a8e3c56e750b5"
	if got := e.ContentHash(); got != want {
		t.Errorf("content hash %s, want %s", got, want)
	}
}

// Two ways of dividing the same characters among scope, source and id are two cases.
func TestCaseIDsOfOtherSplitsDiffer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.StringN(1, 60, -1).Draw(t, "text")
		cut := func(label string) (string, Event) {
			i := rapid.IntRange(0, len(all)).Draw(t, label+" i")
			j := rapid.IntRange(i, len(all)).Draw(t, label+" j")
			return all[:i], Event{Source: all[i:j], ID: all[j:]}
		}
		s1, e1 := cut("a")
		s2, e2 := cut("b")
		same := s1 == s2 && e1.Source == e2.Source && e1.ID == e2.ID
		if (CaseID(s1, e1) == CaseID(s2, e2)) != same {
			t.Fatalf("%q %+v and %q %+v", s1, e1, s2, e2)
		}
	})
}

func TestName(t *testing.T) {
	for typ, want := range map[string]string{
		"dev.keyturn.user.terminated.v1": "user.terminated",
		"dev.keyturn.user.terminated.v2": "",
		"dev.keyturn.v1":                 "",
		"dev.keyturn..v1":                "",
		"user.terminated":                "",
		"":                               "",
	} {
		if got := (Event{Type: typ}).Name(); got != want {
			t.Errorf("%s: %q, want %q", typ, got, want)
		}
	}
}
