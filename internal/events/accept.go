package events

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// check is a schema that can be looked at directly: the part of JSON Schema that the events of people, devices, clients
// and tokens are written in. It only ever accepts: whatever it does not accept the validator decides, and explains.
// FuzzAccept holds the two against each other.
type check struct {
	types    []string // none = any
	required []string
	members  []memberCheck
	all      []*check // every one of them, too
	any      []*check // nil, or one of them at least
	least    int      // code points of a string
	most     int      // -1 = any number
	texts    []func(string) bool
	never    bool
}

type memberCheck struct {
	name string
	*check
}

// newCheck makes a check of a compiled schema; nil when the schema says more than a check can.
func newCheck(s *jsonschema.Schema) *check {
	if s == nil || beyond(s) {
		return nil
	}
	c := &check{required: s.Required, most: -1, never: s.Bool != nil && !*s.Bool}
	if s.Types != nil {
		c.types = s.Types.ToStrings()
	}
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		c.members = append(c.members, memberCheck{name, newCheck(s.Properties[name])})
	}
	if s.Ref != nil {
		c.all = append(c.all, newCheck(s.Ref))
	}
	for _, one := range s.AllOf {
		c.all = append(c.all, newCheck(one))
	}
	for _, one := range s.AnyOf {
		c.any = append(c.any, newCheck(one))
	}
	if s.MinLength != nil {
		c.least = *s.MinLength
	}
	if s.MaxLength != nil {
		c.most = *s.MaxLength
	}
	if s.Pattern != nil {
		c.texts = append(c.texts, matcher(s.Pattern))
	}
	if s.Format != nil {
		c.texts = append(c.texts, func(text string) bool { return s.Format.Validate(text) == nil })
	}
	lost := func(part *check) bool { return part == nil }
	if slices.ContainsFunc(c.all, lost) || slices.ContainsFunc(c.any, lost) ||
		slices.ContainsFunc(c.members, func(m memberCheck) bool { return m.check == nil }) {
		return nil
	}
	return c
}

// beyond reports whether a schema says something that a check cannot look at.
func beyond(s *jsonschema.Schema) bool {
	open, isBool := s.AdditionalProperties.(bool)
	return s.RecursiveRef != nil || s.DynamicRef != nil || s.Enum != nil || s.Const != nil || s.Not != nil ||
		s.OneOf != nil || s.If != nil || s.MaxProperties != nil || s.MinProperties != nil || s.PropertyNames != nil ||
		s.PatternProperties != nil || s.AdditionalProperties != nil && !(isBool && open) || s.Dependencies != nil ||
		s.DependentRequired != nil || s.DependentSchemas != nil || s.UnevaluatedProperties != nil || s.MinItems != nil ||
		s.MaxItems != nil || s.UniqueItems || s.Contains != nil || s.Items != nil || s.PrefixItems != nil || s.Items2020 != nil ||
		s.UnevaluatedItems != nil || s.ContentEncoding != nil || s.ContentMediaType != nil || s.ContentSchema != nil ||
		s.Maximum != nil || s.Minimum != nil || s.ExclusiveMaximum != nil || s.ExclusiveMinimum != nil || s.MultipleOf != nil ||
		s.Extensions != nil
}

// accepts reports whether a value is surely valid.
func (c *check) accepts(v any) bool {
	if c.never || len(c.types) > 0 && !slices.Contains(c.types, typeOf(v)) {
		return false
	}
	switch x := v.(type) {
	case *Object:
		if !c.acceptsMembers(x) {
			return false
		}
	case string:
		if !c.acceptsText(x) {
			return false
		}
	}
	for _, part := range c.all {
		if !part.accepts(v) {
			return false
		}
	}
	return c.any == nil || slices.ContainsFunc(c.any, func(part *check) bool { return part.accepts(v) })
}

func (c *check) acceptsMembers(o *Object) bool {
	for _, name := range c.required {
		if _, given := o.Get(name); !given {
			return false
		}
	}
	for _, m := range c.members {
		if v, given := o.Get(m.name); given && !m.accepts(v) {
			return false
		}
	}
	return true
}

func (c *check) acceptsText(s string) bool {
	if c.least > 0 || c.most >= 0 {
		if n := utf8.RuneCountInString(s); n < c.least || c.most >= 0 && n > c.most {
			return false
		}
	}
	for _, holds := range c.texts {
		if !holds(s) {
			return false
		}
	}
	return true
}

// typeOf names the type of a value as JSON Schema does. Of a number it does not say whether it is an integer: no
// event that a check looks at asks for one.
func typeOf(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case json.Number:
		return "number"
	case []any:
		return "array"
	}
	return "object"
}

// The patterns that nearly every text of an event has to match.
const (
	patternName = `^[^\p{Cc}]*[^\s\p{Cc}][^\p{Cc}]*$` // not blank, and no control characters
	patternText = `^[\t\n\r\P{Cc}]*$`                 // no control characters but those of text
)

// matcher is what a pattern asks for.
func matcher(pattern jsonschema.Regexp) func(string) bool {
	switch pattern.String() {
	case patternName:
		return func(s string) bool { return strings.Trim(s, " ") != "" && !strings.ContainsFunc(s, unicode.IsControl) }
	case patternText:
		return func(s string) bool {
			return !strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) && r != '\t' && r != '\n' && r != '\r' })
		}
	}
	return pattern.MatchString
}
