package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/view"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// The stories' clock, and the zone of their reader.
var (
	noon   = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	berlin = time.FixedZone("", 3600)
)

func after(d time.Duration) time.Time { return noon.Add(d) }

func ms(n int64) *int64 { return &n }

// drawn is what a reader of 12:05 UTC sees, without colours.
func drawn(colour bool, draw func(*screen)) string {
	var b bytes.Buffer
	draw(&screen{Buffer: &b, now: after(5 * time.Minute), zone: berlin, colour: colour})
	return b.String()
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s changed (run with -update when it should):\n%s", name, diff)
	}
}

const sampleCase = "qdfwqpxehbd2jdow4erjitwcue"

// leaver is a termination in the middle of things: one action done, one dead, one that waits, one that has not begun.
func leaver() view.CaseView {
	row := view.CaseRow{ID: sampleCase, Event: "user.terminated", Principal: "user:maria@acme.example", Class: events.Normal,
		State: ledger.NeedsPerson, Plan: ledger.Planned, Reason: "asa-prod: asa.revoke_clients is dead",
		Tally:    view.Tally{Total: 4, Done: 1, Open: 1, Waiting: 1, Dead: 1},
		Happened: after(-time.Minute), Accepted: noon, Planned: after(40 * time.Millisecond), PlannedMS: ms(40), Rested: after(3 * time.Second)}
	suspend := sampleCase + ":offboard:suspend"
	return view.CaseView{
		CaseRow:  row,
		Source:   view.Source{Scope: "hr-relay", Source: "https://hr.acme.example", EventID: "evt-1"},
		Decision: view.Decision{State: ledger.Planned, By: "worker-1", Reason: "4 actions", Time: after(40 * time.Millisecond), Playbooks: []string{"offboard"}},
		Actions: []view.ActionView{
			{ID: suspend, Step: "suspend", Do: "okta.suspend_user", Connection: "okta-prod", Target: "user:maria@acme.example",
				State: ledger.Verified, Since: after(2251 * time.Millisecond), By: "worker-1", Tries: 2, Attempts: 1, TookMS: ms(2251),
				Pins:     map[string]string{"user": "00u1"},
				Applied:  []ledger.Effect{{Call: "okta.suspendUser", Target: "00u1", RequestID: "req-2", Time: after(2211 * time.Millisecond)}},
				Seen:     []ledger.Fact{{What: "user 00u1 status", Value: "SUSPENDED"}},
				Residual: []ledger.Residual{{What: "access tokens of 00u1", Until: after(time.Hour)}}},
			{ID: sampleCase + ":offboard:devices", Step: "devices", Do: "asa.revoke_clients", Connection: "asa-prod", Target: "user:maria@acme.example",
				State: ledger.Dead, Since: after(3 * time.Second), Tries: 1, Attempts: 1, Failure: &ledger.Failure{Cause: "permanent", Status: 403,
					Error: "asa list clients: not allowed\x1b[2J", RequestID: "req-9", Suggestion: "give the service user the role"}},
			{ID: sampleCase + ":offboard:sessions", Step: "sessions", Do: "okta.clear_sessions", Connection: "okta-prod", Target: "user:maria@acme.example",
				State: ledger.Waiting, Since: after(3 * time.Second), Tries: 1, Failure: &ledger.Failure{Cause: "later", Status: 429, Error: "told to wait", RetryAt: after(6 * time.Minute)}},
			{ID: sampleCase + ":offboard:tokens", Step: "tokens", Do: "okta.revoke_user_tokens", Connection: "okta-prod", Target: "user:maria@acme.example",
				State: ledger.Planned, After: []string{sampleCase + ":offboard:sessions"}},
		},
		Residual: []view.Residual{{Action: suspend, What: "access tokens of 00u1", Until: after(time.Hour)}},
		Chain:    view.Chain{Verified: true, Records: 12},
		Timeline: []view.Moment{
			{Time: noon, About: "event", State: "accepted", Text: "user.terminated user:maria@acme.example"},
			{Time: after(40 * time.Millisecond), About: "plan", State: ledger.Planned, Text: "4 actions"},
			{Time: after(2211 * time.Millisecond), About: "suspend", State: "change", Text: "okta.suspendUser 00u1 (request req-2)"},
			{Time: after(2251 * time.Millisecond), About: "suspend", State: ledger.Verified, Text: "user 00u1 status = SUSPENDED"},
		},
	}
}

// held is a plan that one of two people approved.
func held() view.CaseView {
	row := view.CaseRow{ID: sampleCase, Event: "app.retired", Principal: "app:expenses", Class: events.Normal, State: ledger.NeedsPerson,
		Plan: ledger.Held, Reason: "approved 1 of 2 times", Tally: view.Tally{Total: 1, Open: 1}, Accepted: noon, Rested: after(time.Minute), Shown: "3f2a9c0d1e4b5a69788796a5b4c3d2e1"}
	said := view.Said{Hold: &view.Hold{Why: "transmit.delete_all_clients needs 2 approvals", Need: 2,
		Given: []view.Consent{{Actor: "lee@acme.example", Reason: "owner agreed", Time: after(time.Minute)}}}}
	return view.CaseView{CaseRow: row, Source: view.Source{Scope: "onboarding", Source: "https://apps.acme.example", EventID: "a-1"},
		Decision: view.Decision{State: ledger.Held, By: "lee@acme.example", Reason: "approved 1 of 2 times", Time: after(time.Minute), Said: said},
		Actions: []view.ActionView{{ID: sampleCase + ":retire:all", Step: "all", Do: "transmit.delete_all_clients", Connection: "mosaic-prod",
			Target: "app:expenses", State: ledger.Planned}},
		Chain: view.Chain{Records: 3, Broken: []ledger.Broken{{Subject: "ledger." + sampleCase + ".plan", Seq: 7, Why: "the record does not match its hash"}}},
	}
}

// closed is a case at its end.
func closed() view.CaseView {
	v := leaver()
	v.State, v.Reason, v.Residual, v.Actions = ledger.Closed, "", nil, v.Actions[:1]
	v.Tally = view.Tally{Total: 1, Done: 1}
	v.Verified, v.PlannedMS, v.StartedMS, v.VerifiedMS = after(2251*time.Millisecond), ms(40), ms(51), ms(2251)
	return v
}

// residual is a case that is verified, but for access that outlives it until then; zero = nobody knows when it ends.
func residual(until time.Time) view.CaseView {
	v := closed()
	v.State, v.ResidualUntil = ledger.ClosedWithResidual, until
	v.Residual = []view.Residual{{Action: v.Actions[0].ID, What: "access tokens of 00u1", Until: until}}
	return v
}

// tried is a case of which two playbooks on trial know more than is done.
func tried() view.CaseView {
	v := closed()
	v.Decision.DryRuns = []events.DryRun{
		{Playbook: "offboard-new", Actions: []events.Action{{Step: "deactivate", Do: "okta.deactivate_user", Connection: "okta-prod", Target: "user:maria@acme.example"}}},
		{Playbook: "partners", Fault: "playbooks.yaml:9:11: playbooks[1].when: no such key: company: ask with has() first"},
	}
	return v
}

// unplanned is an event that the playbooks could not be applied to.
func unplanned() view.CaseView {
	return view.CaseView{CaseRow: view.CaseRow{ID: sampleCase, State: ledger.NeedsPerson, Rested: noon,
		Reason: "the playbooks could not be applied: offboard: no such field"}, Chain: view.Chain{Verified: true, Records: 1}}
}

func TestCaseScreens(t *testing.T) {
	for name, v := range map[string]view.CaseView{"case_unplanned": unplanned(), "case_needs_person": leaver(), "case_held": held(), "case_closed": closed(), "case_tried": tried(),
		"case_residual": residual(after(time.Hour)), "case_residual_endless": residual(time.Time{})} {
		golden(t, name, drawn(false, func(s *screen) { s.caseView(v) }))
	}
	golden(t, "case_timeline", drawn(false, func(s *screen) { s.moments(leaver(), leaver().Timeline) }))
}

func TestTables(t *testing.T) {
	rows := []view.CaseRow{leaver().CaseRow, held().CaseRow, closed().CaseRow}
	golden(t, "cases", drawn(false, func(s *screen) { s.caseRows(rows) }))
	golden(t, "cases_colour", drawn(true, func(s *screen) { s.caseRows(rows) }))
	golden(t, "holds", drawn(false, func(s *screen) { s.holdRows(rows[1:2]) }))
	letters := []events.DeadLetter{
		{ID: sampleCase + ":offboard:devices", Kind: events.DeadAction, Case: sampleCase, Connection: "asa-prod", Do: "asa.revoke_clients",
			Principal: "user:maria@acme.example", Cause: "permanent", Status: 403, RequestID: "req-9", Attempts: 1, Time: noon,
			Error: "asa list clients: not allowed", Original: []byte(`{"id":"x","with":{"user":{}}}`),
			Suggestion: "give the service user the role of a team administrator, which lists and deletes the clients of others, then keyturn connection check asa-prod"},
		{ID: "f1", Kind: events.DeadFault, Source: "hr-relay", Cause: "mapping", Time: noon, Error: "no field of that name in the delivery, and a very long explanation of it"},
	}
	golden(t, "dead", drawn(false, func(s *screen) { s.deadRows(letters) }))
	golden(t, "dead_groups", drawn(false, func(s *screen) { s.deadGroups(view.GroupDead(letters)) }))
	golden(t, "dead_letter", drawn(false, func(s *screen) { s.deadLetter(letters[0]) }))
}

func TestHuman(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 ms", 999 * time.Millisecond: "999 ms", 1250 * time.Millisecond: "1.2 s", 59_990 * time.Millisecond: "59.9 s",
		65 * time.Second: "1 m 05 s", 200 * time.Minute: "3 h 20 m", 47*time.Hour + 59*time.Minute: "47 h 59 m",
		52 * time.Hour: "2 d 04 h", -65 * time.Second: "-1 m 05 s",
	} {
		if got := human(d); got != want {
			t.Errorf("human(%d) = %q, want %q", d, got, want)
		}
	}
}

func TestSinceTime(t *testing.T) {
	for text, want := range map[string]time.Time{
		"all": {}, "90m": after(-90 * time.Minute), "7d": after(-7 * 24 * time.Hour),
		"2026-03-01": time.Date(2026, 3, 1, 0, 0, 0, 0, berlin), "2026-03-01T10:00:00Z": after(-26 * time.Hour),
	} {
		if got, err := sinceTime(noon, berlin, text); err != nil || !got.Equal(want) {
			t.Errorf("since %q = %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "yesterday", "-1h", "7 d", "7dd", "-2d"} {
		if got, err := sinceTime(noon, berlin, text); err == nil {
			t.Errorf("since %q = %v, want an error", text, got)
		}
	}
}

func TestCleanKeepsTheTerminalSafe(t *testing.T) {
	if got, want := clean("a\x1b[2Jb\tc\u202ed\u00a0e\x00\u009b"), "a\ufffd[2Jb c\ufffdd e\ufffd\ufffd"; got != want {
		t.Errorf("clean = %q, want %q", got, want)
	}
}

// What senders and providers say stands on one line, and cannot be taken for a line of ours.
func TestNobodyElseMakesLines(t *testing.T) {
	const forged = "none\nstate      closed 2026-03-02 13:00:00 +01:00"
	v := view.CaseView{CaseRow: view.CaseRow{ID: sampleCase, Reason: forged, State: ledger.NeedsPerson}}
	v.Actions = []view.ActionView{{Step: "suspend", State: ledger.Verified, Seen: []ledger.Fact{{What: "client c1 state", Value: forged}}}}
	letter := events.DeadLetter{ID: sampleCase, Error: forged, Original: []byte(`{"text":"none\nstate"}`)}
	for name, text := range map[string]string{
		"case":    drawn(false, func(s *screen) { s.caseView(v) }),
		"moments": drawn(false, func(s *screen) { s.moments(v, []view.Moment{{About: forged, Text: forged}}) }),
		"table":   drawn(false, func(s *screen) { s.table([]string{"A"}, [][]any{{forged}, {s.paint(red, forged)}}) }),
		"letter":  drawn(false, func(s *screen) { s.deadLetter(letter) }),
		"note": func() string {
			var b bytes.Buffer
			(&app{err: &b}).note("  %s", forged)
			return b.String()
		}(),
	} {
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "state      closed") {
				t.Errorf("%s: somebody else's line:\n%s", name, text)
			}
		}
	}
}

// JSON says the same when it is read, and nothing to a terminal.
func TestJSONKeepsTheTerminalSafe(t *testing.T) {
	const said = "a\u009b2J\u202eb\x7f\u00a0\U000e0001 größer 😀"
	var b bytes.Buffer
	if err := (&app{out: &b, asJSON: true}).print(said, nil); err != nil {
		t.Fatal(err)
	}
	if want := `"a\u009b2J\u202eb\u007f\u00a0\udb40\udc01 größer 😀"` + "\n"; b.String() != want {
		t.Errorf("%s, want %s", b.String(), want)
	}
	var got string
	if err := json.Unmarshal(b.Bytes(), &got); got != said {
		t.Errorf("it is read as %q, %v", got, err)
	}
}
