package playbook

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"keyturn/internal/config"
	"keyturn/internal/events"
)

const before = `playbooks:
  - name: offboard
    on: [user.terminated]
    actions:
      - {step: suspend, do: okta.suspend_user, at: okta, with: {user: 1}}
      - {step: sessions, do: okta.clear_sessions, at: okta, with: {user: 1}}
      - {step: tokens, do: okta.revoke_user_tokens, at: okta, with: {user: 1}}
  - name: devices
    on: [user.terminated]
    dry_run: true
    actions: [{step: clients, do: asa.revoke_clients, at: asa, with: {user: 1}}]
`

// TestChanged: a step that has another name, or does something else, is told with what it is called now.
func TestChanged(t *testing.T) {
	e := event(t, "user.terminated", `{"user":{"email":"m@acme.example"}}`)
	last := Last{}
	last.Take(events.Plan{Actions: []events.Action{{Case: "old", Playbook: "offboard", Step: "forgotten", Do: "okta.suspend_user", Connection: "okta"}}})
	last.Take(plan(t, rules(t, before), e))
	for _, c := range []struct {
		name     string
		from, to []string
		want     []string // playbook/step was → now, or = what it is
	}{
		{"nothing", nil, nil, nil},
		{"a step", []string{"step: suspend,"}, []string{"step: lock,"}, []string{"offboard/suspend → offboard/lock"}},
		{"two steps", []string{"step: suspend,", "step: tokens,"}, []string{"step: lock,", "step: grants,"},
			[]string{"offboard/suspend → offboard/lock", "offboard/tokens → offboard/grants"}},
		{"a step is gone", []string{"      - {step: sessions, do: okta.clear_sessions, at: okta, with: {user: 1}}\n"}, []string{""}, []string{"offboard/sessions → "}},
		{"a step does something else", []string{"do: okta.suspend_user"}, []string{"do: okta.deactivate_user"},
			[]string{"offboard/suspend = okta.deactivate_user at okta"}},
		{"a playbook", []string{"name: offboard"}, []string{"name: leavers"},
			[]string{"offboard/sessions → leavers/sessions", "offboard/suspend → leavers/suspend", "offboard/tokens → leavers/tokens"}},
		{"a playbook and a step", []string{"name: offboard", "step: suspend,"}, []string{"name: leavers", "step: lock,"},
			[]string{"offboard/sessions → leavers/sessions", "offboard/suspend → leavers/lock", "offboard/tokens → leavers/tokens"}},
		{"a playbook, and another one of the same kinds for another event", []string{"name: offboard", "- name: devices"},
			[]string{"name: leavers", "- {name: first, on: [user.compromised], actions: [{step: suspend, do: okta.suspend_user, at: okta, with: {user: 1}}]}\n" +
				"  - {name: hacked, on: [user.compromised], actions: [{step: clients, do: asa.revoke_clients, at: asa, with: {user: 1}}]}\n  - name: trial"},
			[]string{"offboard/sessions → leavers/sessions", "offboard/suspend → leavers/suspend", "offboard/tokens → leavers/tokens", "devices/clients → trial/clients"}},
		{"a playbook, of which only one for another event is left", []string{"name: devices\n    on: [user.terminated]"},
			[]string{"name: hacked\n    on: [user.compromised]"}, []string{"devices/clients → "}},
		{"a step goes to another playbook", []string{"      - {step: tokens, do: okta.revoke_user_tokens, at: okta, with: {user: 1}}\n", "actions: [{step: clients,"},
			[]string{"", "actions: [{step: grants, do: okta.revoke_user_tokens, at: okta, with: {user: 1}}, {step: tokens, do: okta.revoke_user_tokens, at: okta, with: {user: 1}}, {step: clients,"},
			[]string{"offboard/tokens → devices/tokens"}},
		{"a step goes to a playbook for another event", []string{"      - {step: tokens, do: okta.revoke_user_tokens, at: okta, with: {user: 1}}\n"},
			[]string{"  - {name: hacked, on: [user.compromised], actions: [{step: tokens, do: okta.revoke_user_tokens, at: okta, with: {user: 1}}]}\n"},
			[]string{"offboard/tokens → "}},
		{"what is on trial", []string{"step: clients"}, []string{"step: gone"}, []string{"devices/clients → devices/gone"}},
	} {
		text := before
		for i := range c.from {
			if !strings.Contains(text, c.from[i]) {
				t.Fatalf("%s: no %q", c.name, c.from[i])
			}
			text = strings.Replace(text, c.from[i], c.to[i], 1)
		}
		var got []string
		for _, ch := range Changed(read(t, text), "playbooks.yaml", last) {
			line := ch.Playbook + "/" + ch.Step + " → " + ch.Now
			if ch.Is != "" {
				line = ch.Playbook + "/" + ch.Step + " = " + ch.Is
			}
			if ch.Case != e.Case() || ch.Was == "" || ch.At.File == "" {
				t.Errorf("%s: got %+v", c.name, ch)
			}
			got = append(got, line)
		}
		sorted := cmp.Diff(c.want, got, cmp.Transformer("set", func(l []string) map[string]bool {
			m := map[string]bool{}
			for _, s := range l {
				m[s] = true
			}
			return m
		}))
		if sorted != "" {
			t.Errorf("%s: -want +got\n%s", c.name, sorted)
		}
	}
}

// TestSeveralPlaybooks: every playbook that matches adds its actions, in the order of the file and under its own name;
// the class of each is its own, and that of the plan the most urgent.
func TestSeveralPlaybooks(t *testing.T) {
	const one = "  - {name: one, on: [user.terminated], class: bulk, actions: [{step: s, do: okta.suspend_user, at: okta, with: {user: 1}}]}\n"
	const two = "  - {name: two, on: [user.terminated], when: event.class == 'normal', class: urgent, actions: [{step: s, do: okta.suspend_user, at: okta, with: {user: 1}}, {step: r, do: okta.clear_sessions, at: okta, needs: [s], with: {user: 1}}]}\n"
	const three = "  - {name: three, on: [user.terminated], actions: [{step: s, do: asa.revoke_clients, at: asa, with: {user: 1}}]}\n"
	e := event(t, "user.terminated", `{"user":{"email":"m@acme.example"}}`)
	c := e.Case()
	type row struct {
		ID    string
		Class events.Class
		After []string
	}
	rows := map[string][]row{
		"one":   {{c + ":one:s", events.Bulk, nil}},
		"two":   {{c + ":two:s", events.Urgent, nil}, {c + ":two:r", events.Urgent, []string{c + ":two:s"}}},
		"three": {{c + ":three:s", events.Normal, nil}},
	}
	texts := map[string]string{"one": one, "two": two, "three": three}
	for _, order := range [][]string{{"one", "two", "three"}, {"three", "two", "one"}, {"two"}, {"one"}} {
		text, want := "playbooks:\n", []row(nil)
		for _, name := range order {
			text, want = text+texts[name], append(want, rows[name]...)
		}
		p := plan(t, rules(t, text), e)
		var got []row
		for _, a := range p.Actions {
			got = append(got, row{a.ID, a.Class, a.After})
		}
		class := events.Urgent
		if len(order) == 1 && order[0] == "one" {
			class = events.Bulk
		}
		if diff := cmp.Diff(want, got); diff != "" || !cmp.Equal(order, p.Playbooks) || p.Class != class {
			t.Errorf("%v: class %s, playbooks %v:\n%s", order, p.Class, p.Playbooks, diff)
		}
	}
}

// read reads playbooks without compiling them.
func read(t *testing.T, text string) config.Playbooks {
	t.Helper()
	c, err := config.Read("c", config.Resolver{
		LookupEnv: func(string) (string, bool) { return "a secret of the tests", true },
		ReadFile: func(name string) ([]byte, error) {
			return []byte(map[string]string{"c/connections.yaml": connections, "c/playbooks.yaml": text}[name]), nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return c.Playbooks
}
