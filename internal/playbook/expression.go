package playbook

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"keyturn/internal/config"
)

// Bounds of an expression: those that Kubernetes sets for its own (k8s.io/apiserver, pkg/apis/cel), where a cost of
// one million is about a tenth of a second.
const (
	maxExpression = 4096      // characters
	maxRecursion  = 50        // nested operators and calls
	maxNesting    = 2         // comprehensions within comprehensions
	maxCost       = 1_000_000 // of one evaluation, in CEL's units
	checkEvery    = 100       // steps of a comprehension between two looks at the clock
)

// environment compiles expressions over one type of event, and over the variables of one playbook.
type environment struct {
	env       *cel.Env
	shape     shape
	fields    []string // the names that suggestions choose from
	variables []string // those of the playbook, also those that stand below what is being compiled
}

func newEnvironment(event string) (*environment, error) {
	sh, err := shapeOf(event)
	if err != nil {
		return nil, err
	}
	env, err := cel.NewEnv(append(sh.options,
		cel.ParserExpressionSizeLimit(maxExpression),
		cel.ParserRecursionLimit(maxRecursion),
		cel.ASTValidators(cel.ValidateRegexLiterals(), cel.ValidateDurationLiterals(), cel.ValidateTimestampLiterals(),
			cel.ValidateComprehensionNestingLimit(maxNesting)),
		lowerASCII(),
	)...)
	if err != nil {
		return nil, fmt.Errorf("expressions of %s: %w", event, err)
	}
	return &environment{env: env, shape: sh, fields: fieldsOf(env)}, nil
}

const lowerFunction = "lowerAscii"

// lowerASCII adds text.lowerAscii(), named as in CEL's own library of strings: an identifier is compared without
// regard to case. The rest of that library can make texts grow without a cost.
func lowerASCII() cel.EnvOption {
	return cel.Function(lowerFunction, cel.MemberOverload("string_lower_ascii", []*cel.Type{cel.StringType}, cel.StringType,
		cel.UnaryBinding(func(v ref.Val) ref.Val {
			s, ok := v.Value().(string)
			if !ok {
				return types.MaybeNoSuchOverloadErr(v)
			}
			return types.String(strings.Map(func(r rune) rune {
				if 'A' <= r && r <= 'Z' {
					return r + 'a' - 'A'
				}
				return r
			}, s))
		})))
}

// fieldsOf lists the fields of every type that can be reached from the event.
func fieldsOf(env *cel.Env) []string {
	var names []string
	seen := map[string]bool{}
	var visit func(typeName string)
	visit = func(typeName string) {
		fields, ok := env.CELTypeProvider().FindStructFieldNames(typeName)
		if !ok || seen[typeName] {
			return
		}
		seen[typeName] = true
		for _, name := range fields {
			names = append(names, name)
			if f, ok := env.CELTypeProvider().FindStructFieldType(typeName, name); ok {
				visit(f.Type.TypeName())
			}
		}
	}
	visit(eventType)
	return names
}

// program is one expression, ready to be evaluated.
type program struct {
	run  cel.Program
	expr config.Expr
}

// condition compiles an expression that must be true or false.
func (e *environment) condition(x config.Expr) (*program, config.Faults) {
	p, out, faults := e.compile(x)
	if p != nil && !out.IsExactType(cel.BoolType) && !out.IsExactType(cel.DynType) {
		return nil, config.Faults{{Position: x.At, What: "is " + out.String() + ", not true or false: compare it with something"}}
	}
	return p, faults
}

func (e *environment) compile(x config.Expr) (*program, *cel.Type, config.Faults) {
	ast, issues := e.env.Compile(x.Source)
	if issues.Err() != nil {
		return nil, nil, e.faults(x, issues.Errors())
	}
	run, err := e.env.Program(ast, cel.CostLimit(maxCost), cel.InterruptCheckFrequency(checkEvery),
		cel.CostTracking(prices{}))
	if err != nil {
		return nil, nil, config.Faults{{Position: x.At, What: "cannot be compiled: " + err.Error()}}
	}
	return &program{run: run, expr: x}, ast.OutputType(), nil
}

// faults puts the compiler's errors where they stand in the file.
func (e *environment) faults(x config.Expr, errs []*common.Error) config.Faults {
	var list config.Faults
	for _, err := range errs {
		list = append(list, config.Fault{
			Position: x.Place(err.Location.Line(), err.Location.Column()),
			What:     e.explain(x.Source, err),
		})
	}
	return list
}

var (
	undefinedField = regexp.MustCompile(`^undefined field '([^']*)'`)
	undeclaredName = regexp.MustCompile(`^undeclared reference to '([^']*)'`)
	selectedName   = regexp.MustCompile(`^\s*\.\s*(\w+)`)
)

// explain is the compiler's message on one line, and where a name does not exist the nearest one that does.
func (e *environment) explain(source string, err *common.Error) string {
	message := strings.ReplaceAll(strings.TrimSpace(err.Message), "\n", " ")
	if m := undefinedField.FindStringSubmatch(message); m != nil {
		return message + near(m[1], e.fields)
	}
	m := undeclaredName.FindStringSubmatch(message)
	if m == nil {
		return message
	}
	name, isVariable := strings.CutPrefix(m[1], variablesName+".")
	switch {
	case isVariable:
		return e.noVariable(name)
	case m[1] == variablesName:
		return e.noVariable(selected(source, err.Location))
	case strings.Contains(message, "did you mean"):
		return message
	}
	return message + near(m[1], []string{"event", variablesName})
}

// selected is the name behind the dot that follows the word at a place: what of `variables.x` the compiler leaves out.
func selected(source string, at common.Location) string {
	lines := strings.Split(source, "\n")
	if at.Line() < 1 || at.Line() > len(lines) {
		return ""
	}
	line := []rune(lines[at.Line()-1])
	if at.Column()+len(variablesName) > len(line) {
		return ""
	}
	rest := strings.Join(append([]string{string(line[at.Column()+len(variablesName):])}, lines[at.Line():]...), "\n")
	if m := selectedName.FindStringSubmatch(rest); m != nil {
		return m[1]
	}
	return ""
}

// noVariable says what is wrong with a reference to a variable.
func (e *environment) noVariable(name string) string {
	switch {
	case name == "":
		return "variables is no value by itself: write variables.NAME"
	case slices.Contains(e.variables, name):
		return "the variable " + name + " stands further down: an expression can use those above it"
	case len(e.variables) == 0:
		return "no variable " + name + ": the playbook has no variables"
	}
	return "no variable " + name + config.Suggest(name, e.variables)
}

// near is a suggestion only where one word is near; what else there is would be too long a list.
func near(word string, known []string) string {
	if s := config.Suggest(word, known); strings.Contains(s, "did you mean") {
		return s
	}
	return ""
}

func (p *program) fault(what string) error {
	return config.Faults{{Position: p.expr.At, What: what}}.Err()
}

// cause keeps of an evaluation's error what the expression itself says. The rest may quote the event.
func cause(message, source string) string {
	if m := regexp.MustCompile(`no such key: (.+)`).FindStringSubmatch(message); m != nil {
		if key := strings.TrimSpace(m[1]); strings.Contains(source, key) {
			return "no such key: " + key + ": ask with has() first"
		}
		return "no such key: ask with has() first"
	}
	for _, known := range []string{"no such overload", "division by zero", "modulus by zero", "index out of bounds", "integer overflow"} {
		if strings.Contains(message, known) {
			return known
		}
	}
	if strings.Contains(message, "cost limit") || strings.Contains(message, "interrupted") {
		return "takes too long for this event: make it simpler"
	}
	return "cannot be evaluated for this event"
}
