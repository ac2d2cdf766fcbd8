// Package expr is what all of Keyturn's expressions have in common: CEL that is bounded in cost and in time, whose
// faults say where in a file they stand, and whose errors repeat nothing of what was looked at.
//
// It is pure: an expression sees what it is given, and nothing else.
package expr

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types/ref"

	"keyturn/internal/config"
)

// Bounds of an expression: those that Kubernetes sets for its own (k8s.io/apiserver, pkg/apis/cel), where a cost of
// one million is about a tenth of a second.
const (
	maxExpression = 4096      // characters
	maxRecursion  = 50        // nested operators and calls
	maxNesting    = 2         // comprehensions within comprehensions
	MaxCost       = 1_000_000 // of one evaluation, in CEL's units
	checkEvery    = 100       // steps of a comprehension between two looks at the clock
)

// TooCostly is what is wrong with an expression that its bounds ended.
const TooCostly = "takes too long for this event: make it simpler"

// MaxTime ends evaluations that their cost did not. It is far above what a million units take even on a machine that
// is busy, so that it never decides by itself what becomes of an event.
const MaxTime = 10 * time.Second

// Limits bounds what can be compiled.
func Limits() []cel.EnvOption {
	return []cel.EnvOption{
		cel.ParserExpressionSizeLimit(maxExpression),
		cel.ParserRecursionLimit(maxRecursion),
		cel.ASTValidators(cel.ValidateRegexLiterals(), cel.ValidateDurationLiterals(), cel.ValidateTimestampLiterals(),
			cel.ValidateComprehensionNestingLimit(maxNesting)),
	}
}

// Program is one expression, ready to be evaluated.
type Program struct {
	Type *cel.Type // what it gives, as far as the compiler knows

	ast   *ast.AST
	loops bool // it goes through something: only then can it run on without a call, and be interrupted
	run   cel.Program
	expr  config.Expr
}

// Compile compiles an expression. explain puts an error of the compiler into words; nil = Message.
func Compile(env *cel.Env, x config.Expr, explain func(*common.Error) string) (*Program, config.Faults) {
	checked, issues := env.Compile(x.Source)
	if issues.Err() != nil {
		return nil, faults(x, issues.Errors(), explain)
	}
	run, err := env.Program(checked, cel.CostLimit(MaxCost), cel.CostTracking(newPrices()), cel.InterruptCheckFrequency(checkEvery))
	if err != nil {
		return nil, config.Faults{{Position: x.At, What: "cannot be compiled: " + err.Error()}}
	}
	loops := len(ast.MatchDescendants(ast.NavigateAST(checked.NativeRep()), ast.KindMatcher(ast.ComprehensionKind))) > 0
	return &Program{Type: checked.OutputType(), ast: checked.NativeRep(), loops: loops, run: run, expr: x}, nil
}

// faults puts the compiler's errors where they stand in the file.
func faults(x config.Expr, errs []*common.Error, explain func(*common.Error) string) config.Faults {
	if explain == nil {
		explain = Message
	}
	var list config.Faults
	for _, err := range errs {
		list = append(list, config.Fault{Position: x.Place(err.Location.Line(), err.Location.Column()), What: explain(err)})
	}
	return list
}

// Message is what the compiler says, on one line.
func Message(err *common.Error) string {
	return strings.ReplaceAll(strings.TrimSpace(err.Message), "\n", " ")
}

// Want reports an expression that cannot give a type; one whose type shows only when it is evaluated may. advice says
// what to do.
func (p *Program) Want(t *cel.Type, advice string) config.Faults {
	if p.Type.IsExactType(t) || p.Type.IsExactType(cel.DynType) {
		return nil
	}
	return config.Faults{{Position: p.expr.At, What: fmt.Sprintf("is %s, %s", p.Type, advice)}}
}

// Eval evaluates. ctx must have a deadline of at most MaxTime; vars is what cel.Program takes for variables. The error
// is config.Faults: it says where, and repeats nothing of what was looked at. A variable may fail with such an error of
// its own, which then is the expression's.
func (p *Program) Eval(ctx context.Context, vars any) (ref.Val, error) {
	out, _, err := p.Spend(ctx, vars)
	return out, err
}

// Spend evaluates like Eval, and says what it cost, in CEL's units.
func (p *Program) Spend(ctx context.Context, vars any) (ref.Val, uint64, error) {
	var out ref.Val
	var details *cel.EvalDetails
	var err error
	if p.loops {
		out, details, err = p.run.ContextEval(ctx, vars)
	} else {
		out, details, err = p.run.Eval(vars) // the clock is only looked at in loops
	}
	spent := uint64(MaxCost)
	if c := details.ActualCost(); c != nil {
		spent = *c
	}
	if inner, ok := errors.AsType[config.Faults](err); ok {
		return nil, spent, inner
	}
	if err != nil {
		return nil, spent, p.Fault(cause(err.Error(), p.expr.Source))
	}
	return out, spent, nil
}

// Fault is what is wrong with the expression, with its place. Its error is config.Faults.
func (p *Program) Fault(what string) error {
	return config.Faults{{Position: p.expr.At, What: what}}.Err()
}

// At is where the expression stands.
func (p *Program) At() config.Position { return p.expr.At }

// Loops reports whether the expression goes through something. Only then Eval looks at its ctx, which may be nil
// otherwise.
func (p *Program) Loops() bool { return p.loops }

// Tree is the expression as the compiler understands it.
func (p *Program) Tree() *ast.AST { return p.ast }

// Source is the expression's text.
func (p *Program) Source() string { return p.expr.Source }

var noSuchKey = regexp.MustCompile(`no such key: (.+)`)

// cause keeps of an evaluation's error what the expression itself says. The rest may quote what was looked at.
func cause(message, source string) string {
	if m := noSuchKey.FindStringSubmatch(message); m != nil {
		if key := strings.TrimSpace(m[1]); strings.Contains(source, key) {
			return "no such key: " + key + ": ask with has() first"
		}
		return "no such key: ask with has() first"
	}
	for _, known := range []string{"no such overload", "division by zero", "modulus by zero", "index out of bounds", "integer overflow", "not JSON", "neither a day nor a time", "neither a text nor a whole number"} {
		if strings.Contains(message, known) {
			return known
		}
	}
	if strings.Contains(message, "cost limit") || strings.Contains(message, "interrupted") {
		return TooCostly
	}
	return "cannot be evaluated for this event"
}
