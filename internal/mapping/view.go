package mapping

import (
	"reflect"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"keyturn/internal/events"
)

// view is an object of a body as expressions see it: a map without a copy, that is gone through in the order of its
// names.
type view struct{ of *events.Object }

var _ traits.Mapper = view{}

// Find finds the member that a text names.
func (v view) Find(key ref.Val) (ref.Val, bool) {
	name, ok := key.(types.String)
	if !ok {
		return nil, false
	}
	found, ok := v.of.Get(string(name))
	if !ok {
		return nil, false
	}
	return inOrder{}.NativeToValue(found), true
}

// Get is Find, and an error where there is no such member.
func (v view) Get(key ref.Val) ref.Val {
	if found, ok := v.Find(key); ok {
		return found
	}
	return types.ValOrErr(nil, "no such key: %v", key)
}

// Contains reports whether there is a member of that name.
func (v view) Contains(key ref.Val) ref.Val {
	_, found := v.Find(key)
	return types.Bool(found)
}

// Iterator gives the names in their order.
func (v view) Iterator() traits.Iterator {
	names := make([]ref.Val, 0, v.of.Len())
	for name := range v.of.All() {
		names = append(names, types.String(name))
	}
	return types.NewRefValList(inOrder{}, names).Iterator()
}

// Size counts the members.
func (v view) Size() ref.Val { return types.Int(v.of.Len()) }

// IsZeroValue reports whether there are no members.
func (v view) IsZeroValue() bool { return v.of.Len() == 0 }

// Equal compares the members, as the maps of the library do. Objects of other sizes differ before any is looked at.
func (v view) Equal(other ref.Val) ref.Val {
	theirs, ok := other.(traits.Mapper)
	if !ok || theirs.Size() != v.Size() {
		return types.False
	}
	for name, one := range v.of.All() {
		another, found := theirs.Find(types.String(name))
		if !found || types.Equal(inOrder{}.NativeToValue(one), another) == types.False {
			return types.False
		}
	}
	return types.True
}

// ConvertToNative gives a map of Go.
func (v view) ConvertToNative(t reflect.Type) (any, error) { return v.copied().ConvertToNative(t) }

// ConvertToType gives the object itself, or its type.
func (v view) ConvertToType(t ref.Type) ref.Val {
	if t == types.MapType {
		return v
	}
	return v.copied().ConvertToType(t)
}

// Type is that of every map.
func (v view) Type() ref.Type { return types.MapType }

// Value is the object.
func (v view) Value() any { return v.of }

// copied is the object as a map of the library, for what expressions hardly ever do.
func (v view) copied() traits.Mapper {
	m := make(map[string]any, v.of.Len())
	for name, one := range v.of.All() {
		m[name] = one
	}
	return types.NewStringInterfaceMap(inOrder{}, m)
}
