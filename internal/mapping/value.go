package mapping

import (
	"errors"

	"keyturn/internal/config"
	"keyturn/internal/events"
)

// maxData bounds the data of one event, in bytes.
const maxData = 900 << 10

// value is a part of the data: literal, an expression, or a tree of both.
type value struct {
	literal any
	expr    *program
	list    []value
	fields  []field // nil = no object
}

// field is a member of an object. They are kept in the order of the file, in which their faults are found.
type field struct {
	name  string
	value value
}

// params compiles the members of an object; at is its path, for a Trace.
func (k *compiler) params(list []config.Param, at string) value {
	v := value{fields: make([]field, 0, len(list))}
	for _, p := range list {
		v.fields = append(v.fields, field{p.Name, k.value(p.Value, at+"."+p.Name)})
	}
	return v
}

func (k *compiler) value(c config.Value, at string) value {
	switch {
	case c.Expr != nil:
		return value{expr: k.program(*c.Expr, at)}
	case c.Map != nil:
		return k.params(c.Map, at)
	case c.List != nil:
		v := value{list: []value{}}
		for _, item := range c.List {
			v.list = append(v.list, k.value(item, at+"[]"))
		}
		return v
	}
	return value{literal: c.Literal}
}

// each visits the expressions of a tree.
func (v value) each(visit func(*program)) {
	if v.expr != nil {
		visit(v.expr)
	}
	for _, f := range v.fields {
		f.value.each(visit)
	}
	for _, item := range v.list {
		item.each(visit)
	}
}

// encode gives the data of an event. Members come in the order of their names: the same data is the same bytes.
func (s *scope) encode(v value) ([]byte, error) {
	tree, err := s.resolve(v)
	if err != nil {
		return nil, err
	}
	b, err := events.AppendJSON(nil, tree)
	if err != nil {
		return nil, errors.New("data: cannot be written as JSON")
	}
	if len(b) > maxData {
		return nil, errors.New("data: larger than an event may be: take less of the body")
	}
	return b, nil
}

// resolve gives a part of the data in the types of encoding/json. A member that is nothing or an empty text is left
// out.
func (s *scope) resolve(v value) (any, error) {
	switch {
	case v.expr != nil:
		out, err := s.eval(v.expr)
		if err != nil {
			return nil, err
		}
		plain, err := plain(out)
		if err != nil {
			return nil, v.expr.Fault(err.Error())
		}
		return plain, nil
	case v.fields != nil:
		o := events.NewObject(len(v.fields))
		for _, f := range v.fields {
			one, err := s.resolve(f.value)
			if err != nil {
				return nil, err
			}
			if one != nil && one != "" {
				o.Add(f.name, one)
			}
		}
		return o, nil
	case v.list != nil:
		list := make([]any, len(v.list))
		for i, item := range v.list {
			var err error
			if list[i], err = s.resolve(item); err != nil {
				return nil, err
			}
		}
		return list, nil
	}
	return v.literal, nil
}
