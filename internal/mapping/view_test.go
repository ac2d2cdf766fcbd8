package mapping

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"keyturn/internal/config"
	"keyturn/internal/events"
	"keyturn/internal/expr"
)

// TestView: an object of a body is to expressions what a map of the library is.
func TestView(t *testing.T) {
	env, err := newEnv()
	if err != nil {
		t.Fatal(err)
	}
	for _, source := range []string{
		"body == body", "body.a == body.b", "body.b == body.a", "body.a != body.b", "body.a == {'x': 1, 'y': [2]}", "{'x': 1.0, 'y': [2]} == body.a",
		"body.a == [1]", "body.a == null", "body.a in [body.b]", "body.b in [body.a, 1]", "body.a == body.c", "size(body)", "body.size() == body.a.size()",
		"'a' in body", "'zz' in body", "1 in body", "null in body", "body['a']", "body[1]", "body[1.0]", "body.zz", "body.?zz", "body[?'zz']",
		"body[?'a']", "body[?1]", "has(body.a)", "has(body.zz)", "has(body.a.x)", "body.map(k, k)", "body.filter(k, k > 'a')", "body.exists(k, k == 'c')",
		"body.all(k, body[k] != null)", "type(body) == map", "type(body.a) == type({})", "string(body)", "optional.ofNonZeroValue(body.e).hasValue()",
		"optional.ofNonZeroValue(body.a).hasValue()", "digest(body)", "digest(body.a, body)", "entries(body)", "[body, body.a].map(m, m.size())", "dyn(body)",
		"body ? 1 : 2", "body + body", "body < body.a", "!body", "body.a.x + 1", "duration(body.a)", "body.e == {}", "{} == body.e", "{body.a: 1}",
	} {
		p, faults := expr.Compile(env, config.Expr{Source: source}, nil)
		if p == nil {
			t.Errorf("%s: %v", source, faults)
			continue
		}
		for _, body := range []string{
			`{"a": {"x": 1, "y": [2]}, "b": {"y": [2], "x": 1.0}, "c": {"x": 1, "z": [2]}, "e": {}}`, `{"a": {"x": null}, "b": {"x": null, "y": 1}, "c": 1, "e": {"": {}}}`,
			`{"a": {"x": {"y": {"z": 1}}}, "b": {"x": {"y": {"z": 2}}}, "c": {}, "e": null}`, `{}`, `[]`, `{"a": 1, "a": {"x": 1}, "b": {"x": 2, "x": 1}}`,
			`{"z": 1, "y": 2, "x": 3, "w": 4, "v": 5, "u": 6, "t": 7, "s": 8, "r": 9, "q": 1, "p": 2, "o": 3, "n": 4, "m": 5, "c": 6, "b": {"x": 1}, "a": {"x": 1}, "a": 7, "z": null}`,
		} {
			tree, err := ParseJSON([]byte(body))
			if err != nil {
				t.Fatal(err)
			}
			got, want := given(p, tree), given(p, maps(tree))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s of %s: -map +view\n%s", source, body, diff)
			}
		}
	}
}

// given is what an expression gives for a body, or its error.
func given(p *expr.Program, body any) any {
	out, err := p.Eval(context.Background(), map[string]any{nameBody: inOrder{}.NativeToValue(body)})
	if err != nil {
		return err.Error()
	}
	got, err := plain(out)
	if err != nil {
		return err.Error()
	}
	return got
}

// maps is a tree with maps in place of objects.
func maps(tree any) any {
	switch x := tree.(type) {
	case *events.Object:
		m := map[string]any{}
		for name, one := range x.All() {
			m[name] = maps(one)
		}
		return m
	case []any:
		list := make([]any, len(x))
		for i, one := range x {
			list[i] = maps(one)
		}
		return list
	}
	return tree
}
