package playbook

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"keyturn/internal/actions"
	"keyturn/internal/apiclient/asa"
	"keyturn/internal/apiclient/okta"
	"keyturn/internal/apiclient/transmit"
	"keyturn/internal/config"
	"keyturn/internal/events"
)

const sampleDir = "../../deploy/config"

// sampleEnv gives every variable that the samples refer to a value.
func sampleEnv(name string) (string, bool) {
	if name == "HR_RELAY_SECRET" {
		return "whsec_c2FtcGxlIHNlY3JldCBvZiB0aGUgdGVzdHM=", true
	}
	return "sample secret of the tests", true
}

// realKinds are the kinds that actions can bring about.
func realKinds() []Kind {
	var list []Kind
	for _, k := range actions.Kinds() {
		kind := Kind{Name: k.Name, Approvers: k.Approvers}
		for _, p := range k.Parameters {
			kind.Parameters = append(kind.Parameters, Parameter{Name: p.Name, Required: p.Required})
		}
		list = append(list, kind)
	}
	return list
}

func sample(t testing.TB) *Set {
	t.Helper()
	refs := config.Resolver{LookupEnv: sampleEnv}
	_, serr := config.ReadSources(sampleDir, refs)
	c, err := config.Read(sampleDir, refs)
	set, cerr := Compile(c.Playbooks, realKinds())
	if err := config.Join(serr, err, cerr); err != nil {
		t.Fatal(err)
	}
	return set
}

// TestSampleHasNoWarnings: what an admin copies passes the strictest check.
func TestSampleHasNoWarnings(t *testing.T) {
	refs := config.Resolver{LookupEnv: sampleEnv}
	sources, serr := config.ReadSources(sampleDir, refs)
	c, err := config.Read(sampleDir, refs)
	if err := config.Join(serr, err); err != nil {
		t.Fatal(err)
	}
	if w := Warnings(c.Playbooks, sources); len(w) > 0 {
		t.Error(w)
	}
}

// TestSamplePlans holds what the default playbooks make of every example of every event against a golden file.
func TestSamplePlans(t *testing.T) {
	set := sample(t)
	clients := actions.Clients{Okta: &okta.Client{}, ASA: &asa.Client{}, Transmit: &transmit.Client{}, Sink: actions.DirSink{}}
	var b strings.Builder
	for _, row := range events.Catalogue() {
		for i, data := range examples(t, row.Name) {
			e := event(t, row.Name, string(data))
			p := plan(t, set, e)
			fmt.Fprintf(&b, "== %s, example %d: %s, %s\n", row.Name, i, e.Subject, p.Class)
			for _, a := range p.Actions {
				if _, err := clients.Build(a, nil); err != nil {
					t.Errorf("%s: its kind does not take it: %v", a.ID, err)
				}
				id := strings.NewReplacer(p.Case+":", "")
				fmt.Fprintf(&b, "%s  %s at %s, %s, target %s, after %v\n    %s\n", id.Replace(a.ID), a.Do, a.Connection, a.Class, a.Target,
					strings.Fields(id.Replace(strings.Join(a.After, " "))), a.With)
			}
			v := verdict(t, set, p)
			fmt.Fprintf(&b, "guard: protected %q, approvers %d, brakes %d\n", v.Protected, v.Approvers, len(v.Brakes))
		}
	}
	golden(t, "plans.golden", b.String())
}

// TestPlanIsAFunction: the same event gives the same bytes from any Set of the same files; ids are unique; what an
// action waits for stands before it; nothing depends on how the event is otherwise handled.
func TestPlanIsAFunction(t *testing.T) {
	one, two := sample(t), sample(t)
	rapid.Check(t, func(t *rapid.T) {
		e := anyEvent(t)
		p, err := one.Plan(e)
		if err != nil {
			t.Fatal(err)
		}
		again, err := two.Plan(e)
		if err != nil {
			t.Fatal(err)
		}
		a, aerr := json.Marshal(p)
		b, berr := json.Marshal(again)
		if aerr != nil || berr != nil || string(a) != string(b) {
			t.Fatalf("two plans of one event (%v, %v):\n%s\n%s", aerr, berr, a, b)
		}
		if !reflect.DeepEqual(verdict(t, one, p), verdict(t, two, again)) {
			t.Fatal("two verdicts of one plan")
		}
		seen := map[string]bool{}
		for _, action := range p.Actions {
			for _, before := range action.After {
				if !seen[before] {
					t.Fatalf("%s waits for %s, which does not stand before it", action.ID, before)
				}
			}
			if seen[action.ID] || action.Target == "" || action.Case != e.Case() || !action.Class.Valid() {
				t.Fatalf("got %+v", action)
			}
			seen[action.ID] = true
		}
	})
}

// anyEvent draws an event of the catalogue with more or less in it.
func anyEvent(t *rapid.T) events.Event {
	row := rapid.SampledFrom(events.Catalogue()).Draw(t, "event")
	word := rapid.StringMatching(`[A-Za-z0-9äß][A-Za-z0-9._@ -]{0,12}`)
	some := func(m map[string]any, keys ...string) map[string]any {
		for _, k := range keys {
			if rapid.Bool().Draw(t, k) {
				m[k] = word.Draw(t, k)
			}
		}
		return m
	}
	data := some(map[string]any{
		"user":      some(map[string]any{"email": word.Draw(t, "email")}, "okta_id", "employee_number", "login", "asa_username", "department"),
		"device":    some(map[string]any{"hostname": word.Draw(t, "hostname")}, "serial", "id"),
		"client_id": word.Draw(t, "client"), "token_id": "t",
		"app": some(map[string]any{"key": word.Draw(t, "key"), "name": word.Draw(t, "name")}, "description", "owner"),
	}, "reason", "authorization_server", "ticket")
	b, err := json.Marshal(data)
	if err != nil {
		t.Fatal(err)
	}
	e := events.Event{ID: word.Draw(t, "id"), Source: "s", Type: row.Type(), Scope: "hr", Class: row.Class, Data: b}
	e.Subject, err = events.SubjectOf(e)
	if err != nil {
		t.Fatal(err)
	}
	return e
}
