package events

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// parse reads one JSON value into maps, slices, strings, json.Numbers, bools and nil, in one pass over the text: every
// delivery goes through here, and what a stranger sends decides how much work it is. Its errors are Violations.
func parse(data []byte) (any, error) {
	if err := readable(data); err != nil {
		return nil, err
	}
	p := parser{text: data, whole: string(data), literal: true}
	v, err := p.value()
	if err != nil {
		return nil, err
	}
	return v, p.end()
}

// object reads a JSON object as parse does, by the same rules.
func object(data []byte) (*Object, error) {
	if err := readable(data); err != nil {
		return nil, err
	}
	p := parser{text: data, whole: string(data), literal: true}
	v, _, err := p.tree(nil)
	if err != nil {
		return nil, err
	}
	o, ok := v.(*Object)
	if !ok {
		return nil, Violation{Rule: "type: want object"}
	}
	return o, p.end()
}

// readable wants text of which there is one reading.
func readable(data []byte) error {
	if !utf8.Valid(data) {
		return Violation{Rule: "json: not UTF-8"}
	}
	if halfPair(data) {
		return Violation{Rule: ruleHalfPair}
	}
	return nil
}

// parser reads JSON text (RFC 8259) and keeps the path to where it is as a stack, spelled only for a fault: spelled at
// every step, a long member name above many members would cost its length for each.
type parser struct {
	text []byte
	at   int // index of the next byte
	path []string
	deep int  // how many objects and arrays it is in
	lax  bool // a member may be given twice, and the last counts

	whole   string // the text once more, of which strings are parts
	literal bool   // numbers stay as they are written

	open []Member // of the objects of a tree that have not ended
	slab []Member // room for the members of those that have

	// blind: only whether it is JSON counts. Nothing is kept, and the path stays where it was.
	blind bool
}

// next gives the next byte that is no white space, without taking it; 0 at the end of the text.
func (p *parser) next() byte {
	for ; p.at < len(p.text); p.at++ {
		switch c := p.text[p.at]; c {
		case ' ', '\t', '\n', '\r':
		default:
			return c
		}
	}
	return 0
}

func (p *parser) value() (any, error) {
	c := p.next()
	if p.deep > maxDepth {
		return nil, p.fault(fmt.Sprintf("json: nested deeper than %d", maxDepth))
	}
	switch c {
	case '{':
		p.deep++
		v, err := p.object()
		p.deep--
		return v, err
	case '[':
		p.deep++
		v, err := p.array()
		p.deep--
		return v, err
	case '"':
		return p.str()
	case 't':
		return true, p.word("true")
	case 'f':
		return false, p.word("false")
	case 'n':
		return nil, p.word("null")
	}
	return p.number()
}

func (p *parser) object() (any, error) {
	if p.blind {
		return nil, p.members(func(string) error {
			_, err := p.value()
			return err
		})
	}
	obj := map[string]any{}
	err := p.members(func(name string) (err error) {
		obj[name], err = p.value()
		return err
	})
	return obj, err
}

// members reads an object to its end, each value by read.
func (p *parser) members(read func(name string) error) error {
	p.at++
	var seen names
	for first := true; ; first = false {
		if more, err := p.more('}', first); err != nil || !more {
			return err
		}
		name, err := p.name(&seen)
		if err != nil {
			return err
		}
		if err := read(name); err != nil {
			return err
		}
		p.leave()
	}
}

// name takes the name of a member and what stands behind it, and enters the member.
func (p *parser) name(seen *names) (string, error) {
	if p.next() != '"' {
		return "", p.syntax()
	}
	name, err := p.str()
	if err != nil {
		return "", err
	}
	p.enter(name)
	if !p.lax && !p.blind && !seen.add(fold(name)) {
		return "", p.fault("json: member given twice (names differ in case only, or not at all)")
	}
	if p.next() != ':' {
		return "", p.syntax()
	}
	p.at++
	return name, nil
}

func (p *parser) array() (any, error) {
	p.at++
	list := []any{}
	for first := true; ; first = false {
		if more, err := p.more(']', first); err != nil || !more {
			return list, err
		}
		p.enter(strconv.Itoa(len(list)))
		v, err := p.value()
		if err != nil {
			return nil, err
		}
		if p.leave(); !p.blind {
			list = append(list, v)
		}
	}
}

// enter and leave keep the path to a member or element.
func (p *parser) enter(name string) {
	if !p.blind {
		p.path = append(p.path, name)
	}
}

func (p *parser) leave() {
	if !p.blind {
		p.path = p.path[:len(p.path)-1]
	}
}

// more takes the separator before another member or element, or the bracket that ends them.
func (p *parser) more(end byte, first bool) (bool, error) {
	switch c := p.next(); {
	case c == end:
		p.at++
		return false, nil
	case first:
		return true, nil
	case c == ',':
		p.at++
		return true, nil
	}
	return false, p.syntax()
}

// str reads a string. Escapes are left to encoding/json, which knows them all.
func (p *parser) str() (string, error) {
	begin := p.at
	i := quoted(p.text, begin+1)
	switch {
	case i == len(p.text) || p.text[i] < ' ':
		p.at = i
		return "", p.syntax()
	case p.text[i] == '\\':
		return p.escapedString(begin, i)
	}
	p.at = i + 1
	switch {
	case p.blind:
		return "", nil
	case p.whole != "":
		return p.whole[begin+1 : i], nil
	}
	return string(p.text[begin+1 : i]), nil
}

// escapedString reads a string that begins at begin and has its first escape at i.
func (p *parser) escapedString(begin, i int) (string, error) {
	for ; i < len(p.text) && p.text[i] != '"'; i++ {
		if p.text[i] == '\\' {
			i++
		}
	}
	p.at = min(i+1, len(p.text))
	var s string
	if json.Unmarshal(p.text[begin:p.at], &s) != nil {
		return "", p.syntax()
	}
	return s, nil
}

func (p *parser) word(w string) error {
	if !bytes.HasPrefix(p.text[p.at:], []byte(w)) {
		return p.syntax()
	}
	p.at += len(w)
	return nil
}

func (p *parser) number() (any, error) {
	n := numberLen(p.text[p.at:])
	if n == 0 {
		return nil, p.syntax()
	}
	if p.blind {
		p.at += n
		return nil, nil
	}
	literal := json.Number(p.whole[p.at : p.at+n])
	if !tame(literal.String()) {
		return nil, p.fault("json: number out of range")
	}
	p.at += n
	if p.literal {
		return literal, nil
	}
	return number(literal)
}

// number is a tame literal as a number. -0.0 is 0, as -0 is: there is one form in which it is written again.
func number(literal json.Number) (any, error) {
	if i, err := literal.Int64(); err == nil {
		return i, nil
	}
	f, err := literal.Float64()
	if f == 0 {
		f = 0
	}
	return f, err
}

// numberLen is how many bytes of text are a number (RFC 8259, section 6); 0 = it does not begin with one.
func numberLen(text []byte) int {
	digits := func(i int) int {
		for i < len(text) && text[i] >= '0' && text[i] <= '9' {
			i++
		}
		return i
	}
	i := 0
	if i < len(text) && text[i] == '-' {
		i++
	}
	whole := digits(i)
	if whole == i || text[i] == '0' && whole > i+1 {
		return 0
	}
	i = whole
	if i < len(text) && text[i] == '.' {
		fraction := digits(i + 1)
		if fraction == i+1 {
			return 0
		}
		i = fraction
	}
	if i < len(text) && (text[i] == 'e' || text[i] == 'E') {
		i++
		if i < len(text) && (text[i] == '+' || text[i] == '-') {
			i++
		}
		exponent := digits(i)
		if exponent == i {
			return 0
		}
		i = exponent
	}
	return i
}

// end demands that nothing follows.
func (p *parser) end() error {
	p.next()
	if p.at < len(p.text) {
		return Violation{Rule: "json: more than one value"}
	}
	return nil
}

// split reads the members of the object that is the text, about so many, their values as they stand.
func (p *parser) split(room int) (map[string]json.RawMessage, error) {
	if p.next() != '{' {
		if !json.Valid(p.text) {
			return nil, p.syntax()
		}
		return nil, Violation{Rule: "type: want object"}
	}
	members := make(map[string]json.RawMessage, room)
	err := p.members(func(name string) (err error) {
		members[name], err = p.raw()
		return err
	})
	if err != nil {
		return nil, err
	}
	return members, p.end()
}

// raw takes the next value as it stands: it is JSON, and nothing else is asked of it.
func (p *parser) raw() (json.RawMessage, error) {
	p.next()
	begin := p.at
	p.blind = true
	_, err := p.value()
	p.blind = false
	return p.text[begin:p.at], err
}

// fault names the place that the parser has come to.
func (p *parser) fault(rule string) error { return Violation{Field: pointer(p.path), Rule: rule} }

// syntax says where the text stops being JSON, and nothing of what stands there.
func (p *parser) syntax() error {
	return p.fault(fmt.Sprintf("json: not JSON near byte %d", p.at))
}
