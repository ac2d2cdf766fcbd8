package events

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Bounds of a JSON document that is taken from outside.
const (
	maxDepth       = 64  // nested objects and arrays
	maxNumberBytes = 64  // a number's literal
	maxExponent    = 308 // of a number, either sign: a float64's; a larger one makes exact arithmetic explode
)

// Canonical gives the one form of a JSON object in which Keyturn keeps and compares event data: members sorted by
// name, no white space, strings escaped as encoding/json does. Numbers keep their literal. Two documents that say the
// same have the same canonical form, and it survives being embedded in other JSON, so that ContentHash does not
// change on the way.
//
// It refuses what two readers could read differently: text that is not UTF-8, half a surrogate pair, a member that is given twice or in two
// spellings of upper and lower case, and numbers outside the range of a float64. The error is a Violation.
func Canonical(data []byte) (json.RawMessage, error) {
	tree, err := parse(data)
	if err != nil {
		return nil, err
	}
	if _, ok := tree.(map[string]any); !ok {
		return nil, Violation{Rule: "type: want object"}
	}
	out, err := json.Marshal(tree)
	if err != nil {
		return nil, fmt.Errorf("encode canonical form: %w", err)
	}
	return out, nil
}

// Members reads the members of a JSON object, with the checks of Canonical on the object itself; the values are as
// they stand, unchecked. The error is a Violation.
func Members(data []byte) (map[string]json.RawMessage, error) {
	if !utf8.Valid(data) {
		return nil, Violation{Rule: "json: not UTF-8"}
	}
	r := reader{dec: json.NewDecoder(bytes.NewReader(data))}
	if tok, err := r.dec.Token(); err != nil {
		return nil, r.syntax()
	} else if tok != json.Delim('{') {
		return nil, Violation{Rule: "type: want object"}
	}
	members := map[string]json.RawMessage{}
	err := r.members(func(name string) error {
		var raw json.RawMessage
		if err := r.dec.Decode(&raw); err != nil {
			return r.syntax()
		}
		if halfPair(raw) {
			return r.fault(ruleHalfPair)
		}
		members[name] = raw
		return nil
	})
	if err != nil {
		return nil, err
	}
	if halfPair(data) { // in a name
		return nil, Violation{Rule: ruleHalfPair}
	}
	return members, r.end()
}

// parse reads one JSON value into maps, slices, strings, json.Numbers, bools and nil. Its errors are Violations.
func parse(data []byte) (any, error) {
	if !utf8.Valid(data) {
		return nil, Violation{Rule: "json: not UTF-8"}
	}
	if halfPair(data) {
		return nil, Violation{Rule: ruleHalfPair}
	}
	r := reader{dec: json.NewDecoder(bytes.NewReader(data))}
	r.dec.UseNumber()
	v, err := r.value()
	if err != nil {
		return nil, err
	}
	return v, r.end()
}

// reader walks a document. It keeps the path as a stack and spells it only for a fault: spelled at every step, a long
// member name above many members would cost its length for each.
type reader struct {
	dec  *json.Decoder
	path []string
}

func (r *reader) value() (any, error) {
	tok, err := r.dec.Token()
	if err != nil {
		return nil, r.syntax()
	}
	if len(r.path) > maxDepth {
		return nil, r.fault(fmt.Sprintf("json: nested deeper than %d", maxDepth))
	}
	switch t := tok.(type) {
	case json.Delim:
		if t == '{' {
			return r.object()
		}
		return r.array()
	case json.Number:
		if !tame(t.String()) {
			return nil, r.fault("json: number out of range")
		}
	}
	return tok, nil
}

func (r *reader) object() (any, error) {
	obj := map[string]any{}
	err := r.members(func(name string) (err error) {
		obj[name], err = r.value()
		return err
	})
	return obj, err
}

// members reads an object to its end, each value by read.
func (r *reader) members(read func(name string) error) error {
	folded := map[string]bool{}
	for r.dec.More() {
		tok, err := r.dec.Token()
		if err != nil {
			return r.syntax()
		}
		name, _ := tok.(string)
		r.path = append(r.path, name)
		f := fold(name)
		if folded[f] {
			return r.fault("json: member given twice (names differ in case only, or not at all)")
		}
		folded[f] = true
		if err := read(name); err != nil {
			return err
		}
		r.path = r.path[:len(r.path)-1]
	}
	if _, err := r.dec.Token(); err != nil {
		return r.syntax()
	}
	return nil
}

// end demands that nothing follows.
func (r *reader) end() error {
	if _, err := r.dec.Token(); err != io.EOF {
		return Violation{Rule: "json: more than one value"}
	}
	return nil
}

func (r *reader) array() (any, error) {
	list := []any{}
	for r.dec.More() {
		r.path = append(r.path, strconv.Itoa(len(list)))
		v, err := r.value()
		if err != nil {
			return nil, err
		}
		list = append(list, v)
		r.path = r.path[:len(r.path)-1]
	}
	if _, err := r.dec.Token(); err != nil {
		return nil, r.syntax()
	}
	return list, nil
}

// fault names the place that the reader has come to.
func (r *reader) fault(rule string) error { return Violation{Field: pointer(r.path), Rule: rule} }

// syntax says where the text stops being JSON, and nothing of what stands there.
func (r *reader) syntax() error {
	return r.fault(fmt.Sprintf("json: not JSON near byte %d", r.dec.InputOffset()))
}

// tame reports whether a number's literal is short and its exponent within a float64's.
func tame(n string) bool {
	if len(n) > maxNumberBytes {
		return false
	}
	i := strings.IndexAny(n, "eE")
	if i < 0 {
		return true
	}
	exp, err := strconv.Atoi(n[i+1:])
	return err == nil && exp >= -maxExponent && exp <= maxExponent
}

// pointerEscape writes one token of a JSON pointer (RFC 6901, section 3).
func pointerEscape(token string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(token)
}
