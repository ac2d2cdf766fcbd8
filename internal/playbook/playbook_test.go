package playbook

import (
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"keyturn/internal/config"
	"keyturn/internal/events"
	"keyturn/schemas"
)

var update = flag.Bool("update", false, "write the golden files")

// kinds are the kinds of action as the tests know them.
func kinds() []Kind {
	user := []Parameter{{Name: "user", Required: true}}
	return []Kind{
		{Name: "okta.suspend_user", Parameters: user},
		{Name: "okta.clear_sessions", Parameters: user},
		{Name: "okta.revoke_user_tokens", Parameters: user},
		{Name: "okta.deactivate_user", Parameters: user},
		{Name: "okta.revoke_client_tokens", Parameters: []Parameter{{Name: "client_id", Required: true}, {Name: "authorization_server"}}},
		{Name: "asa.revoke_clients", Parameters: []Parameter{{Name: "user", Required: true}, {Name: "hostname"}}},
		{Name: "asa.approve_client", Parameters: []Parameter{{Name: "client_id", Required: true}, {Name: "user", Required: true}, {Name: "state"}}},
		{Name: "transmit.ensure_client", Parameters: []Parameter{{Name: "app", Required: true}}},
		{Name: "transmit.delete_all_clients", Approvers: 1},
	}
}

// connections are those that the tests' playbooks act at.
const connections = `connections:
  okta: {provider: okta, base_url: https://okta.example, auth: {ssws: "${env:S}"}}
  asa: {provider: asa, base_url: https://asa.example, team: acme, auth: {service_user: {key_id: k, key_secret: "${env:S}"}}}
  mosaic: {provider: transmit, base_url: https://m.example, token_url: https://m.example/t, secret_sink: {dir: s}, auth: {client_credentials: {client_id: c, client_secret: "${env:S}"}}}
`

// compile reads playbooks from text. Faults of both readings come together, as they do for an operator.
func compile(text string) (*Set, error) {
	files := map[string]string{"c/connections.yaml": connections, "c/playbooks.yaml": text}
	c, err := config.Read("c", config.Resolver{
		LookupEnv: func(string) (string, bool) { return "a secret of the tests", true },
		ReadFile: func(name string) ([]byte, error) {
			if s, ok := files[name]; ok {
				return []byte(s), nil
			}
			return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
		},
	})
	set, cerr := Compile(c.Playbooks, kinds())
	return set, config.Join(err, cerr)
}

// rules compiles the playbooks of a test.
func rules(t testing.TB, text string) *Set {
	t.Helper()
	set, err := compile(text)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// event makes an event of the catalogue.
func event(t testing.TB, name, data string) events.Event {
	t.Helper()
	row, ok := events.Lookup(name)
	if !ok {
		t.Fatalf("no event %s", name)
	}
	e := events.Event{
		ID: "e1", Source: "https://hr.acme.example", Type: row.Type(), Scope: "hr-relay", Class: row.Class,
		Time: time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC), Data: json.RawMessage(data),
	}
	var err error
	if e.Subject, err = events.SubjectOf(e); err != nil {
		t.Fatal(err)
	}
	e.EffectiveAt = events.EffectiveAtOf(e)
	return e
}

func plan(t testing.TB, s *Set, e events.Event) events.Plan {
	t.Helper()
	p, err := s.Plan(e)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// examples gives the examples of an event's schema.
func examples(t testing.TB, name string) []json.RawMessage {
	t.Helper()
	b, err := schemas.FS.ReadFile("events/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var s struct {
		Examples []json.RawMessage `json:"examples"`
	}
	if err := json.Unmarshal(b, &s); err != nil {
		t.Fatal(err)
	}
	return s.Examples
}

func TestOrderWithinAConnection(t *testing.T) {
	set := rules(t, `playbooks:
  - name: p
    on: [user.terminated]
    actions:
      - {step: a, do: okta.suspend_user, at: okta, with: {user: "${{ event.data.user }}"}}
      - {step: b, do: asa.revoke_clients, at: asa, with: {user: "${{ event.data.user }}"}}
      - {step: c, do: okta.clear_sessions, at: okta, with: {user: "${{ event.data.user }}"}}
      - {step: d, do: okta.revoke_user_tokens, at: okta, needs: [b, c, a], on_dead: stop, with: {user: "${{ event.data.user }}"}}
  - name: q
    on: [user.terminated, user.compromised]
    class: urgent
    recheck: [7d, 1h]
    regressed: act
    actions:
      - {step: a, do: asa.revoke_clients, at: asa, with: {user: {email: "${{ event.data.user.email }}", login: someone}, hostname: h}}
sla: {urgent: 5m, normal: 1h}
`)
	e := event(t, "user.terminated", `{"user":{"email":"Maria@Acme.example"}}`)
	p := plan(t, set, e)
	id := e.Case()
	after := map[string][]string{}
	for _, a := range p.Actions {
		after[a.ID] = a.After
		if a.Target != "user:maria@acme.example" {
			t.Errorf("%s: target is %s", a.ID, a.Target)
		}
	}
	want := map[string][]string{
		id + ":p:a": nil, id + ":p:b": nil, id + ":p:c": {id + ":p:a"}, id + ":p:d": {id + ":p:c", id + ":p:b", id + ":p:a"}, id + ":q:a": nil,
	}
	if diff := cmp.Diff(want, after); diff != "" {
		t.Error(diff)
	}
	if p.Actions[3].OnDead != events.Stop || p.Actions[0].Class != events.Normal || p.Actions[4].Class != events.Urgent || p.Class != events.Urgent {
		t.Errorf("got %+v", p)
	}
	p.Accepted = e.Time
	if p.SLA != events.Span(5*time.Minute) || !p.DueBy().Equal(e.Time.Add(5*time.Minute)) {
		t.Errorf("to be verified within %v, by %s", p.SLA, p.DueBy())
	}
	again := []events.Span{events.Span(time.Hour), events.Span(7 * 24 * time.Hour)}
	if a := p.Actions[4]; !slices.Equal(a.Recheck, again) || a.Regressed != events.Act || p.Actions[0].Recheck != nil || p.Actions[0].Regressed != "" {
		t.Errorf("looked at again: %+v", p.Actions)
	}
	if string(p.Actions[4].With) != `{"hostname":"h","user":{"email":"Maria@Acme.example","login":"someone"}}` {
		t.Errorf("with is %s", p.Actions[4].With)
	}
	if diff := cmp.Diff([]string{"p", "q"}, p.Playbooks); diff != "" {
		t.Error(diff)
	}
}

func TestConditions(t *testing.T) {
	for name, c := range map[string]struct {
		on, when, data string
		want           bool
	}{
		"typed field":         {"user.terminated", `event.data.user.email.endsWith('@acme.example')`, `{"user":{"email":"m@acme.example"}}`, true},
		"absent field":        {"user.terminated", `has(event.data.user.login)`, `{"user":{"email":"m@acme.example"}}`, false},
		"case":                {"user.terminated", `event.data.user.email.lowerAscii() == 'm@acme.example'`, `{"user":{"email":"M@ACME.example"}}`, true},
		"attributes":          {"user.terminated", `event.name == 'user.terminated' && event.class == 'normal' && event.source.contains('acme') && event.scope == 'hr-relay' && event.id == 'e1'`, `{"user":{"email":"m@acme.example"}}`, true},
		"times":               {"user.terminated", `event.data.effective_at > event.time && event.effective_at == event.data.effective_at`, `{"user":{"email":"m@a.example"},"effective_at":"2026-12-01T17:00:00+01:00"}`, true},
		"members of a sender": {"user.terminated", `has(event.raw.user.department) && event.raw.user.department == 'Sales'`, `{"user":{"email":"m@a.example","department":"Sales"}}`, true},
		"lists":               {"app.onboarded", `event.data.app.redirect_uris.all(u, u.startsWith('https://'))`, `{"app":{"key":"k","name":"n","redirect_uris":["https://a.example","http://b.example"]}}`, false},
		"untyped number":      {"user.compromised", `event.raw.alert.score >= 0.9`, `{"user":{"email":"m@a.example"},"alert":{"score":0.93}}`, true},
	} {
		t.Run(name, func(t *testing.T) {
			set := rules(t, "playbooks:\n  - name: p\n    on: ["+c.on+"]\n    when: |\n      "+c.when+"\n    actions: [{step: s, do: transmit.delete_all_clients, at: mosaic}]\n")
			if p := plan(t, set, event(t, c.on, c.data)); (len(p.Actions) == 1) != c.want {
				t.Errorf("matches: %v", !c.want)
			}
		})
	}
}

func TestValues(t *testing.T) {
	set := rules(t, `playbooks:
  - name: p
    on: [user.compromised]
    actions:
      - step: s
        do: asa.revoke_clients
        at: asa
        with:
          user: "${{ event.data.user }}"
          hostname:
            - "${{ {'a': 1, 'b': [1.5, 2u, true, null, event.time, duration('90s'), b'x']} }}"
            - "${{ event.raw.alert }}"
            - {literal: 2026-01-02, empty: [], none: {}}
`)
	p := plan(t, set, event(t, "user.compromised", `{"user":{"email":"m@a.example","department":"Finance"},"alert":{"z":1,"a":[{}]}}`))
	want := `{"hostname":[{"a":1,"b":[1.5,2,true,null,"2026-11-20T09:00:00Z","1m30s","eA=="]},{"a":[{}],"z":1},` +
		`{"empty":[],"literal":"2026-01-02","none":{}}],"user":{"department":"Finance","email":"m@a.example"}}`
	if got := string(p.Actions[0].With); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestEvaluationFaults: what has no value for an event is an error that says where, and shows nothing of the event.
func TestEvaluationFaults(t *testing.T) {
	const canary = "personal-canary"
	for when, want := range map[string]string{
		`event.raw.score > 3`:                       "no such key: score",
		`event.raw[event.data.user.email] == 'x'`:   "no such key: ask with has() first",
		`event.raw.reason > 3`:                      "no such overload",
		`timestamp(event.data.reason) > event.time`: "cannot be evaluated for this event",
		`[1][size(event.id)] == 1`:                  "index out of bounds",
		`1 / (size(event.id) - 2) == 1`:             "division by zero",
		`event.raw.reason`:                          "is neither true nor false for this event",
	} {
		set := rules(t, "playbooks:\n  - name: p\n    on: [user.terminated]\n    when: \""+when+"\"\n    actions: [{step: s, do: transmit.delete_all_clients, at: mosaic}]\n")
		data := `{"user":{"email":"` + canary + `@a.example"},"reason":"` + canary + `"}`
		p, err := set.Plan(event(t, "user.terminated", data))
		var faults config.Faults
		switch {
		case !errors.As(err, &faults):
			t.Errorf("%s: got %v, %d actions", when, err, len(p.Actions))
		case !strings.Contains(err.Error(), "c/playbooks.yaml:4:11: playbooks[0].when: "+want):
			t.Errorf("%s: got %v", when, err)
		case strings.Contains(err.Error(), canary):
			t.Errorf("%s: the event is quoted: %v", when, err)
		}
	}
}

func TestNoPlaybookNoActions(t *testing.T) {
	set := rules(t, "playbooks: []\n")
	e := event(t, "user.terminated", `{"user":{"email":"m@a.example"},"effective_at":"2026-12-01T17:00:00+01:00"}`)
	p := plan(t, set, e)
	if p.Case != e.Case() || p.Hash != e.ContentHash() || len(p.Actions) != 0 || !p.EffectiveAt.Equal(e.EffectiveAt) || p.Class != events.Normal {
		t.Errorf("got %+v", p)
	}
	if _, err := set.Plan(events.Event{Type: "dev.keyturn.unheard.of.v1", Data: json.RawMessage(`{}`)}); err == nil {
		t.Error("an event outside the catalogue was planned")
	}
	if _, err := set.Plan(events.Event{Type: e.Type, Data: json.RawMessage(`[]`)}); err == nil {
		t.Error("data that is no object was planned")
	}
}

// TestEveryEventHasAShape fails when the catalogue gets an event that expressions do not know.
func TestEveryEventHasAShape(t *testing.T) {
	for _, row := range events.Catalogue() {
		text := "playbooks:\n  - {name: p, on: [" + row.Name + "], when: \"event.name == '" + row.Name + "'\", actions: [{step: s, do: transmit.delete_all_clients, at: mosaic}]}\n"
		set := rules(t, text)
		for _, data := range examples(t, row.Name) {
			if p := plan(t, set, event(t, row.Name, string(data))); len(p.Actions) != 1 {
				t.Errorf("%s: %d actions", row.Name, len(p.Actions))
			}
		}
	}
}

// golden compares with a file of testdata; -update writes it.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(filepath.Join("testdata", file), []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}
