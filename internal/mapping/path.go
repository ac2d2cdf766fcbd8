package mapping

import (
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// path is an expression that only goes from a name to a member of a member: most that a mapping says is one, or text()
// of one, or one with orValue. What it gives is what the language gives; whatever is not simply there is left to it,
// and so is what to say about that. FuzzPath holds the two against each other.
type path struct {
	root    string
	steps   []pathStep
	orValue bool // an expression stands behind it for what is not there
	text    bool
}

type pathStep struct {
	name     string
	optional bool
}

// newPath gives the path that an expression is; nil when it is another kind of expression.
func newPath(e ast.Expr) *path {
	p := &path{}
	if call := e; call.Kind() == ast.CallKind && call.AsCall().FunctionName() == "text" && len(call.AsCall().Args()) == 1 {
		p.text, e = true, call.AsCall().Args()[0]
	}
	if e.Kind() == ast.CallKind && e.AsCall().IsMemberFunction() && e.AsCall().FunctionName() == "orValue" {
		p.orValue, e = true, e.AsCall().Target()
	}
	if !p.from(e) || len(p.steps) == 0 {
		return nil
	}
	return p
}

// from adds the steps of an expression, the first one first.
func (p *path) from(e ast.Expr) bool {
	switch e.Kind() {
	case ast.IdentKind:
		p.root = e.AsIdent()
		return true
	case ast.SelectKind:
		s := e.AsSelect()
		if s.IsTestOnly() || !p.from(s.Operand()) {
			return false
		}
		p.steps = append(p.steps, pathStep{name: s.FieldName()})
		return true
	case ast.CallKind:
		call := e.AsCall()
		if call.FunctionName() != operators.OptSelect || len(call.Args()) != 2 || call.Args()[1].Kind() != ast.LiteralKind || !p.from(call.Args()[0]) {
			return false
		}
		name, ok := call.Args()[1].AsLiteral().(types.String)
		p.steps = append(p.steps, pathStep{string(name), true})
		return ok
	}
	return false
}

// walk gives what the path leads to; ok is false when the language has to be asked.
func (p *path) walk(s *scope) (out ref.Val, ok bool) {
	at, _ := s.ResolveName(p.root)
	optional, isOptional := at.(*types.Optional)
	if isOptional {
		if !optional.HasValue() {
			return p.end(types.OptionalNone)
		}
		at = optional.GetValue()
	}
	for _, step := range p.steps {
		isOptional = isOptional || step.optional
		o, isObject := at.(view)
		if !isObject {
			return nil, false
		}
		found, ok := o.of.Get(step.name)
		switch {
		case ok:
			at = inOrder{}.NativeToValue(found)
		case isOptional:
			return p.end(types.OptionalNone)
		default:
			return nil, false
		}
	}
	if isOptional {
		return p.end(types.OptionalOf(at.(ref.Val)))
	}
	return p.end(at.(ref.Val))
}

// end applies what stands around the path.
func (p *path) end(v ref.Val) (ref.Val, bool) {
	if p.orValue {
		optional, ok := v.(*types.Optional)
		if !ok || !optional.HasValue() {
			return nil, false
		}
		v = optional.GetValue()
	}
	if !p.text {
		return v, true
	}
	s, ok := textOf(v)
	return types.String(s), ok
}
