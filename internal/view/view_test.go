package view_test

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/ledger/ledgertest"
	"keyturn/internal/view"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// noon is when every story begins.
var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// book is a ledger whose clock the test sets.
type book struct {
	*testing.T
	log *ledgertest.Memory
	*ledger.Ledger
	now time.Time
}

func newBook(t *testing.T) *book {
	b := &book{T: t, log: &ledgertest.Memory{}, now: noon}
	b.log.Clock = func() time.Time { return b.now }
	b.Ledger = ledger.New(b.log, b.log.Clock)
	return b
}

// write appends a record to its subject, ms milliseconds after the one before.
func (b *book) write(ms int, rec ledger.Record) {
	b.Helper()
	b.now = b.now.Add(time.Duration(ms) * time.Millisecond)
	prev, err := b.Last(b.Context(), rec.Subject)
	if err != nil {
		b.Fatal(err)
	}
	if rec.By == "" {
		rec.By = "worker-1"
	}
	if _, err := b.Append(b.Context(), prev, rec); err != nil {
		b.Fatal(err)
	}
}

// plan makes the plan of an event accepted now, with a step at each "connection/kind" in order.
func (b *book) plan(name, id, principal string, steps ...string) events.Plan {
	e := events.Event{ID: id, Source: "https://hr.acme.example", Type: "dev.keyturn." + name + ".v1", Subject: principal,
		Scope: "hr-relay", Class: events.Normal, Time: b.now.Add(-time.Minute), Data: json.RawMessage(`{}`)}
	p := events.Plan{Case: e.Case(), Event: e, Hash: e.ContentHash(), Accepted: b.now, Class: e.Class, Playbooks: []string{"offboard"}}
	for _, s := range steps {
		conn, do, _ := strings.Cut(s, "/")
		_, step, _ := strings.Cut(do, ".")
		p.Actions = append(p.Actions, events.Action{ID: events.ActionID(p.Case, "offboard", step), Case: p.Case,
			Playbook: "offboard", Step: step, Do: do, Connection: conn, Class: e.Class, Target: principal})
	}
	return p
}

// planned writes a plan down in a state.
func (b *book) planned(ms int, p events.Plan, s ledger.State, reason string) {
	b.Helper()
	body, err := json.Marshal(p)
	if err != nil {
		b.Fatal(err)
	}
	b.write(ms, ledger.Record{Subject: ledger.PlanSubject(p.Case), State: s, Reason: reason, Body: body})
	b.write(0, ledger.Record{Subject: ledger.PersonSubject(keyOf(p.Event.Subject), p.Case), State: ledger.Kept})
}

// keyOf stands in for the keyed hash of a principal: one token of a subject.
func keyOf(principal string) string {
	return strings.NewReplacer(".", "-", ":", "-").Replace(principal)
}

// acted writes an action's record.
func (b *book) acted(ms int, a events.Action, s ledger.State, tries, attempts int, e *ledger.Evidence) {
	b.Helper()
	b.write(ms, ledger.Record{Subject: ledger.ActionSubject(a.Case, a.ID), State: s, Tries: tries, Attempts: attempts, Epoch: 1, Evidence: e})
}

// offboard tells a termination: one action verified after a 429, one dead and redriven, one waiting for it.
func offboard(b *book) events.Plan {
	p := b.plan("user.terminated", "evt-1", "user:maria@acme.example",
		"okta-prod/okta.suspend_user", "asa-prod/asa.revoke_clients", "okta-prod/okta.revoke_user_tokens")
	suspend, revoke := p.Actions[0], p.Actions[1]
	p.Actions[2].After = []string{suspend.ID}
	b.planned(40, p, ledger.Planned, "")
	b.write(1, ledger.Record{Subject: ledger.LifecycleSubject(p.Case), State: ledger.Open})
	b.acted(100, suspend, ledger.Started, 1, 0, nil)
	b.acted(50, suspend, ledger.Waiting, 1, 0, &ledger.Evidence{Pins: map[string]string{"user": "00u1"},
		Failure: &ledger.Failure{Cause: "later", Status: 429, Op: "okta.suspendUser", RequestID: "req-1", Error: "told to wait 2s", RetryAt: b.now.Add(2 * time.Second)}})
	b.acted(2000, suspend, ledger.Started, 2, 1, &ledger.Evidence{Pins: map[string]string{"user": "00u1"}})
	effect := ledger.Effect{Call: "okta.suspendUser", Target: "00u1", RequestID: "req-2", Time: b.now.Add(20 * time.Millisecond)}
	b.acted(60, suspend, ledger.Verified, 2, 1, &ledger.Evidence{Pins: map[string]string{"user": "00u1"},
		Seen: []ledger.Fact{{What: "user 00u1 status", Value: "SUSPENDED"}}, Applied: []ledger.Effect{effect},
		Residual: []ledger.Residual{{What: "access tokens of 00u1", Until: noon.Add(time.Hour)}}})
	b.acted(10, revoke, ledger.Started, 1, 1, nil)
	b.acted(10, revoke, ledger.Dead, 1, 1, &ledger.Evidence{Failure: &ledger.Failure{Cause: "permanent", Status: 403,
		Op: "asa.listClients", Error: "asa list clients: not allowed", Suggestion: "give the service user the role"}})
	b.write(5, ledger.Record{Subject: ledger.LifecycleSubject(p.Case), State: ledger.NeedsPerson, Reason: "asa-prod: asa.revoke_clients is dead"})
	b.write(60_000, ledger.Record{Subject: ledger.ActionSubject(p.Case, revoke.ID), State: ledger.Redriven, By: "lee@acme.example", Reason: "role given"})
	b.write(1, ledger.Record{Subject: ledger.LifecycleSubject(p.Case), State: ledger.Open})
	return p
}

func TestCaseGolden(t *testing.T) {
	b := newBook(t)
	p := offboard(b)
	v, err := view.New(b).Case(t.Context(), p.Case[:8])
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join("testdata", "case.json")
	if *update {
		if err := os.WriteFile(file, append(got, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)+"\n"); diff != "" {
		t.Errorf("the JSON form changed (run with -update when it should):\n%s", diff)
	}
}

func TestActionsKeepWhatOneRecordDoesNotRepeat(t *testing.T) {
	b := newBook(t)
	p := offboard(b)
	revoke := p.Actions[1]
	b.acted(10, revoke, ledger.Started, 2, 2, nil)
	v, err := view.New(b).Case(t.Context(), p.Case)
	if err != nil {
		t.Fatal(err)
	}
	a := v.Actions[1]
	if a.State != ledger.Started || a.Redriven != 1 || a.Failure == nil || a.Suggestion() == "" {
		t.Errorf("a redriven action that began again: %+v", a)
	}
	b.acted(10, revoke, ledger.Verified, 2, 2, &ledger.Evidence{Seen: []ledger.Fact{{What: "clients", Value: "0"}}})
	if v, err = view.New(b).Case(t.Context(), p.Case); err != nil {
		t.Fatal(err)
	}
	if a = v.Actions[1]; a.Failure != nil || a.TookMS == nil {
		t.Errorf("a done action still shows its failure: %+v", a)
	}
	if !v.Verified.IsZero() {
		t.Error("the case counts as verified while an action has not begun")
	}
}

func TestChainBroken(t *testing.T) {
	b := newBook(t)
	p := offboard(b)
	entries := b.log.Entries()
	for i, e := range entries {
		entries[i].Data = []byte(strings.Replace(string(e.Data), "SUSPENDED", "suspended", 1))
	}
	b.log.Rewrite(entries)
	v, err := view.New(b).Case(t.Context(), p.Case)
	if err != nil {
		t.Fatal(err)
	}
	if v.Chain.Verified || len(v.Chain.Broken) != 1 {
		t.Errorf("chain of a forged record: %+v", v.Chain)
	}
}

func TestResolve(t *testing.T) {
	b := newBook(t)
	p := offboard(b)
	twin := p.Case[:7] + strings.Repeat("a", 19)
	b.write(1, ledger.Record{Subject: ledger.PlanSubject(twin), State: ledger.Planned})
	r := view.New(b)
	for _, tc := range []struct {
		name, prefix string
		want         error
	}{
		{"whole", p.Case, nil},
		{"upper case", strings.ToUpper(p.Case), nil},
		{"unique", p.Case[:8], nil},
		{"shared", p.Case[:7], view.ErrAmbiguous},
		{"short", p.Case[:5], view.ErrNotID},
		{"unknown", "zzzzzz", view.ErrNotFound},
		{"unknown whole", strings.Repeat("z", 26), view.ErrNotFound},
		{"an action", p.Case + ":offboard:suspend", nil},
		{"a person", "user:maria@acme.example", view.ErrNotID},
		{"wildcard", "aaaaaa*", view.ErrNotID},
		{"subject", "aaaaaa.>", view.ErrNotID},
		{"long", p.Case + "a", view.ErrNotID},
	} {
		if _, err := r.Case(t.Context(), tc.prefix); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, err, tc.want)
		}
	}
}

func TestCases(t *testing.T) {
	b := newBook(t)
	first := offboard(b)
	b.now = noon.Add(time.Hour)
	held := b.plan("user.terminated", "evt-2", "user:noor@acme.example", "okta-prod/okta.suspend_user")
	b.planned(5, held, ledger.Held, "brake: 26 of user.terminated in 1h, at most 25")
	b.now = noon.Add(2 * time.Hour)
	later := b.plan("device.lost", "evt-3", "user:Lee@acme.example", "asa-prod/asa.revoke_clients")
	later.EffectiveAt = b.now.Add(24 * time.Hour)
	b.planned(5, later, ledger.Scheduled, "")
	// The scheduled case is planned a day later: a listing since then must not show it as new.
	b.now = later.EffectiveAt
	b.planned(250, later, ledger.Planned, "")

	for _, tc := range []struct {
		name   string
		filter view.Filter
		want   []string
	}{
		{"all, newest first", view.Filter{}, []string{later.Case, held.Case, first.Case}},
		{"limit", view.Filter{Limit: 2}, []string{later.Case, held.Case}},
		{"since", view.Filter{Since: noon.Add(30 * time.Minute)}, []string{later.Case, held.Case}},
		{"since after acceptance", view.Filter{Since: noon.Add(25 * time.Hour)}, []string{}},
		{"plan's state", view.Filter{State: ledger.Held}, []string{held.Case}},
		{"case's state", view.Filter{State: ledger.Open}, []string{later.Case, held.Case, first.Case}},
		{"type", view.Filter{Type: "device.lost"}, []string{later.Case}},
		{"full type", view.Filter{Type: "dev.keyturn.device.lost.v1"}, []string{later.Case}},
		{"principal", view.Filter{Principal: "lee@"}, []string{later.Case}},
		{"nobody", view.Filter{Principal: "nobody"}, []string{}},
	} {
		rows, err := view.New(b).Cases(t.Context(), tc.filter)
		if err != nil {
			t.Fatal(err)
		}
		got := []string{}
		for _, r := range rows {
			got = append(got, r.ID)
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s:\n%s", tc.name, diff)
		}
	}
}

func TestWaitsCountFromTheEffectiveTime(t *testing.T) {
	b := newBook(t)
	p := b.plan("user.terminated", "evt-4", "user:noor@acme.example")
	p.EffectiveAt = noon.Add(24 * time.Hour)
	b.planned(5, p, ledger.Scheduled, "")
	b.now = p.EffectiveAt
	b.planned(250, p, ledger.Planned, "")
	rows, err := view.New(b).Cases(t.Context(), view.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	if ms := rows[0].PlannedMS; ms == nil || *ms != 250 {
		t.Errorf("planned after %v ms, want 250", ms)
	}
}

func TestStanding(t *testing.T) {
	for _, tc := range []struct {
		plan, life, want ledger.State
		rests            bool
	}{
		{"", ledger.Open, ledger.Open, false},
		{ledger.Planned, ledger.Open, ledger.Open, false},
		{ledger.Planned, ledger.Closed, ledger.Closed, true},
		{ledger.Planned, ledger.ClosedWithResidual, ledger.ClosedWithResidual, true},
		{ledger.Planned, ledger.NeedsPerson, ledger.NeedsPerson, true},
		{ledger.Scheduled, ledger.Open, ledger.Scheduled, false},
		{ledger.Held, ledger.Open, ledger.Held, true},
		{ledger.Refused, ledger.Closed, ledger.Refused, true},
		{ledger.Superseded, ledger.Closed, ledger.Superseded, true},
		{ledger.Superseded, ledger.NeedsPerson, ledger.NeedsPerson, true},
		{ledger.Cancelled, ledger.NeedsPerson, ledger.NeedsPerson, true},
	} {
		r := view.CaseRow{Plan: tc.plan, State: tc.life}
		if r.Standing() != tc.want || r.Resting() != tc.rests {
			t.Errorf("plan %q, case %q: standing %q, resting %v", tc.plan, tc.life, r.Standing(), r.Resting())
		}
	}
}

func TestPerson(t *testing.T) {
	b := newBook(t)
	first := offboard(b)
	b.now = noon.Add(time.Hour)
	second := b.plan("device.lost", "evt-5", "user:m.garcia@acme.example", "asa-prod/asa.revoke_clients")
	b.planned(5, second, ledger.Planned, "")
	b.write(1, ledger.Record{Subject: ledger.OrderSubject(keyOf("user:maria@acme.example")), State: ledger.Kept})
	r := view.New(b)
	rows, err := r.Person(t.Context(), keyOf("user:maria@acme.example"), keyOf("user:m.garcia@acme.example"), keyOf("user:maria@acme.example"))
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 2 || rows[0].ID != second.Case || rows[1].ID != first.Case {
		t.Errorf("cases of one person by two keys: %+v", rows)
	}
	if rows, err = r.Person(t.Context(), "stranger"); err != nil || rows == nil || len(rows) != 0 {
		t.Errorf("cases of a stranger: %v, %v", rows, err)
	}
}

func TestUnreadablePlanIsShown(t *testing.T) {
	b := newBook(t)
	id := strings.Repeat("a", 26)
	b.write(1, ledger.Record{Subject: ledger.PlanSubject(id), State: ledger.Planned, Body: json.RawMessage(`"x"`)})
	v, err := view.New(b).Case(t.Context(), id)
	if err != nil || !strings.Contains(v.Reason, "cannot be read") {
		t.Errorf("case with an unreadable plan: %q, %v", v.Reason, err)
	}
}

func TestDecisionTellsWhoAndWhy(t *testing.T) {
	b := newBook(t)
	p := b.plan("user.terminated", "evt-6", "user:noor@acme.example", "okta-prod/okta.suspend_user")
	body, err := json.Marshal(struct {
		events.Plan
		view.Said
	}{p, view.Said{Hold: &view.Hold{Why: "brake", Need: 2, Given: []view.Consent{{Command: "c1", Actor: "lee@acme.example", Time: noon}}},
		Begun: []view.Begun{{Case: "x", Action: "x:offboard:suspend", Do: "okta.suspend_user", State: ledger.Verified, Made: 1}}}})
	if err != nil {
		t.Fatal(err)
	}
	b.write(1, ledger.Record{Subject: ledger.PlanSubject(p.Case), State: ledger.Held, Reason: "approved 1 of 2 times", Body: body})
	v, err := view.New(b).Case(t.Context(), p.Case)
	if err != nil {
		t.Fatal(err)
	}
	if d := v.Decision; d.Hold == nil || d.Hold.Given[0].Actor != "lee@acme.example" || len(d.Begun) != 1 || d.State != ledger.Held {
		t.Errorf("decision of a held plan: %+v", d)
	}
}

func TestACaseWithoutAPlanIsListed(t *testing.T) {
	b := newBook(t)
	id := strings.Repeat("b", 26)
	b.write(1, ledger.Record{Subject: ledger.LifecycleSubject(id), State: ledger.NeedsPerson, Reason: "the playbooks could not be applied"})
	rows, err := view.New(b).Cases(t.Context(), view.Filter{Since: noon, State: ledger.NeedsPerson})
	if err != nil || len(rows) != 1 || rows[0].Reason == "" {
		t.Errorf("listing: %+v, %v", rows, err)
	}
}

func TestPins(t *testing.T) {
	got := view.Pins(map[string]string{"user": "00u1", "client.0oa2": "0oa2", "client.0oa1": "0oa1", "app.key": "x"})
	want := []string{"app.key = x", "client = 0oa1, 0oa2", "user = 00u1"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestExplainSaysNothingTwice(t *testing.T) {
	b := newBook(t)
	p := b.plan("user.terminated", "evt-7", "user:noor@acme.example", "okta-prod/okta.suspend_user")
	b.planned(1, p, ledger.Planned, "1 action")
	subject := ledger.ActionSubject(p.Case, p.Actions[0].ID)
	b.write(1, ledger.Record{Subject: subject, State: ledger.Started, Evidence: &ledger.Evidence{Pins: map[string]string{"user": "00u1"}}})
	b.write(1, ledger.Record{Subject: subject, State: ledger.Dead, Reason: "okta: no such user",
		Evidence: &ledger.Evidence{Pins: map[string]string{"user": "00u1"}, Failure: &ledger.Failure{Cause: "permanent", Error: "okta: no such user"}}})
	v, err := view.New(b).Case(t.Context(), p.Case)
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, m := range v.Timeline[2:] {
		texts = append(texts, m.Text)
	}
	if diff := cmp.Diff([]string{"acts upon user = 00u1", "okta: no such user (cause permanent)"}, texts); diff != "" {
		t.Error(diff)
	}
}
