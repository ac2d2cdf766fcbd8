package worker

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"keyturn/internal/config"
	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/ledger/ledgertest"
	"keyturn/internal/planner"
	"keyturn/internal/playbook"
	"keyturn/internal/sandbox"
)

// TestPausable: a pause of what does not exist is refused where that can be known, and a source goes by its scope.
func TestPausable(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	set, err := Playbooks(config.Playbooks{List: []config.Playbook{{Name: "offboard", On: []config.Text{{Value: "user.terminated"}},
		Steps: []config.Step{{Name: "a", Do: config.Text{Value: "transmit.delete_all_clients"}, On: config.Text{Value: "mosaic-prod"},
			With: []config.Param{{Name: "app_id", Value: config.Value{Literal: "portal"}}}}}}}})
	if err != nil {
		t.Fatal(err)
	}
	w, err := New(Options{Bus: s.bus(), Name: "worker-1", Connections: s.connections(), Playbooks: set, Log: slog.New(slog.DiscardHandler),
		Sources: func() (config.Sources, error) {
			return config.Sources{{Name: "hr-hook", DedupScope: "hr"}, {Name: "siem", DedupScope: "siem"}}, nil
		}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ target, as, no, note string }{
		{"all", "all", "", ""},
		{"connection:okta-prod", "connection:okta-prod", "", ""},
		{"connection:okta-prd", "connection:okta-prd", `did you mean "okta-prod"?`, ""},
		{"playbook:offboard", "playbook:offboard", "", ""},
		{"playbook:ofboard", "playbook:ofboard", `did you mean "offboard"?`, ""},
		{"source:hr", "source:hr", "", ""},
		{"source:hr-hook", "source:hr", "", "dedup_scope"},
		{"source:seim", "source:seim", `did you mean "siem"?`, ""},
	} {
		as, no, note := w.pausable(c.target)
		if as != c.as || !strings.Contains(no, c.no) || (no == "") != (c.no == "") || !strings.Contains(note, c.note) || (note == "") != (c.note == "") {
			t.Errorf("%s: %q %q %q", c.target, as, no, note)
		}
	}
	w.opts.Sources = func() (config.Sources, error) { return nil, errors.New("no such file") }
	if as, no, note := w.pausable("source:seim"); as != "source:seim" || no != "" || note == "" {
		t.Errorf("without sources.yaml: %q %q %q", as, no, note)
	}
}

// TestWhatAPauseKeepsFromBeginning: an action stands still by its playbook, and by the source of its case's event.
func TestWhatAPauseKeepsFromBeginning(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	w, err := New(Options{Bus: s.bus(), Name: "worker-1", Connections: s.connections(), Playbooks: new(playbook.Set), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.bus().CreateTopology(t.Context()); err != nil {
		t.Fatal(err)
	}
	l := w.runner.Ledger
	put := func(prev ledger.Record, subject string, state ledger.State, body string) ledger.Record {
		t.Helper()
		rec, err := l.Append(t.Context(), prev, ledger.Record{Subject: subject, State: state, Body: json.RawMessage(body), Attempt: body})
		if err != nil {
			t.Fatal(err)
		}
		return rec
	}
	put(ledger.Record{}, ledger.PlanSubject("c1"), ledger.Planned, `{"case":"c1","event":{"scope":"hr"}}`)
	a := events.Action{ID: "c1:offboard:x", Case: "c1", Playbook: "offboard", Connection: "okta-prod"}
	var rec ledger.Record
	for _, c := range []struct {
		target       string
		lane, action bool
	}{
		{"all", true, false}, {"connection:okta-prod", true, false}, {"connection:asa-prod", false, false},
		{"playbook:offboard", false, true}, {"playbook:onboard", false, false}, {"source:hr", false, true}, {"source:siem", false, false},
	} {
		until := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
		rec = put(rec, ledger.OrderSubject("pauses"), ledger.Kept, `{"pauses":[{"target":"`+c.target+`","by":"lee","reason":"x","until":"`+until+`"}]}`)
		w.pauses = pauses{} // whoever asks now was not told anything yet
		p, err := w.paused(t.Context(), a)
		if err != nil || (p.Lane != "") != c.lane || (p.Action != "") != c.action || c.action && p.Until.IsZero() {
			t.Errorf("%s: %+v, %v", c.target, p, err)
		}
	}
}

// slow is a log whose answers take a while.
type slow struct {
	ledger.Log
	takes time.Duration
	reads int
}

func (s *slow) Last(ctx context.Context, subject string) (uint64, []byte, error) {
	s.reads++
	seq, data, err := s.Log.Last(ctx, subject)
	time.Sleep(s.takes)
	return seq, data, err
}

// TestAnAnswerThatComesLateIsNone: a pause that was settled while the answer was on its way holds; and what was read a
// moment ago is not read again.
func TestAnAnswerThatComesLateIsNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &slow{Log: &ledgertest.Memory{}}
		book := ledger.New(log, nil)
		var p pauses
		for _, step := range []struct {
			takes, after time.Duration
			reads        int
			late         bool
		}{
			{planner.PausesHold, 0, 1, true}, {planner.PausesHold - time.Millisecond, 0, 2, false}, {0, 0, 3, false},
			{0, pausesFresh - time.Millisecond, 3, false}, {0, time.Millisecond, 4, false},
		} {
			log.takes = step.takes
			time.Sleep(step.after)
			if _, err := p.read(t.Context(), book, time.Now); (err != nil) != step.late || log.reads != step.reads {
				t.Errorf("%+v: %v after %d reads", step, err, log.reads)
			}
		}
	})
}
