package mapping

import (
	"context"
	"testing"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types/ref"
	"github.com/google/go-cmp/cmp"

	"keyturn/internal/config"
)

// FuzzPath: what is gone through without the language is what the language gives.
func FuzzPath(f *testing.F) {
	for _, body := range []string{
		`{"a": {"b": {"c": 1}}, "t": "x"}`, `{"a": {"b": null}, "t": null}`, `{"a": "text", "t": 1.5}`, `{"a": [{"b": 1}], "t": [1]}`, `{"a": {"b": [], "size": 1}}`,
		`{"a": {"b": {"c": {"d": [1, "x", {"e": null}]}}}}`, `[]`, `null`, `7`, `{"a": {}, "t": ""}`, `{"a": null}`, `{"a": {"b": false}}`, `{"a": {"b": {"c": "\ud800"}}}`,
	} {
		f.Add([]byte(body))
	}
	programs := paths(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		tree, err := ParseJSON(body)
		if err != nil {
			return
		}
		for _, p := range programs {
			s := newScope(programsOf(programs), Input{Body: tree})
			want, err := p.Eval(context.Background(), s)
			got, ok := p.path.walk(s)
			if !ok {
				continue
			}
			if err != nil || !same(got, want) {
				t.Errorf("%s of %s = %v, the language gives %v, %v", p.Source(), body, got, want, err)
			}
		}
	})
}

// same compares values with what is in them.
func same(a, b ref.Val) bool {
	x, err := plain(a)
	y, errToo := plain(b)
	return a.Type().TypeName() == b.Type().TypeName() && a.Equal(b).Value() == true && (err == nil) == (errToo == nil) && cmp.Equal(x, y)
}

// paths compiles expressions that are paths, after a variable that may be there or not.
func paths(f *testing.F) []*program {
	env, err := newEnv()
	if err != nil {
		f.Fatal(err)
	}
	k := &compiler{env: env}
	variable := k.program(config.Expr{Source: "body.?a"}, "maybe")
	if variable == nil {
		f.Fatal(k.faults)
	}
	if k.env, err = env.Extend(cel.Variable("maybe", variable.Type)); err != nil {
		f.Fatal(err)
	}
	list := []*program{variable}
	for _, source := range []string{
		"body.a", "body.a.b", "body.a.b.c", "body.?a.b", "body.?a.?b.?c", "body.a.?b", "body.?t", "text(body.t)", "text(body.?t)", "text(body.?a.?b.c)",
		"body.?a.orValue({})", "body.?a.?b.orValue([])", "text(body.?a.orValue(''))", "maybe.b", "maybe.?b", "text(maybe.?b.?c)", "maybe.?b.orValue(1)", "body.?a.size",
	} {
		p := k.program(config.Expr{Source: source}, source)
		if p == nil || p.path == nil {
			f.Fatalf("%s is no path: %v", source, k.faults)
		}
		list = append(list, p)
	}
	for _, source := range []string{"has(body.a)", "body.a.size()", "body['a']", "body.a == 1", "text('a')", "body.a.b + 1", "text(body)", "body"} {
		if p := k.program(config.Expr{Source: source}, source); p == nil || p.path != nil {
			f.Fatalf("%s is a path: %v", source, k.faults)
		}
	}
	return list
}

// programsOf is a mapping with the first of some programs as the variable maybe.
func programsOf(list []*program) *Mapping {
	return &Mapping{vars: []variable{{name: "maybe", run: list[0]}}, index: map[string]int{"maybe": 0}}
}
