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
