package expr

import (
	"context"
	"strings"
	"testing"

	"cel.dev/cel-go/cel"

	"keyturn/internal/config"
)

// TestUntypedTextHasAPrice: going through text that a sender wrote costs what it does for typed text, also where the
// library knows no price.
func TestUntypedTextHasAPrice(t *testing.T) {
	env, err := cel.NewEnv(append(Limits(), LowerASCII(), cel.Variable("body", cel.DynType), cel.Variable("typed", cel.StringType))...)
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", 100_000)
	vars := map[string]any{"body": map[string]any{"t": long, "l": []any{1, 2, 3}}, "typed": long}
	for source, least := range map[string]uint64{
		"body.t + body.t == 'x'":      20_000,
		"typed + typed == 'x'":        20_000,
		"body.t.contains('y')":        1_000,
		"body.t.matches('^(x|y)*z$')": 20_000,
		"typed.lowerAscii() == 'x'":   10_000,
		"body.t.size() == 1":          1,
		"4 in body.l":                 3,
	} {
		p, faults := Compile(env, config.Expr{Source: source}, nil)
		if faults != nil {
			t.Fatal(faults)
		}
		_, spent, err := p.Spend(context.Background(), vars)
		if err != nil || spent < least || spent > 3*least+20 {
			t.Errorf("%s: cost %d, want about %d (%v)", source, spent, least, err)
		}
	}
}

// TestPlainHasABound: what an expression makes ends where its reader has no more room.
func TestPlainHasABound(t *testing.T) {
	env, err := cel.NewEnv(cel.Variable("body", cel.DynType))
	if err != nil {
		t.Fatal(err)
	}
	vars := map[string]any{"body": map[string]any{"t": strings.Repeat("x", 1000), "l": make([]any, 1000)}}
	for source, fits := range map[string]bool{"body.t": true, "body.l.map(x, body.t)": false, "body.l.map(x, [[]])": false, "{body.t: 1}": true} {
		p, faults := Compile(env, config.Expr{Source: source}, nil)
		if faults != nil {
			t.Fatal(faults)
		}
		v, err := p.Eval(context.Background(), vars)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Plain(v, 2000); (err == nil) != fits {
			t.Errorf("%s: got %v", source, err)
		}
	}
}
