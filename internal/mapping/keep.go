package mapping

import "strconv"

// shape is what an allow list leaves of a tree: the members of an object by their names, the elements of a list by their
// index or by *. A shape without any is the whole of what stands there.
type shape map[string]shape

// allowed makes the shape of JSON pointers; nil without any. What is kept whole is so whatever else names a part of it.
func allowed(pointers [][]string) shape {
	if len(pointers) == 0 {
		return nil
	}
	root := shape{}
	for _, pointer := range pointers {
		root.allow(pointer)
	}
	return root
}

func (s shape) allow(pointer []string) {
	step, rest := pointer[0], pointer[1:]
	next, known := s[step]
	switch {
	case len(rest) == 0:
		s[step] = shape{}
		return
	case known && len(next) == 0:
		return
	case !known:
		next = shape{}
		s[step] = next
	}
	next.allow(rest)
}

// cut gives what the shape leaves of a value, in place. ok is false when that is nothing: a text where an object was
// meant to be is none of what was asked for.
func (s shape) cut(v any) (left any, ok bool) {
	if len(s) == 0 {
		return v, true
	}
	switch x := v.(type) {
	case map[string]any:
		for name, one := range x {
			next, named := s[name]
			if named && name != "*" {
				one, named = next.cut(one)
			}
			if !named || name == "*" {
				delete(x, name)
				continue
			}
			x[name] = one
		}
		return x, true
	case []any:
		// Each stays in its place: a fault is of the item with that number.
		for i, one := range x {
			x[i] = nil
			next, named := s[strconv.Itoa(i)]
			if !named {
				next, named = s["*"]
			}
			if left, ok := next.cut(one); named && ok {
				x[i] = left
			}
		}
		return x, true
	}
	return nil, false
}

// strip drops of a body what nobody may see: all but what is kept, and what is redacted. A body that is a mere text or
// number has no members to be dropped.
func (m *Mapping) strip(tree any) {
	switch tree.(type) {
	case map[string]any, []any:
		m.keep.cut(tree)
	}
	for _, pointer := range m.redact {
		drop(tree, pointer)
	}
}
