package expr

import (
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// prices is what calls cost of which the library knows no price: its own functions where their arguments are untyped,
// as all is that a sender adds, and functions of ours. Without it such a call costs one, however long the text is that
// it goes through. The prices are the library's own for typed arguments (cel.dev/cel-go, common/cost, standard.go).
type prices struct {
	library map[string]cost.FunctionTracker
}

func newPrices() prices { return prices{cost.StandardOverloadTrackers()} }

// CallCost implements the library's ActualCostEstimator; nil leaves the price to the library.
func (p prices) CallCost(function, overload string, args []ref.Val, _ ref.Val) *uint64 {
	if _, known := p.library[overload]; known || function == overloads.Size {
		return nil
	}
	price := uint64(1)
	switch {
	case function == overloads.Matches && len(args) == 2:
		price += (length(args[0])/10 + 1) * (length(args[1])/4 + 1)
	case function == operators.In && len(args) == 2:
		price += length(args[0])/10 + entries(args[1])
	default:
		for _, arg := range args {
			price += length(arg) / 10
		}
	}
	return &price
}

// length is the length of a text in bytes; 0 for anything else.
func length(v ref.Val) uint64 {
	switch x := v.(type) {
	case types.String:
		return uint64(len(x))
	case types.Bytes:
		return uint64(len(x))
	}
	return 0
}

// entries is how many elements may have to be looked at to find one in a list; a map finds it at once.
func entries(v ref.Val) uint64 {
	list, ok := v.(traits.Lister)
	if !ok {
		return 0
	}
	n, ok := list.Size().(types.Int)
	if !ok || n < 0 {
		return 0
	}
	return uint64(n)
}
