package playbook

import (
	"runtime"
	"strings"
	"testing"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/ext"
)

// TestCostIsBounded guards against limits that are not kept, as they were not in some versions of the library
// (github.com/cel-expr/cel-go: issue 1425, a limit that tracking switched off; issues 1281 and 1309, lists that were
// made before they were paid for), or are not set for what is untyped: whatever the event holds, an evaluation comes
// to an end.
func TestCostIsBounded(t *testing.T) {
	list := "[" + strings.TrimSuffix(strings.Repeat("1,", 600), ",") + "]"
	data := `{"user":{"email":"m@a.example"},"l":[` + strings.TrimSuffix(strings.Repeat("1,", 4000), ",") + `],"t":"` + strings.Repeat("x", 100_000) + `"}`
	for _, when := range []string{
		list + ".all(a, " + list + ".all(b, a + b > 0 && [1, 2, 3, 4].size() == 4))",
		"event.raw.l.all(a, event.raw.l.map(b, a + b).size() > 0)",
		"event.raw.l.all(a, event.raw.t + 'x' != '')",
		"event.raw.l.all(a, event.raw.t.contains('y') == false)",
		"event.raw.l.all(a, event.raw.t.matches('^(x|y)*z$') == false)",
		"event.raw.l.all(a, string(event.raw.t).lowerAscii() != '')",
		"event.raw.l.all(a, !(2 in event.raw.l))",
	} {
		set := rules(t, "playbooks:\n  - name: p\n    on: [user.terminated]\n    when: \""+when+"\"\n    actions: [{step: s, do: transmit.delete_all_clients, at: mosaic}]\n")
		if _, err := set.Plan(event(t, "user.terminated", data)); err == nil || !strings.Contains(err.Error(), "takes too long") {
			t.Errorf("%.60s: got %v", when, err)
		}
	}
}

// TestLimitsOfTheLibrary: the two limits of the library that were broken once hold in the version that is linked, also
// under the options that broke them.
func TestLimitsOfTheLibrary(t *testing.T) {
	env, err := cel.NewEnv(ext.Lists(ext.ListsVersion(3)))
	if err != nil {
		t.Fatal(err)
	}
	for _, option := range []cel.EvalOption{0, cel.OptTrackState, cel.OptExhaustiveEval} {
		for source, want := range map[string]string{
			"[1, 2, 3, 4, 5, 6, 7, 8].all(a, [1, 2, 3, 4, 5, 6, 7, 8].all(b, a + b > 0))": "limit exceeded",
			"lists.range(100000000).size() > 0":                                           "exceeds maximum allowed",
		} {
			ast, issues := env.Compile(source)
			if issues.Err() != nil {
				t.Fatal(issues.Err())
			}
			run, err := env.Program(ast, cel.CostLimit(100), cel.EvalOptions(option))
			if err != nil {
				t.Fatal(err)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, _, err = run.Eval(map[string]any{})
			runtime.ReadMemStats(&after)
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s with option %d: got %v", source, option, err)
			}
			if made := after.TotalAlloc - before.TotalAlloc; made > 1<<20 {
				t.Errorf("%s with option %d: made %d bytes before it ended", source, option, made)
			}
		}
	}
}

// TestNoRanges: functions that make long lists or texts out of short ones are not there.
func TestNoRanges(t *testing.T) {
	for _, when := range []string{
		"lists.range(1000000000).size() > 0", "'x'.format([1]) == ''", "event.id.replace('', 'xxxxxxxx') == ''", "[1].flatten() == [1]",
		"cel.bind(a, [1], a + a).size() > 0", "math.greatest(1, 2) == 2", "base64.encode(b'x') == ''", "sets.contains([1], [1])",
	} {
		_, err := compile("playbooks: [{name: p, on: [user.terminated], when: \"" + when + "\", actions: [{step: s, do: transmit.delete_all_clients, at: mosaic}]}]\n")
		if err == nil || !strings.Contains(err.Error(), "undeclared reference") {
			t.Errorf("%s: got %v", when, err)
		}
	}
}
