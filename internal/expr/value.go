package expr

import (
	"encoding/json"
	"errors"
	"fmt"
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

// Plain turns what an expression gave into the types of encoding/json. A part of an event keeps the members that the
// catalogue does not name. What is larger than so many bytes is an error: a short expression can name one long text a
// million times.
func Plain(v ref.Val, most int) (any, error) {
	m := maker{most: most, room: most}
	return m.plain(v)
}

// maker makes plain values as long as there is room.
type maker struct{ most, room int }

func (m *maker) plain(v ref.Val) (any, error) {
	switch x := v.(type) {
	case types.String:
		return m.take(string(x), len(x))
	case types.Bytes:
		return m.take([]byte(x), len(x))
	case types.Null:
		return m.take(nil, 1)
	case types.Bool, types.Int, types.Uint:
		return m.take(x.Value(), 1)
	case types.Double:
		if f := float64(x); !math.IsNaN(f) && !math.IsInf(f, 0) {
			return m.take(f, 1)
		}
		return nil, errors.New("is no number that can be written")
	case types.Timestamp:
		return m.take(x.UTC().Format(time.RFC3339Nano), 1)
	case types.Duration:
		return m.take(x.Duration.String(), 1)
	case traits.Mapper:
		return m.mapping(x)
	case traits.Lister:
		return m.list(x)
	}
	native := v.Value()
	if t := reflect.TypeOf(native); t != nil && (t.Kind() == reflect.Struct || t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Struct) {
		if _, isError := native.(error); !isError {
			b, err := json.Marshal(native)
			if err != nil {
				return nil, errors.New("cannot be written as JSON")
			}
			return m.take(json.RawMessage(b), len(b))
		}
	}
	return nil, errors.New("is of a type that no value can have here")
}

// take gives a value that needs so many bytes.
func (m *maker) take(v any, n int) (any, error) {
	if m.room -= n; m.room < 0 {
		return nil, fmt.Errorf("is larger than %d bytes", m.most)
	}
	return v, nil
}

func (m *maker) mapping(x traits.Mapper) (any, error) {
	out := map[string]any{}
	if _, err := m.take(nil, 2); err != nil {
		return nil, err
	}
	for it := x.Iterator(); it.HasNext() == types.True; {
		key := it.Next()
		name, ok := key.Value().(string)
		if !ok {
			return nil, errors.New("has a key that is no text")
		}
		if _, err := m.take(nil, len(name)); err != nil {
			return nil, err
		}
		field, err := m.plain(x.Get(key))
		if err != nil {
			return nil, err
		}
		out[name] = field
	}
	return out, nil
}

func (m *maker) list(x traits.Lister) (any, error) {
	out := []any{}
	if _, err := m.take(nil, 2); err != nil {
		return nil, err
	}
	for it := x.Iterator(); it.HasNext() == types.True; {
		item, err := m.plain(it.Next())
		if err != nil {
			return nil, err
		}
		out = append(out, item)
	}
	return out, nil
}
