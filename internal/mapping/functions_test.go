package mapping

import (
	"context"
	"testing"

	"keyturn/internal/config"
	"keyturn/internal/expr"
)

// TestFunctions: what expressions can ask beside the language's own.
func TestFunctions(t *testing.T) {
	env, err := newEnv()
	if err != nil {
		t.Fatal(err)
	}
	body, err := ParseJSON([]byte(`{"b": 2, "a": {"x": null}, "c": [1], "day": "2026-12-31", "f": 1.5, "n": null, "t": "Jo"}`))
	if err != nil {
		t.Fatal(err)
	}
	for source, want := range map[string]string{
		`entries(body).map(e, e.key) == ["a", "b", "c", "day", "f", "n", "t"] ? "in order" : "not"`: "in order",
		`text(first(entries(body.a)).?key)`:    "x",
		`text(first(entries(body.a)).?value)`:  "",
		`text(size(entries({})))`:              "0",
		`entries(body.c)`:                      "!no such overload",
		`entries({1: 2})`:                      "!cannot be evaluated for this event",
		`day(body.day)`:                        "2026-12-31",
		`day("2026-12-31T00:00:00Z")`:          "2026-12-31",
		`day("2026-12-31T23:30:00.125-11:00")`: "2026-12-31",
		`day("2026-12-31T00:00:00")`:           "2026-12-31",
		`day("2026-12-31 00:00:00")`:           "2026-12-31",
		`day("2026-12-31-08:00")`:              "2026-12-31",
		`day("2026-12-31Z")`:                   "2026-12-31",
		`day("")`:                              "",
		`day("31.12.2026")`:                    "!neither a day nor a time",
		`day("2026-02-30")`:                    "!neither a day nor a time",
		`day(body.n)`:                          "!no such overload",
		`text(body.t)`:                         "Jo",
		`text(body.b)`:                         "2",
		`text(body.n)`:                         "",
		`text(body.?nothing)`:                  "",
		`text(body.?n)`:                        "",
		`text(body.?nothing.?below)`:           "",
		`text(body.f)`:                         "!neither a text nor a whole number",
		`text(body.c)`:                         "!neither a text nor a whole number",
		`text(body.nothing)`:                   "!no such key: nothing: ask with has() first",
	} {
		p, faults := expr.Compile(env, config.Expr{Source: source}, nil)
		if p == nil {
			t.Errorf("%s: %v", source, faults.Err())
			continue
		}
		var got string
		out, err := p.Eval(context.Background(), map[string]any{nameBody: inOrder{}.NativeToValue(body)})
		if err != nil {
			got = "!" + whatOf(err)
		} else {
			got, _ = textOf(out)
		}
		if got != want {
			t.Errorf("%s = %q, want %q", source, got, want)
		}
	}
}

// whatOf is what an error says, without where.
func whatOf(err error) string {
	if faults, ok := err.(config.Faults); ok && len(faults) == 1 {
		return faults[0].What
	}
	return err.Error()
}
