package playbook

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestParametersHaveForms: a value that a kind can never take is a fault of the file; where only an event tells, it is
// not.
func TestParametersHaveForms(t *testing.T) {
	const head = "playbooks:\n  - name: p\n    on: [user.terminated]\n    variables: {n: size(event.id), any: event.raw.x}\n    actions:\n"
	text := head
	for i, with := range []string{
		`user: "${{ event.data.user }}", flag: true, word: a, text: x`,
		`user: {email: x}, flag: "${{ event.id == '' }}", word: "${{ event.id }}", text: "${{ event.data.reason }}"`,
		`user: "${{ event.raw.user }}", flag: "${{ variables.any }}", word: "${{ variables.any }}", text: null`,
		`user: "${{ {'email': 'x'} }}"`,
		`user: "${{ event.data.user.email }}", flag: "yes", word: c, text: 1`,
		`user: [x], flag: "${{ variables.n }}", word: ["a"], text: "${{ event.time }}"`,
		`user: true, flag: 0, word: "${{ event.data.user }}", text: {x: 1}`,
	} {
		text += fmt.Sprintf("      - {step: s%d, do: okta.test, at: okta, with: {%s}}\n", i, with)
	}
	kind := Kind{Name: "okta.test", Parameters: []Parameter{
		{Name: "user", Form: Object}, {Name: "flag", Form: Flag}, {Name: "word", Form: Text, Words: []string{"a", "b"}}, {Name: "text", Form: Text},
	}}
	_, err := Compile(read(t, text), []Kind{kind})
	var got []string
	for _, line := range strings.Split(fmt.Sprint(err), "\n") {
		_, what, _ := strings.Cut(line, "playbooks[0].")
		got = append(got, what)
	}
	want := []string{
		"actions[4].with.user: is text, where a mapping is wanted",
		"actions[4].with.flag: is text, where true or false is wanted",
		`actions[4].with.word: is none of the possible values: did you mean "a"?`,
		"actions[4].with.text: is a number, where text is wanted",
		"actions[5].with.user: is a list, where a mapping is wanted",
		"actions[5].with.flag: is a number, where true or false is wanted",
		"actions[5].with.word: is a list, where text is wanted",
		"actions[5].with.text: is a time, where text is wanted",
		"actions[6].with.user: is true or false, where a mapping is wanted",
		"actions[6].with.flag: is a number, where true or false is wanted",
		"actions[6].with.word: is a mapping, where text is wanted",
		"actions[6].with.text: is a mapping, where text is wanted",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// TestMembersOfParameters: of a mapping that nobody would read, and of one that lacks everything, the file says so.
func TestMembersOfParameters(t *testing.T) {
	text := "playbooks:\n  - name: p\n    on: [user.terminated]\n    actions:\n"
	for i, user := range []string{
		`"${{ event.data.user }}"`, `"${{ event.raw }}"`, `"${{ {'emial': 'x'} }}"`,
		`{email: "${{ event.data.user.email }}", login: null}`, `{email: "${{ event.raw.mail }}"}`, `null`,
		`{emial: x}`, `{email: "${{ event.time }}", login: 1, tags: x}`, `{}`, `{email: null}`, `"${{ event.data }}"`, `"${{ event }}"`,
	} {
		text += fmt.Sprintf("      - {step: s%d, do: okta.test, at: okta, with: {user: %s}}\n", i, user)
	}
	kind := Kind{Name: "okta.test", Parameters: []Parameter{
		{Name: "user", Form: Object, Fields: []Parameter{{Name: "email", Form: Text}, {Name: "login", Form: Text}, {Name: "tags", Form: List}}}}}
	_, err := Compile(read(t, text), []Kind{kind})
	want := `c/playbooks.yaml:11:59: playbooks[0].actions[6].with.user.emial: nothing of user is called so: did you mean "email"?
c/playbooks.yaml:12:66: playbooks[0].actions[7].with.user.email: is a time, where text is wanted
c/playbooks.yaml:12:94: playbooks[0].actions[7].with.user.login: is a number, where text is wanted
c/playbooks.yaml:12:103: playbooks[0].actions[7].with.user.tags: is text, where a list is wanted
c/playbooks.yaml:13:52: playbooks[0].actions[8].with.user: is empty: give one of email, login, tags
c/playbooks.yaml:14:52: playbooks[0].actions[9].with.user: is empty: give one of email, login, tags
c/playbooks.yaml:15:59: playbooks[0].actions[10].with.user: has none of email, login, tags: write ${{ event.data.user }}
c/playbooks.yaml:16:59: playbooks[0].actions[11].with.user: has none of email, login, tags: give what has one`
	if diff := cmp.Diff(want, fmt.Sprint(err)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}
