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
// It refuses what two readers could read differently: text that is not UTF-8, a member that is given twice or in two
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

// parse reads one JSON value into maps, slices, strings, json.Numbers, bools and nil. Its errors are Violations.
func parse(data []byte) (any, error) {
	if !utf8.Valid(data) {
		return nil, Violation{Rule: "json: not UTF-8"}
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	v, err := parseValue(dec, "", 0)
	if err != nil {
		return nil, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, Violation{Rule: "json: more than one value"}
	}
	return v, nil
}

func parseValue(dec *json.Decoder, at string, depth int) (any, error) {
	tok, err := dec.Token()
	if err != nil {
		return nil, syntax(dec, at)
	}
	if depth > maxDepth {
		return nil, Violation{Field: at, Rule: fmt.Sprintf("json: nested deeper than %d", maxDepth)}
	}
	switch t := tok.(type) {
	case json.Delim:
		if t == '{' {
			return parseObject(dec, at, depth)
		}
		return parseArray(dec, at, depth)
	case json.Number:
		if !tame(t.String()) {
			return nil, Violation{Field: at, Rule: "json: number out of range"}
		}
	}
	return tok, nil
}

func parseObject(dec *json.Decoder, at string, depth int) (any, error) {
	obj := map[string]any{}
	folded := map[string]bool{}
	for dec.More() {
		tok, err := dec.Token()
		if err != nil {
			return nil, syntax(dec, at)
		}
		name, _ := tok.(string)
		field := at + "/" + pointerEscape(name)
		if folded[fold(name)] {
			return nil, Violation{Field: field, Rule: "json: member given twice (names differ in case only, or not at all)"}
		}
		folded[fold(name)] = true
		if obj[name], err = parseValue(dec, field, depth+1); err != nil {
			return nil, err
		}
	}
	if _, err := dec.Token(); err != nil {
		return nil, syntax(dec, at)
	}
	return obj, nil
}

func parseArray(dec *json.Decoder, at string, depth int) (any, error) {
	list := []any{}
	for dec.More() {
		v, err := parseValue(dec, at+"/"+strconv.Itoa(len(list)), depth+1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	if _, err := dec.Token(); err != nil {
		return nil, syntax(dec, at)
	}
	return list, nil
}

// syntax says where the text stops being JSON, and nothing of what stands there.
func syntax(dec *json.Decoder, at string) error {
	return Violation{Field: at, Rule: fmt.Sprintf("json: not JSON near byte %d", dec.InputOffset())}
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
