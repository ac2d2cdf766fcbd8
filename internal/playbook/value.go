package playbook

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"keyturn/internal/config"
)

// maxWith bounds the resolved parameters of one action, in bytes: a plan must fit into one record.
const maxWith = 64 << 10

// value is a parameter's value: literal, an expression, or a tree of both.
type value struct {
	literal any
	expr    *program
	list    []value
	fields  map[string]value
}

// params compiles a mapping of parameters.
func (e *environment) params(list []config.Param) (value, config.Faults) {
	v := value{fields: make(map[string]value, len(list))}
	var faults config.Faults
	for _, p := range list {
		field, found := e.value(p.Value)
		v.fields[p.Name] = field
		faults = append(faults, found...)
	}
	return v, faults
}

func (e *environment) value(c config.Value) (value, config.Faults) {
	switch {
	case c.Expr != nil:
		p, _, faults := e.compile(*c.Expr)
		return value{expr: p}, faults
	case c.Map != nil:
		return e.params(c.Map)
	case c.List != nil:
		v := value{list: []value{}}
		var faults config.Faults
		for _, item := range c.List {
			compiled, found := e.value(item)
			v.list = append(v.list, compiled)
			faults = append(faults, found...)
		}
		return v, faults
	}
	return value{literal: c.Literal}, nil
}

// resolve gives the value for one event, in the types of encoding/json.
func (v value) resolve(e *evaluation) (any, error) {
	switch {
	case v.expr != nil:
		out, err := e.eval(v.expr)
		if err != nil {
			return nil, err
		}
		made, err := (&maker{room: maxWith}).plain(out)
		if err != nil {
			return nil, v.expr.fault(err.Error())
		}
		return made, nil
	case v.fields != nil:
		m := make(map[string]any, len(v.fields))
		for name, field := range v.fields {
			var err error
			if m[name], err = field.resolve(e); err != nil {
				return nil, err
			}
		}
		return m, nil
	case v.list != nil:
		list := make([]any, len(v.list))
		for i, item := range v.list {
			var err error
			if list[i], err = item.resolve(e); err != nil {
				return nil, err
			}
		}
		return list, nil
	}
	return v.literal, nil
}

// encode resolves the parameters of an action. Keys come in the order of their names, so that the same parameters are
// the same bytes.
func (v value) encode(e *evaluation) (json.RawMessage, error) {
	if len(v.fields) == 0 {
		return nil, nil
	}
	with, err := v.resolve(e)
	if err != nil {
		return nil, err
	}
	b, err := json.Marshal(with)
	if err != nil {
		return nil, errors.New("with: cannot be written as JSON")
	}
	if len(b) > maxWith {
		return nil, fmt.Errorf("with: %d bytes, more than %d", len(b), maxWith)
	}
	return b, nil
}

// maker turns values of expressions into the types of encoding/json, and ends when they would need more room than
// parameters have: a short expression can name one long text a million times.
type maker struct{ room int }

var errTooLarge = fmt.Errorf("is larger than %d bytes", maxWith)

// plain turns what an expression gave into the types of encoding/json. A part of the event keeps the members that the
// catalogue does not name.
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
	return nil, errors.New("is of a type that no parameter can have")
}

// take gives a value that needs so many bytes.
func (m *maker) take(v any, n int) (any, error) {
	if m.room -= n; m.room < 0 {
		return nil, errTooLarge
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
