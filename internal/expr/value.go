package expr

import (
	"errors"
	"math"
	"reflect"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// LowerASCII adds text.lowerAscii(), named as in CEL's own library of strings: an identifier is compared without
// regard to case. The rest of that library can make texts grow without a cost.
func LowerASCII() cel.EnvOption {
	return cel.Function("lowerAscii", cel.MemberOverload("string_lower_ascii", []*cel.Type{cel.StringType}, cel.StringType,
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

// Plain turns what an expression gave into the types of encoding/json. A part of an event stays the struct that it
// is, and so keeps the members that the catalogue does not name.
func Plain(v ref.Val) (any, error) {
	switch x := v.(type) {
	case types.Null:
		return nil, nil
	case types.Bool, types.Int, types.Uint, types.String, types.Bytes:
		return x.Value(), nil
	case types.Double:
		if f := float64(x); !math.IsNaN(f) && !math.IsInf(f, 0) {
			return f, nil
		}
		return nil, errors.New("is no number that can be written")
	case types.Timestamp:
		return x.UTC().Format(time.RFC3339Nano), nil
	case types.Duration:
		return x.Duration.String(), nil
	case traits.Mapper:
		return plainMap(x)
	case traits.Lister:
		return plainList(x)
	}
	native := v.Value()
	if t := reflect.TypeOf(native); t != nil && (t.Kind() == reflect.Struct || t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Struct) {
		if _, isError := native.(error); !isError {
			return native, nil
		}
	}
	return nil, errors.New("is of a type that no value can have here")
}

func plainMap(m traits.Mapper) (any, error) {
	out := map[string]any{}
	for it := m.Iterator(); it.HasNext() == types.True; {
		key := it.Next()
		name, ok := key.Value().(string)
		if !ok {
			return nil, errors.New("has a key that is no text")
		}
		field, err := Plain(m.Get(key))
		if err != nil {
			return nil, err
		}
		out[name] = field
	}
	return out, nil
}

func plainList(l traits.Lister) (any, error) {
	out := []any{}
	for it := l.Iterator(); it.HasNext() == types.True; {
		item, err := Plain(it.Next())
		if err != nil {
			return nil, err
		}
		out = append(out, item)
	}
	return out, nil
}
