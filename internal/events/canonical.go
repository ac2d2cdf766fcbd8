package events

import (
	"encoding/json"
	"maps"
	"slices"
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
// spellings of upper and lower case, and numbers outside the range of a float64. The error is a Violation. Data that is
// in canonical form already is given back as it is, not as a copy.
func Canonical(data []byte) (json.RawMessage, error) {
	if isCanonical(data) {
		return data, nil
	}
	tree, err := parse(data)
	if err != nil {
		return nil, err
	}
	if _, ok := tree.(map[string]any); !ok {
		return nil, Violation{Rule: "type: want object"}
	}
	return appendCanonical(nil, tree), nil
}

// usualMembers are those of an event with its data beside them.
const usualMembers = 12

// Members reads the members of a JSON object, with the checks of Canonical on the object itself; the values are as
// they stand, JSON but otherwise unchecked. The error is a Violation.
func Members(data []byte) (map[string]json.RawMessage, error) {
	if !utf8.Valid(data) {
		return nil, Violation{Rule: "json: not UTF-8"}
	}
	p := parser{text: data}
	members, err := p.split(usualMembers)
	switch {
	case err != nil:
		return nil, err
	case halfPair(data):
		return nil, halfPairOf(members)
	}
	return members, nil
}

// Text reads a value of Members that is a string; the error says that it is none.
func Text(value json.RawMessage) (string, error) {
	if len(value) > 1 && value[0] == '"' && quoted(value, 1) == len(value)-1 {
		return string(value[1 : len(value)-1]), nil
	}
	var s string
	err := json.Unmarshal(value, &s)
	return s, err
}

// halfPairOf names the member that holds half a pair; none when a name does.
func halfPairOf(members map[string]json.RawMessage) Violation {
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if halfPair(members[name]) {
			return Violation{Field: pointer([]string{name}), Rule: ruleHalfPair}
		}
	}
	return Violation{Rule: ruleHalfPair}
}

// tame reports whether a number's literal is short, its exponent within a float64's, and the number itself, too:
// 99e308 is not, and whoever reads data into a float64 would fail at it.
func tame(n string) bool {
	if len(n) > maxNumberBytes {
		return false
	}
	i := strings.IndexAny(n, "eE")
	if i < 0 {
		return true // as many digits as may be here are no float64's bound
	}
	if exp, err := strconv.Atoi(n[i+1:]); err != nil || exp < -maxExponent || exp > maxExponent {
		return false
	}
	_, err := strconv.ParseFloat(n, 64)
	return err == nil
}

// pointerEscape writes one token of a JSON pointer (RFC 6901, section 3).
func pointerEscape(token string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(token)
}
