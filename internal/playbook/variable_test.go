package playbook

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"keyturn/internal/config"
)

// TestVariables: a variable is typed, may be used in those below it, in when and in with, and is asked for only where
// its value counts.
func TestVariables(t *testing.T) {
	set := rules(t, `playbooks:
  - name: p
    on: [user.terminated, user.compromised]
    variables:
      email: event.data.user.email.lowerAscii()
      partner: variables.email.endsWith('@partner.example')
      team: event.raw.user.department
      sales: "has(event.raw.user.department) && variables.team == 'Sales'"
    when: "!variables.partner"
    actions:
      - step: s
        do: asa.revoke_clients
        at: asa
        with: {user: {email: "${{ variables.email }}"}, hostname: "${{ variables.sales ? variables.team : 'none' }}"}
`)
	for data, want := range map[string]string{
		`{"user":{"email":"M@Acme.example"}}`:                      `{"hostname":"none","user":{"email":"m@acme.example"}}`,
		`{"user":{"email":"M@Acme.example","department":"Sales"}}`: `{"hostname":"Sales","user":{"email":"m@acme.example"}}`,
		`{"user":{"email":"m@PARTNER.example"}}`:                   "",
	} {
		var got string
		if p := plan(t, set, event(t, "user.terminated", data)); len(p.Actions) > 0 {
			got = string(p.Actions[0].With)
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", data, got, want)
		}
	}
}

// TestVariableFaults: a fault of a variable is reported where the variable stands, also when an expression elsewhere
// asked for it, and once.
func TestVariableFaults(t *testing.T) {
	_, err := compile(`playbooks:
  - name: p
    on: [user.terminated]
    variables:
      Upper: "true"
      email: event.data.user.emial
      early: variables.later == 1
      later: variables.email
      number: size(event.id)
      in: "true"
      wrapped: ${{ event.id }}
      é: "true"
    when: "variables.emial == 'x' || variables.number == 'x' || varables.email == 'x' || variables == 1 || variables.later == 2"
    actions: [{step: s, do: transmit.delete_all_clients, at: mosaic}]
  - name: q
    on: [user.terminated]
    when: |
      true &&
        variables
          .x == 1
    actions: [{step: s, do: transmit.delete_all_clients, at: mosaic}]
`)
	want := strings.Join([]string{
		`c/playbooks.yaml:5:7: playbooks[0].variables.Upper: the name does not fit: use 1 to 63 lower-case letters, digits and _, beginning with a letter`,
		`c/playbooks.yaml:6:29: playbooks[0].variables.email: undefined field 'emial': did you mean "email"?`,
		`c/playbooks.yaml:7:23: playbooks[0].variables.early: the variable later stands further down: an expression can use those above it`,
		`c/playbooks.yaml:10:7: playbooks[0].variables.in: is a word of CEL itself: choose another name`,
		`c/playbooks.yaml:11:16: playbooks[0].variables.wrapped: the whole of it is an expression already: write it without ${{ }}`,
		`c/playbooks.yaml:12:7: playbooks[0].variables["é"]: the name does not fit: use 1 to 63 lower-case letters, digits and _, beginning with a letter`,
		`c/playbooks.yaml:13:21: playbooks[0].when: no variable emial: did you mean "email"?`,
		`c/playbooks.yaml:13:55: playbooks[0].when: found no matching overload for '_==_' applied to '(int, string)'`,
		`c/playbooks.yaml:13:73: playbooks[0].when: undeclared reference to 'varables.email' (did you mean 'variables.email'?)`,
		`c/playbooks.yaml:13:90: playbooks[0].when: variables is no value by itself: write variables.NAME`,
		`c/playbooks.yaml:19:9: playbooks[1].when: no variable x: the playbook has no variables`,
	}, "\n")
	if diff := cmp.Diff(want, fmt.Sprint(err)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}

	set := rules(t, `playbooks:
  - name: p
    on: [user.terminated]
    variables:
      team: event.raw.department
      sales: variables.team == 'Sales'
    when: variables.sales
    actions: [{step: s, do: transmit.delete_all_clients, at: mosaic}]
`)
	_, err = set.Plan(event(t, "user.terminated", `{"user":{"email":"m@a.example"}}`))
	var faults config.Faults
	if !errors.As(err, &faults) || faults.Error() != "c/playbooks.yaml:5:13: playbooks[0].variables.team: no such key: department: ask with has() first" {
		t.Errorf("got %v", err)
	}
}

// TestVariablesAreBounded: neither many variables nor such as hold each other again and again take longer than one
// plan may.
func TestVariablesAreBounded(t *testing.T) {
	busy, lists, texts := "", "      v0: event.raw.l\n", "      v0: event.raw.t\n"
	for i := range 49 {
		busy += fmt.Sprintf("      v%d: size(event.raw.long + event.raw.long)\n", i)
		lists += fmt.Sprintf("      v%d: \"[variables.v%d, variables.v%d]\"\n", i+1, i, i)
		texts += fmt.Sprintf("      v%d: variables.v%d + variables.v%d\n", i+1, i, i)
	}
	sum := "0"
	for i := range 30 {
		sum += fmt.Sprintf(" + variables.v%d", i)
	}
	for name, c := range map[string]struct{ variables, when string }{
		"many":  {busy, sum + " > 0"},
		"lists": {lists, "variables.v49 == [variables.v48, variables.v48]"},
		"texts": {texts, "variables.v49 == ''"},
	} {
		t.Run(name, func(t *testing.T) {
			set := rules(t, "playbooks:\n  - name: p\n    on: [user.terminated]\n    variables:\n"+c.variables+"    when: "+c.when+
				"\n    actions: [{step: s, do: transmit.delete_all_clients, at: mosaic}]\n")
			data := `{"user":{"email":"m@a.example"},"l":[[],[],[]],"t":"` + strings.Repeat("x", 100) + `","long":"` + strings.Repeat("x", 400_000) + `"}`
			if _, err := set.Plan(event(t, "user.terminated", data)); err == nil || !strings.Contains(err.Error(), "takes too long") {
				t.Errorf("got %v", err)
			}
		})
	}
}

// FuzzVariables feeds any two texts to variables, of which one uses the other twice: whatever is accepted comes to an
// end, with a value or with a fault.
func FuzzVariables(f *testing.F) {
	for _, s := range []string{"event.raw.l", "[1, 2]", "'x'", "{'a': event.raw}", "event.data", "duration('1h')", "event.raw.none"} {
		f.Add(s, "[variables.a, variables.a]")
		f.Add(s, "variables.a + variables.a")
	}
	env, err := newEnvironment("user.terminated")
	if err != nil {
		f.Fatal(err)
	}
	e := event(f, "user.terminated", `{"user":{"email":"m@a.example"},"l":[1,2]}`)
	f.Fuzz(func(t *testing.T, a, b string) {
		own, programs, faults := env.declare([]config.Variable{{Name: "a", Value: &config.Expr{Source: a}}, {Name: "b", Value: &config.Expr{Source: b}}})
		if len(faults) > 0 {
			return
		}
		when, found := own.condition(config.Expr{Source: "variables.b == variables.a || variables.b != variables.b"})
		if len(found) > 0 {
			return
		}
		s := &Set{shapes: map[string]shape{e.Name(): env.shape}, books: map[string][]book{e.Name(): {{name: "p", variables: programs, when: when}}}}
		_, _ = s.Plan(e)
	})
}
