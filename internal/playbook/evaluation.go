package playbook

import (
	"context"
	"errors"
	"math"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"

	"keyturn/internal/config"
)

// maxSpent bounds what all expressions of one plan may cost together, in CEL's units: about a second. An ordinary
// condition costs some ten units.
const maxSpent = 2 * maxCost

// maxTime ends the evaluation of a plan that the cost did not. It is far above what the cost allows even on a machine
// that is busy, so that it never decides by itself what a plan is.
const maxTime = 10 * time.Second

const tooCostly = "takes too long for this event: make it simpler"

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
		err = p.fault(tooCostly)
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
	out, details, err := p.run.ContextEval(e.ctx, e)
	spent := uint64(maxCost)
	if c := details.ActualCost(); c != nil {
		spent = *c
	}
	enough := e.spend(spent)
	var inner config.Faults
	switch {
	case errors.As(err, &inner):
		return nil, inner
	case err != nil:
		return nil, p.fault(cause(err.Error(), p.expr.Source))
	case !enough:
		return nil, p.fault(tooCostly)
	}
	return out, nil
}

// eval evaluates an expression that has no variables, and nothing beside it.
func (p *program) eval(event any) (ref.Val, error) {
	ctx, cancel := context.WithTimeout(context.Background(), maxTime)
	defer cancel()
	return newBudget(ctx).evaluate(event, nil).eval(p)
}

// weight is the size of a value with everything in it, as CEL counts costs: one for each element, a tenth for each
// character. Variables that hold each other several times grow by doubling, at no cost of their own: whoever went
// through such a value would be at it for ever.
func weight(v ref.Val) uint64 {
	sizes := types.NewSizeCalculator(types.SizeCalculatorMaxDepth(math.MaxInt32), types.SizeCalculatorMaxTraversal(maxCost))
	return uint64(sizes.AggregateSize(v))
}
