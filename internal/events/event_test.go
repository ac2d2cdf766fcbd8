package events

import (
	"testing"
	"time"

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

// The time of effect is part of what an event says, wherever it says it, and counts once.
func TestContentHashKnowsTheTimeOfEffect(t *testing.T) {
	first := time.Date(2026, 12, 1, 17, 0, 0, 0, time.UTC)
	bare := Event{ID: "1", Type: "dev.keyturn.user.terminated.v1", Subject: "user:m", Data: []byte(`{"user":{"login":"m"}}`)}
	with := func(e Event, at time.Time) Event { e.EffectiveAt = at; return e }
	inData := bare
	inData.Data = []byte(`{"effective_at":"2026-12-01T17:00:00Z","user":{"login":"m"}}`)
	if inData.ContentHash() != with(inData, first.In(time.FixedZone("", 3600))).ContentHash() {
		t.Error("saying it twice changes the hash")
	}
	if with(bare, first).ContentHash() != with(bare, first.In(time.FixedZone("", 3600))).ContentHash() {
		t.Error("the zone changes the hash")
	}
	hashes := map[string]bool{}
	for _, e := range []Event{bare, with(bare, first), with(bare, first.Add(time.Nanosecond)), inData, with(inData, first.Add(time.Hour))} {
		if hashes[e.ContentHash()] = true; e.Case() != bare.Case() {
			t.Error("another case")
		}
	}
	if len(hashes) != 5 {
		t.Errorf("%d hashes of 5 contents", len(hashes))
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
