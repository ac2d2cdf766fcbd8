package config

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"keyturn/schemas"
)

// files are the schemas of the files that are read.
func files() []string {
	return []string{"sources.json", "verify.json", "preset.json", "connections.json", "playbooks.json", "playbooks_test.json"}
}

// compiler loads the schemas of the files. It never opens anything else: the default loader would follow a
// reference to any file of the machine.
func compiler() (*jsonschema.Compiler, error) {
	c := jsonschema.NewCompiler()
	c.UseLoader(closed{})
	for _, name := range files() {
		b, err := schemas.FS.ReadFile("config/" + name)
		if err != nil {
			return nil, fmt.Errorf("schema %s: %w", name, err)
		}
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
		if err != nil {
			return nil, fmt.Errorf("schema %s: %w", name, err)
		}
		if err := c.AddResource(schemaURL(name), v); err != nil {
			return nil, fmt.Errorf("schema %s: %w", name, err)
		}
	}
	return c, nil
}

func schemaURL(name string) string {
	return schemas.Base + "config/" + strings.TrimSuffix(name, ".json") + "/v1.json"
}

// closed is a schema loader that loads nothing.
type closed struct{}

func (closed) Load(url string) (any, error) { return nil, fmt.Errorf("schema %s: not embedded", url) }

// compiled are the schemas of all files by their names, compiled once: files are read again whenever they change.
var compiled = sync.OnceValues(func() (map[string]*jsonschema.Schema, error) {
	c, err := compiler()
	if err != nil {
		return nil, err
	}
	set := map[string]*jsonschema.Schema{}
	for _, name := range files() {
		if set[name], err = c.Compile(schemaURL(name)); err != nil {
			return nil, err
		}
	}
	return set, nil
})

// words is where checkers find what schemas say of their parts. The compiler keeps each part that one asked for, and is for
// one at a time.
type words struct {
	turn     sync.Mutex
	compiler *jsonschema.Compiler
}

var wording = sync.OnceValues(func() (*words, error) {
	c, err := compiler()
	return &words{compiler: c}, err
})

// checkSchema reports everything in the document that its schema refuses.
func checkSchema(d *document, name string) {
	set, err := compiled()
	if err != nil {
		d.reader.fault(Position{File: d.file}, "cannot be checked: %v", err)
		return
	}
	var invalid *jsonschema.ValidationError
	if errors.As(set[name].Validate(d.tree), &invalid) {
		w, err := wording()
		if err != nil {
			d.reader.fault(Position{File: d.file}, "cannot be checked: %v", err)
			return
		}
		k := checker{doc: d, compiler: w.compiler}
		w.turn.Lock()
		defer w.turn.Unlock()
		k.walk(invalid)
		for _, at := range k.bad {
			d.bad[at] = true
		}
	}
}

// checker turns the validator's tree of errors into faults. It uses the words of the schema's own descriptions, and
// never those of the validator, which quote values.
type checker struct {
	doc      *document
	compiler *jsonschema.Compiler
	bad      []string
}

func (k *checker) walk(e *jsonschema.ValidationError) {
	at := path(e.InstanceLocation)
	switch what := e.ErrorKind.(type) {
	case *kind.AdditionalProperties:
		for _, name := range what.Properties {
			k.add(at.to(name), true, k.unknown(e.SchemaURL, name))
		}
	case *kind.Required:
		for _, name := range what.Missing {
			k.add(at.to(name), false, "is missing: "+k.describe(e.SchemaURL, name))
		}
	case *kind.PropertyNames:
		k.add(at.to(what.Property), true, "the name does not fit: "+k.describe(e.SchemaURL, ""))
	default:
		if len(e.Causes) == 0 {
			k.add(at, false, k.leaf(e))
		}
		for _, cause := range e.Causes {
			k.walk(cause)
		}
	}
}

func (k *checker) add(at path, key bool, what string) {
	place := k.doc.position(at)
	if key {
		place = k.doc.keyPosition(at)
	}
	k.doc.report(place, "%s", what)
	k.bad = append(k.bad, place.Path)
}

// leaf says what is wrong with one value.
func (k *checker) leaf(e *jsonschema.ValidationError) string {
	switch what := e.ErrorKind.(type) {
	case *kind.Type:
		return wrongType(what) + ": " + k.describe(e.SchemaURL, "")
	case *kind.Enum:
		return k.notListed(what)
	case *kind.MinProperties:
		return "is empty" + k.choose(e.SchemaURL)
	case *kind.MaxProperties:
		if what.Want > 1 {
			return fmt.Sprintf("has more than %d: %s", what.Want, k.describe(e.SchemaURL, ""))
		}
		return "has more than one key" + k.choose(e.SchemaURL)
	case *kind.MinItems:
		return fmt.Sprintf("needs at least %d: %s", what.Want, k.describe(e.SchemaURL, ""))
	case *kind.MaxItems:
		return fmt.Sprintf("has more than %d: %s", what.Want, k.describe(e.SchemaURL, ""))
	case *kind.MinLength:
		return "is empty: " + k.describe(e.SchemaURL, "")
	case *kind.Minimum:
		return "is below " + decimal(what.Want) + ": " + k.describe(e.SchemaURL, "")
	case *kind.Maximum:
		return "is above " + decimal(what.Want) + ": " + k.describe(e.SchemaURL, "")
	case *kind.UniqueItems:
		return "has the same entry twice: remove one"
	default:
		return "does not fit: " + k.describe(e.SchemaURL, "")
	}
}

// wrongType names the kind of value that was found and those that are wanted.
func wrongType(what *kind.Type) string {
	want := make([]string, len(what.Want))
	for i, w := range what.Want {
		want[i] = typeWord(w)
	}
	return "is " + typeWord(what.Got) + ", not " + alternatives(want)
}

func typeWord(s string) string {
	switch s {
	case "string":
		return "text"
	case "object":
		return "a mapping"
	case "array":
		return "a list"
	case "null":
		return "nothing"
	case "boolean":
		return "true or false"
	case "integer":
		return "a whole number"
	}
	return "a " + s
}

func (k *checker) notListed(what *kind.Enum) string {
	var words []string
	for _, w := range what.Want {
		words = append(words, fmt.Sprint(w))
	}
	got, _ := what.Got.(string)
	return "is none of the possible values" + suggest(got, words)
}

// choose lists the keys of which there may be one.
func (k *checker) choose(url string) string {
	s, err := k.compiler.Compile(url)
	if err != nil || len(s.Properties) == 0 {
		return ": " + k.describe(url, "")
	}
	return ": give one of " + alternatives(sortedKeys(s))
}

func (k *checker) unknown(url, name string) string {
	s, err := k.compiler.Compile(url)
	switch {
	case err == nil && s.PropertyNames != nil:
		return "the name does not fit: " + continued(strings.TrimSuffix(s.PropertyNames.Description, "."))
	case err != nil || len(s.Properties) == 0:
		return "unknown key: remove it"
	}
	return "unknown key" + suggest(name, sortedKeys(s))
}

func sortedKeys(s *jsonschema.Schema) []string { return slices.Sorted(maps.Keys(s.Properties)) }

// describe is what the schema says about the value it describes, or about one of its properties.
func (k *checker) describe(url, property string) string {
	s, err := k.compiler.Compile(url)
	if err == nil && property != "" {
		s = s.Properties[property]
	}
	for ; s != nil; s = s.Ref {
		if s.Description != "" {
			return continued(strings.TrimSuffix(s.Description, "."))
		}
	}
	return "see the schema"
}

// continued makes a sentence go on behind a colon: its first letter is small, unless it begins an abbreviation.
func continued(s string) string {
	if len(s) > 1 && strings.ToUpper(s[:2]) == s[:2] && s[1] != ' ' {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}

// decimal writes a bound of a schema as people do.
func decimal(bound *big.Rat) string {
	f, _ := bound.Float64()
	return strconv.FormatFloat(f, 'f', -1, 64)
}
