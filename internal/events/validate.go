package events

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"keyturn/schemas"
)

// Violation is one fault of an event's data. It names the field and the rule, and never quotes a value: it may be
// logged and sent back.
type Violation struct {
	Field string `json:"field"` // JSON pointer (RFC 6901) into the data; empty = the whole
	Rule  string `json:"rule"`  // "required", "format: email", "length: at most 254"
}

// Error makes a Violation an error of its own.
func (v Violation) Error() string {
	if v.Field == "" {
		return v.Rule
	}
	return v.Field + ": " + v.Rule
}

// Validate checks the data of the catalogue event called name against its schema, and that its identifiers name
// somebody. It gives every fault at once, in the order of the fields; none means that Decode and SubjectOf succeed.
func Validate(name string, data []byte) []Violation {
	_, faults := Inspect(name, data)
	return faults
}

// Inspected is what valid data says, read once.
type Inspected struct {
	Data        json.RawMessage // in canonical form
	Names       []Identifier    // as Principals gives them: never empty, the first is the subject
	EffectiveAt time.Time       // in UTC; zero = at once
}

// Inspect validates as Validate does, and gives what the data says. The result counts only when there are no faults.
func Inspect(name string, data []byte) (Inspected, []Violation) {
	row, ok := Lookup(name)
	if !ok {
		return Inspected{}, []Violation{{Rule: "type: not in the catalogue"}}
	}
	set, err := compiled()
	if err != nil {
		return Inspected{}, []Violation{{Rule: "schema: cannot be compiled"}}
	}
	if s := set[name]; s.check != nil {
		if o, err := object(data); err == nil && s.accepts(o) {
			when, _ := o.Get("effective_at")
			return said(row, data, o, when)
		}
	}
	return inspect(row, data)
}

// inspect is Inspect by the validator, which finds every fault.
func inspect(row Entry, data []byte) (Inspected, []Violation) {
	set, err := compiled()
	if err != nil {
		return Inspected{}, []Violation{{Rule: "schema: cannot be compiled"}}
	}
	tree, err := parse(data)
	if v, bad := errors.AsType[Violation](err); bad {
		return Inspected{}, []Violation{v}
	}
	if err := set[row.Name].Validate(tree); err != nil {
		return Inspected{}, violations(err)
	}
	members, _ := tree.(map[string]any)
	return said(row, data, tree, members["effective_at"])
}

// said gives what valid data says; tree is the data read, and when its time of effect.
func said(row Entry, data []byte, tree, when any) (Inspected, []Violation) {
	if faults := checkDated(when); len(faults) > 0 {
		return Inspected{}, faults
	}
	canonical := json.RawMessage(data)
	if !isCanonical(data) {
		canonical = appendCanonical(make([]byte, 0, len(data)), tree)
	}
	p, err := row.decode(canonical)
	if err != nil {
		return Inspected{}, []Violation{misfit(err)}
	}
	if len(p.names()) == 0 {
		return Inspected{}, []Violation{{Rule: "principal: every identifier is blank"}}
	}
	return Inspected{Data: canonical, Names: principals(p), EffectiveAt: effectiveAt(p)}, nil
}

// schema is the schema of an event, with a check where there is one.
type schema struct {
	*jsonschema.Schema
	*check
}

// compiled holds the schemas of the catalogue, compiled once. They are embedded, so a failure is a fault of the build.
var compiled = sync.OnceValues(func() (map[string]schema, error) {
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	c.UseLoader(embedded{})
	set := map[string]schema{}
	for _, row := range Catalogue() {
		s, err := c.Compile(row.Schema())
		if err != nil {
			return nil, fmt.Errorf("compile schema of %s: %w", row.Name, err)
		}
		set[row.Name] = schema{s, newCheck(s)}
	}
	return set, nil
})

// embedded loads our own schemas and nothing else: the default loader would open files that a `$ref` names.
type embedded struct{}

// Load finds the embedded file of an `$id`.
func (embedded) Load(url string) (any, error) {
	path, ours := strings.CutPrefix(url, schemas.Base)
	path, versioned := strings.CutSuffix(path, "/v1.json")
	if !ours || !versioned {
		return nil, fmt.Errorf("load schema %q: not one of ours", url)
	}
	text, err := fs.ReadFile(schemas.FS, path+".json")
	if err != nil {
		return nil, fmt.Errorf("load schema %q: %w", url, err)
	}
	return jsonschema.UnmarshalJSON(bytes.NewReader(text))
}

// violations flattens the tree of a validation error into its leaves.
func violations(err error) []Violation {
	root, ok := errors.AsType[*jsonschema.ValidationError](err)
	if !ok {
		return []Violation{{Rule: "schema: cannot be applied"}}
	}
	found := collect(root, nil)
	slices.SortStableFunc(found, func(a, b Violation) int { return strings.Compare(a.Field, b.Field) })
	return slices.Compact(found)
}

func collect(e *jsonschema.ValidationError, found []Violation) []Violation {
	at := pointer(e.InstanceLocation)
	switch k := e.ErrorKind.(type) {
	case *kind.AnyOf:
		return append(found, Violation{at, "at least one of" + alternatives(e)})
	case *kind.OneOf:
		return append(found, Violation{at, "exactly one of" + alternatives(e)})
	case *kind.Required:
		for _, m := range k.Missing {
			found = append(found, Violation{at + "/" + pointerEscape(m), "required"})
		}
		return found
	}
	if len(e.Causes) == 0 {
		return append(found, Violation{at, rule(e)})
	}
	for _, c := range e.Causes {
		found = collect(c, found)
	}
	return found
}

// alternatives names the members that the branches of an anyOf or oneOf ask for.
func alternatives(e *jsonschema.ValidationError) string {
	var names []string
	for _, c := range e.Causes {
		for _, v := range collect(c, nil) {
			names = append(names, v.Field[strings.LastIndex(v.Field, "/")+1:])
		}
	}
	if len(names) == 0 {
		return " the forms that the schema lists"
	}
	return ": " + strings.Join(names, ", ")
}

// RuleDateTime is the rule of a time that is none, or that names no zone: of a day without one nobody knows when it ends.
const RuleDateTime = "format: date-time with its zone, such as 2026-12-01T17:00:00+01:00 or 2026-12-01T16:00:00Z"

// rule says which keyword of the schema was broken, with the schema's own numbers and words.
func rule(e *jsonschema.ValidationError) string {
	switch k := e.ErrorKind.(type) {
	case *kind.Type:
		return "type: want " + strings.Join(k.Want, " or ")
	case *kind.FalseSchema:
		return "not allowed in this event"
	case *kind.Not:
		return "not allowed together: see the schema"
	case *kind.Enum:
		return "one of: " + words(k.Want)
	case *kind.Const:
		return "must be: " + words([]any{k.Want})
	case *kind.Format:
		if k.Want == "date-time" {
			return RuleDateTime
		}
		return "format: " + k.Want
	case *kind.Pattern:
		return "pattern: " + k.Want
	case *kind.MinLength:
		return fmt.Sprintf("length: at least %d", k.Want)
	case *kind.MaxLength:
		return fmt.Sprintf("length: at most %d", k.Want)
	case *kind.MinItems:
		return fmt.Sprintf("items: at least %d", k.Want)
	case *kind.MaxItems:
		return fmt.Sprintf("items: at most %d", k.Want)
	case *kind.UniqueItems:
		return "items: each once"
	case *kind.MinProperties:
		return fmt.Sprintf("members: at least %d", k.Want)
	}
	return strings.Join(e.ErrorKind.KeywordPath(), "/")
}

// words lists values of the schema.
func words(values []any) string {
	var b []string
	for _, v := range values {
		text, _ := json.Marshal(v)
		b = append(b, string(text))
	}
	return strings.Join(b, ", ")
}

func pointer(tokens []string) string {
	var b strings.Builder
	for _, t := range tokens {
		b.WriteString("/" + pointerEscape(t))
	}
	return b.String()
}
