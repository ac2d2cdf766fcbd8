package playbook

import (
	"context"
	"math"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"

	"keyturn/internal/expr"
)

// maxSpent bounds what all expressions of one plan may cost together, in CEL's units: about a second. An ordinary
// condition costs some ten units.
const maxSpent = 2 * expr.MaxCost

// budget is what the expressions that decide one plan may still cost. What is on trial has one of its own, so that it
// takes nothing away from what is done.
type budget struct {
	ctx  context.Context
	left uint64
}

func newBudget(ctx context.Context) *budget { return &budget{ctx: ctx, left: maxSpent} }

// spend takes a cost, and reports whether there was enough.
func (b *budget) spend(cost uint64) bool {
	if cost > b.left {
		b.left = 0
		return false
	}
	b.left -= cost
	return true
}

// evaluation is the evaluation of one playbook for one event. It gives expressions their names: a variable is
// evaluated when it is first asked for, and then known.
type evaluation struct {
	*budget
	event     any
	variables map[string]*program
	known     map[string]ref.Val
}

// evaluate begins the evaluation of a playbook.
func (b *budget) evaluate(event any, variables map[string]*program) *evaluation {
	return &evaluation{budget: b, event: event, variables: variables, known: map[string]ref.Val{}}
}

// ResolveName implements cel.Activation.
func (e *evaluation) ResolveName(name string) (any, bool) {
	if name == "event" {
		return e.event, true
	}
	p, ok := e.variables[name]
	if !ok {
		return nil, false
	}
	if v, ok := e.known[name]; ok {
		return v, true
	}
	v, err := e.eval(p)
	if err == nil && !e.spend(weight(v)) {
		err = p.Fault(expr.TooCostly)
	}
	if err != nil {
		v = types.WrapErr(err)
	}
	e.known[name] = v
	return v, true
}

// Parent implements cel.Activation.
func (e *evaluation) Parent() interpreter.Activation { return nil }

// eval evaluates one expression. Its error is config.Faults: it says where, which may be in a variable, and repeats
// nothing of the event.
func (e *evaluation) eval(p *program) (ref.Val, error) {
	out, spent, err := p.Spend(e.ctx, e)
	if enough := e.spend(spent); err == nil && !enough {
		err = p.Fault(expr.TooCostly)
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

// eval evaluates an expression that has no variables, and nothing beside it.
func (p *program) eval(event any) (ref.Val, error) {
	ctx, cancel := context.WithTimeout(context.Background(), expr.MaxTime)
	defer cancel()
	return newBudget(ctx).evaluate(event, nil).eval(p)
}

// weight is the size of a value with everything in it, as CEL counts costs: one for each element, a tenth for each
// character. Variables that hold each other several times grow by doubling, at no cost of their own: whoever went
// through such a value would be at it for ever.
func weight(v ref.Val) uint64 {
	sizes := types.NewSizeCalculator(types.SizeCalculatorMaxDepth(math.MaxInt32), types.SizeCalculatorMaxTraversal(expr.MaxCost))
	return uint64(sizes.AggregateSize(v))
}
