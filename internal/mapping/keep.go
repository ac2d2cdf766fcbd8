package mapping

import "keyturn/internal/events"

// allowed makes the shape of JSON pointers; nil without any. What is kept whole is so whatever else names a part of it.
func allowed(pointers [][]string) events.Shape {
	if len(pointers) == 0 {
		return nil
	}
	root := events.Shape{}
	for _, pointer := range pointers {
		allow(root, pointer)
	}
	return root
}

func allow(s events.Shape, pointer []string) {
	step, rest := pointer[0], pointer[1:]
	next, known := s[step]
	switch {
	case len(rest) == 0:
		s[step] = events.Shape{}
		return
	case known && len(next) == 0:
		return
	case !known:
		next = events.Shape{}
		s[step] = next
	}
	allow(next, rest)
}

// cut gives what a shape leaves of a value, in place: of a tree that is there already what events.Tree leaves of a text.
// ok is false when that is nothing.
func cut(s events.Shape, v any) (left any, ok bool) {
	if len(s) == 0 {
		return v, true
	}
	switch x := v.(type) {
	case *events.Object:
		x.Retain(func(m *events.Member) bool {
			next, named := s.Member(m.Name)
			if named {
				m.Value, named = cut(next, m.Value)
			}
			return named
		})
		return x, true
	case []any:
		// Each stays in its place: a fault is of the item with that number.
		for i, one := range x {
			x[i] = nil
			next, named := s.Element(i)
			if left, ok := cut(next, one); named && ok {
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
	case *events.Object, []any:
		cut(m.keep, tree)
	}
	m.black(tree)
}

// black drops what is redacted.
func (m *Mapping) black(tree any) {
	for _, pointer := range m.redact {
		drop(tree, pointer)
	}
}
