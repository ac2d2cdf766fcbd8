package playbook

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"keyturn/internal/config"
)

// TestFaults holds every message of Compile, with its place, against a golden file.
func TestFaults(t *testing.T) {
	var b strings.Builder
	for _, c := range []struct{ name, text string }{
		{"names", `playbooks:
  - name: a
    on: [user.terminatd, user.rehired, nothing.like.it]
    actions:
      - {step: one, do: okta.suspend_users, at: okta, with: {user: 1}}
      - {step: two, do: okta.suspend_user, at: okta, with: {usr: 1}}
      - {step: three, do: okta.suspend_user, at: okta}
      - {step: four, do: okta.revoke_client_tokens, at: asa, with: {client_id: x, all: true}}
`},
		{"expressions", `playbooks:
  - name: a
    on: [user.terminated]
    when: "event.data.user.emial == 'a' && evnt.id == 'b'"
    actions:
      - step: one
        do: okta.suspend_user
        at: okta
        with:
          user: ${{ event.data.usr }}
      - step: two
        do: okta.suspend_user
        at: okta
        with:
          user: |
            ${{ event.data.user.email
              + event.data.device }}
      - {step: three, do: okta.suspend_user, at: okta, with: {user: [{deep: "${{ event.data.user.email + 1 }}"}]}}
      - {step: four, do: okta.suspend_user, at: okta, with: {user: "${{ event.data.user. }}"}}
      - {step: five, do: okta.suspend_user, at: okta, with: {user: 'it is ''${{ no''', b: '${{ ''x'' + 1 }}'}}
`},
		{"conditions", `playbooks:
  - {name: a, on: [user.terminated], when: event.data.user.email, actions: [{step: s, do: transmit.delete_all_clients, at: mosaic}]}
  - {name: b, on: [user.terminated], when: "event.id.matches('[')", actions: [{step: s, do: transmit.delete_all_clients, at: mosaic}]}
  - {name: c, on: [user.terminated], when: "duration('soon') < duration('1s')", actions: [{step: s, do: transmit.delete_all_clients, at: mosaic}]}
  - {name: d, on: [user.terminated], when: "[1].all(a, [1].all(b, [1].all(c, a == c)))", actions: [{step: s, do: transmit.delete_all_clients, at: mosaic}]}
  - {name: e, on: [user.terminated], when: "event.data.extra == null", actions: [{step: s, do: transmit.delete_all_clients, at: mosaic}]}
  - {name: f, on: [user.terminated], when: "` + strings.Repeat("(", 60) + "true" + strings.Repeat(")", 60) + `", actions: [{step: s, do: transmit.delete_all_clients, at: mosaic}]}
  - {name: g, on: [user.terminated], when: "'` + strings.Repeat("x", 4100) + `' == ''", actions: [{step: s, do: transmit.delete_all_clients, at: mosaic}]}
`},
		{"several events", `playbooks:
  - name: a
    on: [user.terminated, device.lost, app.onboarded]
    when: event.data.user.email == ""
    actions: [{step: s, do: transmit.delete_all_clients, at: mosaic}]
  - name: b
    on: [user.terminated, device.lost]
    when: event.data.usr.email == ""
    actions: [{step: s, do: transmit.delete_all_clients, at: mosaic}]
`},
		{"guards", `playbooks: []
guards:
  protected: ["user:*@acme.example", "user:breakglass@acme.example", "client:0oa?"]
  brake:
    - {on: [user.terminated, device.lost], max: 1, per: 1h, then: hold}
    - {on: [device.lost, user.terminated], max: 2, per: 60m, then: hold}
    - {on: [user.left], max: 2, per: 1h, then: hold}
  approve:
    - {do: [okta.deactivate_users, nothing]}
`},
		{"approvals", `playbooks: [{name: offboard, on: [user.terminated], actions: [{step: a, do: transmit.delete_all_clients, at: mosaic}]}]
guards:
  approve:
    - {approvers: 2}
    - {playbook: [ofboard]}
    - {class: [normal, fast], exempt: [none]}
    - {on: [user.terminated], then: proceed}
    - {on: [user.terminated], expires: never}
    - {on: [user.terminated], when: "event.data.client_id == ''"}
`},
		{"brakes", `playbooks: []
guards:
  brake:
    - {on: [user.terminated], max: 5%, per: 1h, then: hold}
    - {on: [user.terminated], max: 5, percent_of: 90, per: 1h, then: hold}
    - {on: [user.terminated], max: 0%, percent_of: 90, per: 1h, then: hold}
    - {on: [user.terminated], max: 101%, percent_of: 90, per: 1h, then: hold}
    - {on: [user.terminated], max: many, percent_of: 0, per: 1h, then: hold}
    - {on: [user.terminated], max: 5%, percent_of: {count: users, at: okta}, per: 1h, then: hold}
    - {on: [user.terminated, app.retired], max: 5, by: event.data.reason, per: 1h, then: hold}
    - {on: [user.terminated], max: 5, by: event.time, per: 1h, then: hold}
    - {on: [user.terminated], max: 5, sources: [], per: 1h, then: hold}
    - {on: [user.terminated], per: 1h, then: hold}
`},
		{"protected groups", `playbooks: []
guards:
  protected:
    - {when: "event.data.user.departmnt == 'board'"}
    - {when: "event.data.user.email == ''", on: [user.terminated, client.compromised, user.left]}
    - {when: "event.subject"}
    - {when: "${{ true }}", on: [user.terminated]}
    - {when: "event.data.client_id == 'x'"}
`},
		{"faults of both readings", "playbooks:\n  - {name: a, on: [user.terminated], wen: x, when: evnt, actions: [{step: s, do: okta.suspend, at: okt}]}\n"},
	} {
		_, err := compile(c.text)
		var faults config.Faults
		if !errors.As(err, &faults) {
			t.Errorf("%s: got %v", c.name, err)
			continue
		}
		fmt.Fprintf(&b, "== %s\n%v\n", c.name, err)
	}
	golden(t, "faults.golden", b.String())
}

// FuzzCompile feeds any text to the compiler of conditions: it may refuse it, and must neither panic nor hang, nor may
// what it accepts.
func FuzzCompile(f *testing.F) {
	for _, s := range []string{
		"event.data.user.email.endsWith('@acme.example')", "has(event.raw.x)", "event.raw.l.exists(x, x == 1)",
		"event.emial", "((((", "'\\u00e4' == event.id", "event.time > timestamp('2026-01-01T00:00:00Z')", "{'a': 1}.a == 1",
		"[1,2].map(x, x * 2).size() == 2", "event.data", "dyn(event).x", "type(event) == event",
	} {
		f.Add(s)
	}
	env, err := newEnvironment("user.terminated")
	if err != nil {
		f.Fatal(err)
	}
	e := event(f, "user.terminated", `{"user":{"email":"m@a.example"},"l":[1,2]}`)
	f.Fuzz(func(t *testing.T, source string) {
		p, faults := env.condition(config.Expr{Source: source})
		v, found := env.value(config.Value{Expr: &config.Expr{Source: source}})
		if p == nil && len(faults) == 0 || v.expr == nil && len(found) == 0 {
			t.Fatal("neither a program nor a fault")
		}
		s := &Set{shapes: map[string]shape{e.Name(): env.shape}, books: map[string][]book{e.Name(): {{name: "p", when: p}}}}
		if len(faults) == 0 {
			_, _ = s.Plan(e)
		}
		s.books[e.Name()] = []book{{name: "p", steps: []step{{name: "s", with: value{fields: map[string]value{"v": v}}}}}}
		if len(found) == 0 {
			_, _ = s.Plan(e)
		}
	})
}
