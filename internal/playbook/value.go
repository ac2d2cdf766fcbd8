package playbook

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"keyturn/internal/config"
	"keyturn/internal/expr"
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
		p, faults := e.compile(*c.Expr)
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

// equals reports whether two values of one playbook, for one type of event, are the same for every event.
func (v value) equals(o value) bool {
	switch {
	case v.expr != nil && o.expr != nil:
		return v.expr.Source() == o.expr.Source()
	case v.expr != nil || o.expr != nil || (v.fields == nil) != (o.fields == nil) || (v.list == nil) != (o.list == nil):
		return false
	case v.fields != nil:
		return maps.EqualFunc(v.fields, o.fields, value.equals)
	case v.list != nil:
		return slices.EqualFunc(v.list, o.list, value.equals)
	}
	return reflect.DeepEqual(v.literal, o.literal)
}

// resolve gives the value for one event, in the types of encoding/json.
func (v value) resolve(e *evaluation) (any, error) {
	switch {
	case v.expr != nil:
		out, err := e.eval(v.expr)
		if err != nil {
			return nil, err
		}
		plain, err := expr.Plain(out, maxWith)
		if err != nil {
			return nil, v.expr.Fault(err.Error())
		}
		return plain, nil
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
