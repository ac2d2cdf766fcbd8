package events

import (
	"encoding/json"
	"iter"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Tree reads the JSON of a sender that is not ours into *Object, []any, strings, numbers, bools and nil: int64 for a
// whole number that fits, float64 for any other. Where encoding/json takes the last of two members of one name, and any
// half of a surrogate pair for U+FFFD, so does it. Its strings share one copy of the text, and keep that alive. Its
// errors are Violations.
//
// Of what keep leaves out nothing is read but that it is JSON; a text that is neither object nor list is read whole.
func Tree(data []byte, keep Shape) (any, error) {
	if !utf8.Valid(data) {
		return nil, Violation{Rule: "json: not UTF-8"}
	}
	p := parser{text: data, whole: string(data), lax: true}
	if c := p.next(); c != '{' && c != '[' {
		keep = nil
	}
	v, _, err := p.tree(keep)
	if err != nil {
		return nil, err
	}
	return v, p.end()
}

// Shape is what is kept of a tree: the members of an object by their names, the elements of a list by their index or by
// *, each in its place. A shape without any is the whole of what stands there. A text where an object was meant to be is
// none of what was asked for.
type Shape map[string]Shape

// Member says whether the member of an object is kept, and what of it.
func (s Shape) Member(name string) (Shape, bool) {
	if len(s) == 0 {
		return nil, true
	}
	under, named := s[name]
	return under, named && name != "*"
}

// Element says whether an element of a list is kept, and what of it.
func (s Shape) Element(i int) (Shape, bool) {
	if len(s) == 0 {
		return nil, true
	}
	every, all := s["*"]
	if all && len(s) == 1 {
		return every, true
	}
	if under, named := s[strconv.Itoa(i)]; named {
		return under, true
	}
	return every, all
}

// Object is the members of a JSON object. It is not for several goroutines, not even to read.
type Object struct {
	members []Member
	loose   bool // as they came: not in order, and of one name the last counts
}

// Member is one of an Object.
type Member struct {
	Name  string
	Value any
}

// ObjectOf makes an object of a map, and of the maps in it.
func ObjectOf(m map[string]any) *Object {
	o := &Object{members: make([]Member, 0, len(m)), loose: true}
	for name, v := range m {
		if inner, ok := v.(map[string]any); ok {
			v = ObjectOf(inner)
		}
		o.members = append(o.members, Member{name, v})
	}
	return o
}

// Len counts the members.
func (o *Object) Len() int {
	o.settle()
	return len(o.members)
}

// All goes through the members in the order of their names.
func (o *Object) All() iter.Seq2[string, any] {
	return func(yield func(string, any) bool) {
		o.settle()
		for _, m := range o.members {
			if !yield(m.Name, m.Value) {
				return
			}
		}
	}
}

// fewMembers are looked through faster than they are sorted.
const fewMembers = 16

// Get finds a member.
func (o *Object) Get(name string) (any, bool) {
	if len(o.members) <= fewMembers {
		for i := len(o.members) - 1; i >= 0; i-- {
			if o.members[i].Name == name {
				return o.members[i].Value, true
			}
		}
		return nil, false
	}
	o.settle()
	i, found := slices.BinarySearchFunc(o.members, name, func(m Member, name string) int { return strings.Compare(m.Name, name) })
	if !found {
		return nil, false
	}
	return o.members[i].Value, true
}

// Retain goes through the members in the order of their names and takes those away for which keep says no; it may
// change a value.
func (o *Object) Retain(keep func(*Member) bool) {
	o.settle()
	left := o.members[:0]
	for _, m := range o.members {
		if keep(&m) {
			left = append(left, m)
		}
	}
	clear(o.members[len(left):])
	o.members = left
}

// MarshalJSON writes the members in the order of their names, as encoding/json writes a map.
func (o *Object) MarshalJSON() ([]byte, error) {
	return AppendJSON(nil, o)
}

// AppendJSON writes what a tree holds, and what else encoding/json knows, as encoding/json does.
func AppendJSON(out []byte, v any) ([]byte, error) {
	var err error
	switch x := v.(type) {
	case *Object:
		out = append(out, '{')
		first := true
		for name, one := range x.All() {
			if !first {
				out = append(out, ',')
			}
			first = false
			if out, err = AppendJSON(append(appendText(out, name), ':'), one); err != nil {
				return nil, err
			}
		}
		return append(out, '}'), nil
	case []any:
		out = append(out, '[')
		for i, one := range x {
			if i > 0 {
				out = append(out, ',')
			}
			if out, err = AppendJSON(out, one); err != nil {
				return nil, err
			}
		}
		return append(out, ']'), nil
	case string:
		return appendText(out, x), nil
	case int64:
		return strconv.AppendInt(out, x, 10), nil
	}
	text, err := json.Marshal(v)
	return append(out, text...), err
}

// appendText writes a string that may be no UTF-8, as one of a form may be: encoding/json puts U+FFFD in its place.
func appendText(out []byte, s string) []byte {
	if utf8.ValidString(s) {
		return appendString(out, s)
	}
	quoted, _ := json.Marshal(s) // a string always has a form
	return append(out, quoted...)
}

// nowhere marks a member that was given again as something that is not kept.
type nowhere struct{}

// settle brings the members into order, each once.
func (o *Object) settle() {
	if !o.loose {
		return
	}
	o.loose = false
	slices.SortStableFunc(o.members, func(a, b Member) int { return strings.Compare(a.Name, b.Name) })
	last := o.members[:0]
	for i, m := range o.members {
		if i+1 < len(o.members) && o.members[i+1].Name == m.Name {
			continue
		}
		if _, gone := m.Value.(nowhere); !gone {
			last = append(last, m)
		}
	}
	clear(o.members[len(last):])
	o.members = last
}

// NewObject makes an object with room for so many members.
func NewObject(room int) *Object { return &Object{members: make([]Member, 0, room)} }

// Add gives the object another member. Of two of one name the last counts.
func (o *Object) Add(name string, v any) {
	n := len(o.members)
	o.loose = o.loose || n > 0 && name <= o.members[n-1].Name
	o.members = append(o.members, Member{name, v})
}

// tree reads what keep leaves of the next value. kept is false when that is nothing.
func (p *parser) tree(keep Shape) (v any, kept bool, err error) {
	switch c := p.next(); {
	case p.deep > maxDepth || c != '{' && c != '[' && len(keep) == 0:
		v, err = p.value() // which knows what is too deep
	case c == '{':
		p.deep++
		v, err = p.treeObject(keep)
		p.deep--
	case c == '[':
		p.deep++
		v, err = p.treeList(keep)
		p.deep--
	default:
		return nil, false, p.skip()
	}
	return v, true, err
}

func (p *parser) treeObject(keep Shape) (any, error) {
	p.at++
	begin, lost := len(p.open), false
	var seen names
	for first := true; ; first = false {
		if more, err := p.more('}', first); err != nil || !more {
			return p.closed(begin, lost), err
		}
		name, err := p.name(&seen)
		if err != nil {
			return nil, err
		}
		under, named := keep.Member(name)
		if !named {
			if err := p.skip(); err != nil {
				return nil, err
			}
			p.leave()
			continue
		}
		v, kept, err := p.tree(under)
		if err != nil {
			return nil, err
		}
		if !kept {
			v, lost = nowhere{}, true
		}
		p.open = append(p.open, Member{name, v})
		p.leave()
	}
}

// slab is how many members are made room for at a time.
const slab = 64

// closed makes an object of the members that were read since begin; lost says that some of them are nowhere.
func (p *parser) closed(begin int, lost bool) *Object {
	came := p.open[begin:]
	if len(p.slab) < len(came) {
		p.slab = make([]Member, max(slab, len(came)))
	}
	o := &Object{members: p.slab[:len(came):len(came)], loose: lost}
	p.slab = p.slab[len(came):]
	copy(o.members, came)
	for i := 1; i < len(came) && !o.loose; i++ {
		o.loose = came[i].Name <= came[i-1].Name
	}
	p.open = p.open[:begin]
	if lost {
		o.settle()
	}
	return o
}

func (p *parser) treeList(keep Shape) (any, error) {
	p.at++
	list := []any{}
	for first := true; ; first = false {
		if more, err := p.more(']', first); err != nil || !more {
			return list, err
		}
		p.enter(strconv.Itoa(len(list)))
		var v any
		var err error
		if under, named := keep.Element(len(list)); named {
			v, _, err = p.tree(under)
		} else {
			err = p.skip()
		}
		if err != nil {
			return nil, err
		}
		list = append(list, v)
		p.leave()
	}
}

// skip reads a value of which nothing is wanted.
func (p *parser) skip() error {
	_, err := p.raw()
	return err
}
