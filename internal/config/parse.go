package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Bounds of one file. They are far above what a person writes, and stop a document that was made to exhaust memory.
const (
	maxFile  = 4 << 20 // bytes
	maxNodes = 100_000 // values, with every alias written out
	maxDepth = 40      // values within values
)

// reader collects the faults of all files that are read together.
type reader struct {
	refs   Resolver
	faults Faults
}

func (r *reader) err() error   { return r.faults.Err() }
func (r *reader) faulty() bool { return len(r.faults) > 0 }

func (r *reader) fault(at Position, format string, args ...any) {
	r.faults = append(r.faults, Fault{Position: at, What: fmt.Sprintf(format, args...)})
}

// open reads, parses and checks one file, each prepare before it is checked. It is false when there is nothing that
// could be read further.
func (r *reader) open(file, schema string, prepare ...func(*document)) (*document, bool) {
	at := Position{File: file}
	b, err := r.refs.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		r.fault(at, "does not exist: create it, or name the directory that has it (KEYTURN_CONFIG_DIR)")
	case err != nil:
		r.fault(at, "cannot be read: %s", plainError(err))
	case len(b) > maxFile:
		r.fault(at, "is larger than 4 MiB: split the configuration over several deployments")
	default:
		return r.parse(file, b, schema, prepare...)
	}
	return nil, false
}

func (r *reader) parse(file string, b []byte, schema string, prepare ...func(*document)) (*document, bool) {
	root, ok := r.yaml(file, b)
	if !ok {
		return nil, false
	}
	d := &document{file: file, source: b, version: Version(b), lines: strings.Split(string(b), "\n"), root: root, reader: r, bad: map[string]bool{}}
	for _, do := range prepare {
		do(d)
	}
	c := converter{doc: d, left: maxNodes}
	d.tree = c.convert(root, nil)
	if c.left < 0 {
		r.fault(Position{File: file}, "has more than %d values, aliases written out: write less", maxNodes)
		return nil, false
	}
	checkSchema(d, schema)
	return d, true
}

// yaml parses the one document of a file.
func (r *reader) yaml(file string, b []byte) (*yaml.Node, bool) {
	var root, second yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(b))
	err := dec.Decode(&root)
	switch {
	case errors.Is(err, io.EOF), err == nil && len(root.Content) == 0:
		r.fault(Position{File: file}, "is empty: see the sample of the same name in deploy/config")
		return nil, false
	case err != nil:
		r.fault(syntaxFault(file, b, err))
		return nil, false
	}
	if err := dec.Decode(&second); !errors.Is(err, io.EOF) {
		at := Position{File: file, Line: second.Line, Column: second.Column}
		r.fault(at, "a second YAML document: everything belongs into one, remove the line ---")
		return nil, false
	}
	return root.Content[0], true
}

// syntaxFault says where the parser stops, and its complaint. What the parser quotes may be part of a secret, so that
// everything in quotes goes.
func syntaxFault(file string, b []byte, err error) (Position, string, string) {
	at := Position{File: file}
	lines := strings.SplitAfter(string(b), "\n")
	at.Line = stops(lines, err)
	line := lines[at.Line-1]
	at.Column = 1 + utf8.RuneCountInString(line[:len(line)-len(strings.TrimLeft(line, " \t-"))])
	text := complaint.ReplaceAllString(err.Error(), "")
	if m := unknownAnchor.FindStringSubmatch(text); m != nil {
		if i := strings.Index(line, "*"+m[1]); i >= 0 {
			at.Column = 1 + utf8.RuneCountInString(line[:i])
		}
		text = "a value that begins with * is an alias, and its anchor is missing: quote it if it is text"
	}
	return at, "invalid YAML: %s", quoted.ReplaceAllString(text, "(…)")
}

var (
	complaint     = regexp.MustCompile(`^yaml: (line \d+: )?`)
	unknownAnchor = regexp.MustCompile(`^unknown anchor '([^']*)'`)
	quoted        = regexp.MustCompile("'[^' ]{4,}'|`[^`]*`|\"[^\"]*\"")
)

// stops is the line at which the parser stops, from 1. The line that it tells itself is, if any, where the construct
// around it begins, which may be the first of the file. The shortest beginning of the file with the very same complaint
// ends with the line that is meant.
func stops(lines []string, err error) int {
	return 1 + sort.Search(len(lines)-1, func(i int) bool {
		var node yaml.Node
		cut := yaml.Unmarshal([]byte(strings.Join(lines[:i+1], "")), &node)
		return cut != nil && cut.Error() == err.Error()
	})
}

// converter makes the generic value of a node, and reports what YAML allows and a configuration must not have.
type converter struct {
	doc  *document
	left int // nodes that may still come
}

func (c *converter) convert(node *yaml.Node, at path) any {
	c.left--
	if c.left < 0 {
		return nil
	}
	node = target(node)
	if len(at) > maxDepth {
		c.refuse(node, at[:1], "holds something that lies deeper than %d levels: an alias may contain itself", maxDepth)
		return nil
	}
	if !standardTag(node) {
		c.refuse(node, at, "begins with !, which is a tag to YAML, and one that nothing here understands: quote the whole of it if it is text, else remove the tag")
		return nil
	}
	switch node.Kind {
	case yaml.MappingNode:
		return c.mapping(node, at)
	case yaml.SequenceNode:
		list := make([]any, 0, len(node.Content))
		for i, item := range node.Content {
			list = append(list, c.convert(item, at.to(strconv.Itoa(i))))
		}
		return list
	case yaml.ScalarNode:
		return c.scalar(node, at)
	}
	return nil
}

func (c *converter) mapping(node *yaml.Node, at path) any {
	m := make(map[string]any, len(node.Content)/2)
	lines := make(map[string]int, len(node.Content)/2)
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		here := at.to(key.Value)
		switch first, seen := lines[key.Value]; {
		case key.Kind != yaml.ScalarNode || key.ShortTag() == "!!null":
			c.doc.report(c.doc.place(at, key), "has a key that is no text: write a name before the colon")
		case key.ShortTag() == "!!merge":
			c.doc.report(c.doc.place(at, key), "merge keys (<<) are not read: write the keys out")
		case seen:
			c.refuse(key, here, "stands twice, first in line %d: remove one", first)
		default:
			lines[key.Value] = key.Line
			m[key.Value] = c.convert(value, here)
		}
	}
	return m
}

// scalar follows the YAML core schema, except that a date stays the text that it is.
func (c *converter) scalar(node *yaml.Node, at path) any {
	switch node.ShortTag() {
	case "!!null":
		return nil
	case "!!bool", "!!int", "!!float":
		var v any
		if err := node.Decode(&v); err != nil || strings.ContainsAny(fmt.Sprint(v), "INa") && node.ShortTag() == "!!float" {
			c.refuse(node, at, "is no number that can be used: correct it, or quote it if it is text")
			return nil
		}
		return v
	default:
		return node.Value
	}
}

func (c *converter) refuse(node *yaml.Node, at path, format string, args ...any) {
	place := c.doc.place(at, node)
	c.doc.report(place, format, args...)
	c.doc.bad[place.Path] = true
}

// standardTag is false for tags of applications and for !!binary, which hides what is in it.
func standardTag(node *yaml.Node) bool {
	switch node.ShortTag() {
	case "!!str", "!!int", "!!float", "!!bool", "!!null", "!!timestamp", "!!map", "!!seq", "!!merge":
		return true
	}
	return false
}
