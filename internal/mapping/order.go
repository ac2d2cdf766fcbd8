package mapping

import (
	"slices"
	"strings"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"keyturn/internal/events"
)

// inOrder adapts what expressions see so that the members of an object are gone through in the order of their names.
// By itself a map of Go has another order every time: what an expression makes of it, an id above all, would differ
// from a delivery to its repeat. A map that is written in the expression itself has no order: nothing is gained by going
// through one.
type inOrder struct{}

// NativeToValue implements types.Adapter.
func (a inOrder) NativeToValue(v any) ref.Val {
	switch x := v.(type) {
	case *events.Object:
		return view{x}
	case string:
		return types.String(x)
	case map[string]any:
		return object{types.NewStringInterfaceMap(a, x)}
	case map[ref.Val]ref.Val:
		return object{types.NewRefValMap(a, x)}
	case []any:
		return types.NewDynamicList(a, x)
	}
	return types.DefaultTypeAdapter.NativeToValue(v)
}

// object is a map that is gone through in order.
type object struct{ traits.Mapper }

// Iterator gives the names in their order.
func (o object) Iterator() traits.Iterator {
	var names []ref.Val
	for it := o.Mapper.Iterator(); it.HasNext() == types.True; {
		names = append(names, it.Next())
	}
	slices.SortFunc(names, before)
	return types.NewRefValList(inOrder{}, names).Iterator()
}

// IsZeroValue reports whether there are no members.
func (o object) IsZeroValue() bool { return o.Size() == types.IntZero }

// before orders names: those of one kind by what they are, others by their kind.
func before(a, b ref.Val) int {
	if c, ok := a.(traits.Comparer); ok {
		if n, ok := c.Compare(b).(types.Int); ok {
			return int(n)
		}
	}
	return strings.Compare(a.Type().TypeName(), b.Type().TypeName())
}
