package config

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"keyturn/internal/secret"
)

// path is a place in a document: keys, and indexes in decimal.
type path []string

// to is the path below p. It never shares memory with another path.
func (p path) to(steps ...string) path { return slices.Concat(p, steps) }

// document is one file, parsed and checked against its schema. What reads it may assume nothing of a value that the
// schema refuses: it gets the zero value there, and a second fault at the same path is not reported.
type document struct {
	file    string
	source  []byte // the file as it stands
	version string // Version of the file
	lines   []string
	root    *yaml.Node
	tree    any
	reader  *reader
	bad     map[string]bool        // paths at which the schema found a fault
	others  map[*yaml.Node]*origin // of nodes that came from another file
}

// keys lists the keys of the mapping at a path, in the order of the file.
func (d *document) keys(at ...string) []string {
	node := d.node(at)
	if node == nil || node.Kind != yaml.MappingNode {
		return nil
	}
	var keys []string
	for i := 0; i+1 < len(node.Content); i += 2 {
		if k := node.Content[i].Value; !slices.Contains(keys, k) {
			keys = append(keys, k)
		}
	}
	return keys
}

// items lists the paths of the elements of the sequence at a path.
func (d *document) items(at ...string) []path {
	node := d.node(at)
	if node == nil || node.Kind != yaml.SequenceNode {
		return nil
	}
	items := make([]path, len(node.Content))
	for i := range items {
		items[i] = path(at).to(strconv.Itoa(i))
	}
	return items
}

func (d *document) has(at path) bool { return d.node(at) != nil }

// node is the value at a path, nil when there is none.
func (d *document) node(at path) *yaml.Node {
	_, value, rest := d.locate(at)
	if len(rest) > 0 {
		return nil
	}
	return value
}

// locate follows a path as far as it exists: the key and the value there, and what of the path was left over.
func (d *document) locate(at path) (key, value *yaml.Node, rest path) {
	value = d.root
	for i, step := range at {
		k, v := child(value, step)
		if v == nil {
			return key, value, at[i:]
		}
		key, value = k, v
	}
	return key, value, nil
}

// child is the key and value of one step below a node; an element of a sequence has no key.
func child(node *yaml.Node, step string) (key, value *yaml.Node) {
	switch node.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(node.Content); i += 2 {
			if node.Content[i].Value == step {
				return node.Content[i], target(node.Content[i+1])
			}
		}
	case yaml.SequenceNode:
		if i, err := strconv.Atoi(step); err == nil && i >= 0 && i < len(node.Content) {
			return nil, target(node.Content[i])
		}
	}
	return nil, nil
}

// target follows an alias to what it stands for.
func target(node *yaml.Node) *yaml.Node {
	if node.Kind == yaml.AliasNode && node.Alias != nil {
		return node.Alias
	}
	return node
}

// position is where a person looks for a path: a scalar itself, the key of anything else, and for what is missing the
// nearest thing around it.
func (d *document) position(at path) Position {
	key, value, _ := d.locate(at)
	if key != nil && value.Kind != yaml.ScalarNode {
		return d.place(at, key)
	}
	return d.place(at, value)
}

// keyPosition is where the key of a path stands.
func (d *document) keyPosition(at path) Position {
	if key, _, rest := d.locate(at); key != nil && len(rest) == 0 {
		return d.place(at, key)
	}
	return d.position(at)
}

func (d *document) place(at path, node *yaml.Node) Position {
	file := d.file
	if o := d.others[node]; o != nil {
		file = o.file
	}
	return Position{File: file, Line: node.Line, Column: node.Column, Path: d.spell(at)}
}

// spell writes a path as a person would: playbooks[0].actions[1].do.
func (d *document) spell(at path) string {
	var b strings.Builder
	node := d.root
	for _, step := range at {
		switch {
		case node != nil && node.Kind == yaml.SequenceNode:
			b.WriteString("[" + step + "]")
		case !plainKeys.MatchString(step):
			b.WriteString("[" + quote(step) + "]")
		case b.Len() > 0:
			b.WriteString("." + step)
		default:
			b.WriteString(step)
		}
		if node != nil {
			_, node = child(node, step)
		}
	}
	return b.String()
}

// plainKeys need no quotes in a path.
var plainKeys = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// fault reports what is wrong at a path, unless the schema has said so already.
func (d *document) fault(at path, format string, args ...any) {
	d.report(d.position(at), format, args...)
}

// faultKey reports what is wrong with a key rather than with its value.
func (d *document) faultKey(at path, format string, args ...any) {
	d.report(d.keyPosition(at), format, args...)
}

// faultAt reports what is wrong at a place that was read before.
func (d *document) faultAt(at Position, format string, args ...any) { d.report(at, format, args...) }

func (d *document) report(at Position, format string, args ...any) {
	if !d.bad[at.Path] {
		d.reader.faults = append(d.reader.faults, Fault{Position: at, What: fmt.Sprintf(format, args...)})
	}
}

// value is the generic value at a path, nil when there is none.
func (d *document) value(at path) any {
	v := d.tree
	for _, step := range at {
		switch x := v.(type) {
		case map[string]any:
			v = x[step]
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(x) {
				return nil
			}
			v = x[i]
		default:
			return nil
		}
	}
	return v
}

// decode fills v from the value at a path. What does not fit stays zero: the schema has reported it.
func (d *document) decode(at path, v any) {
	b, err := json.Marshal(d.value(at))
	if err == nil {
		_ = json.Unmarshal(b, v)
	}
}

// texts pairs the words of a list with their places.
func (d *document) texts(at path, words []string) []Text {
	var list []Text
	for i, word := range words {
		list = append(list, Text{Value: word, At: d.position(at.to(strconv.Itoa(i)))})
	}
	return list
}

// once reports a name that another item of the same list has already.
func (d *document) once(seen map[string]Position, at path, name, what string) {
	if name == "" {
		return
	}
	if first, ok := seen[name]; ok {
		d.fault(at, "another %s in line %d has the name %s already: names make the ids of actions, choose another", what, first.Line, quote(name))
		return
	}
	seen[name] = d.position(at)
}

// secret resolves the reference at a path.
func (d *document) secret(at path, s string) secret.Value {
	if !d.has(at) {
		return secret.Value{}
	}
	v, wrong := d.reader.refs.resolve(s)
	switch told := d.reader.refs.Unresolved; {
	case wrong == "":
	case told != nil && wrong != notReference:
		here := d.position(at)
		told(Fault{Position: here, What: wrong})
		d.bad[here.Path] = true // what else is wrong with it is that it is empty
	default:
		d.fault(at, "%s", wrong)
	}
	return v
}

// duration reads a span of time such as 90s, 1h30m or 7d; an absent one is the fallback.
func (d *document) duration(at path, s string, fallback time.Duration) time.Duration {
	if s == "" {
		return fallback
	}
	v, err := ParseDuration(s)
	if err != nil || v <= 0 {
		d.fault(at, "is no span of time: write a number above zero and its unit, such as 90s, 5m, 1h30m or 7d")
		return fallback
	}
	return v
}

// ParseDuration reads Go's notation of a span of time, and d for days of 24 hours.
func ParseDuration(s string) (time.Duration, error) {
	days, rest, ok := strings.Cut(s, "d")
	if !ok {
		return time.ParseDuration(s)
	}
	n, err := strconv.ParseUint(days, 10, 16)
	if err != nil {
		return 0, fmt.Errorf("duration: days are no whole number below 65536")
	}
	total := time.Duration(n) * 24 * time.Hour
	if rest == "" {
		return total, nil
	}
	more, err := time.ParseDuration(rest)
	if err != nil || more < 0 {
		return 0, fmt.Errorf("duration: want a number and a unit behind the days")
	}
	return total + more, nil
}
