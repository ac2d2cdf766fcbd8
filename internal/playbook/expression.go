package playbook

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common"

	"keyturn/internal/config"
	"keyturn/internal/expr"
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
	env, err := cel.NewEnv(slices.Concat(sh.options, expr.Limits(), []cel.EnvOption{expr.LowerASCII()})...)
	if err != nil {
		return nil, fmt.Errorf("expressions of %s: %w", event, err)
	}
	return &environment{env: env, shape: sh, fields: fieldsOf(env)}, nil
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
type program struct{ *expr.Program }

// condition compiles an expression that must be true or false.
func (e *environment) condition(x config.Expr) (*program, config.Faults) {
	p, faults := e.compile(x)
	if p == nil {
		return nil, faults
	}
	if wrong := p.Want(cel.BoolType, "not true or false: compare it with something"); wrong != nil {
		return nil, wrong
	}
	return p, nil
}

func (e *environment) compile(x config.Expr) (*program, config.Faults) {
	p, faults := expr.Compile(e.env, x, func(err *common.Error) string { return e.explain(x.Source, err) })
	if p == nil {
		return nil, faults
	}
	return &program{p}, nil
}

var (
	undefinedField = regexp.MustCompile(`^undefined field '([^']*)'`)
	undeclaredName = regexp.MustCompile(`^undeclared reference to '([^']*)'`)
	selectedName   = regexp.MustCompile(`^\s*\.\s*(\w+)`)
)

// explain is the compiler's message on one line, and where a name does not exist the nearest one that does.
func (e *environment) explain(source string, err *common.Error) string {
	message := expr.Message(err)
	if m := undefinedField.FindStringSubmatch(message); m != nil {
		return message + cmp.Or(near(m[1], e.fields), ": what senders add to the schema stands in event.raw, behind has()")
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
