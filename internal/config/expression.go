package config

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

// Expr is a CEL expression as text, with what is needed to say where in the file one of its characters stands.
type Expr struct {
	Source string
	At     Position // of the value that holds it

	lines  []string   // of the file
	node   *yaml.Node // the scalar
	offset int        // characters of the scalar's value before Source
}

// Place is where line (from 1) and column (from 0) of the expression stand in the file: exact for values on one line
// and for literal blocks (|), the start of the value for what YAML folds.
func (e Expr) Place(line, column int) Position {
	p := e.At
	if e.node == nil || e.node.Line < 1 || e.node.Line > len(e.lines) {
		return p
	}
	if line == 1 {
		column += e.offset
	}
	switch e.node.Style &^ (yaml.FlowStyle | yaml.TaggedStyle) {
	case yaml.LiteralStyle:
		p.Line = e.node.Line + line
		p.Column = 1 + column + e.indent()
	case yaml.FoldedStyle:
		p.Line, p.Column = e.node.Line+1, 1+e.indent()
	default:
		if line == 1 {
			p.Column = e.node.Column + e.rawOffset(column)
		}
	}
	return p
}

// indent is the indentation of a block scalar: that of its first line with text.
func (e Expr) indent() int {
	for _, line := range e.lines[e.node.Line:] {
		if text := strings.TrimLeft(line, " "); text != "" {
			return len(line) - len(text)
		}
	}
	return 0
}

// rawOffset is how far behind the node's first character the n-th character of its value stands: quotes and escapes
// take more room in the file than in the value.
func (e Expr) rawOffset(n int) int {
	raw := []rune(e.lines[e.node.Line-1])
	start := e.node.Column - 1
	if start < 0 || start > len(raw) {
		return n
	}
	raw = raw[start:]
	double, single := e.node.Style&yaml.DoubleQuotedStyle != 0, e.node.Style&yaml.SingleQuotedStyle != 0
	i := 0
	if double || single {
		i = 1
	}
	for ; n > 0 && i < len(raw); n-- {
		switch {
		case double && raw[i] == '\\' && i+1 < len(raw):
			i += escapeLength(raw[i+1])
		case single && raw[i] == '\'':
			i += 2
		default:
			i++
		}
	}
	return i
}

// escapeLength is the length of an escape of a double-quoted scalar by the letter behind its backslash (YAML 1.2,
// section 5.7).
func escapeLength(letter rune) int {
	switch letter {
	case 'x':
		return 4
	case 'u':
		return 6
	case 'U':
		return 10
	}
	return 2
}

// condition is a `when`: the whole of it is CEL.
func (d *document) condition(at path, s string) *Expr {
	if strings.Contains(s, "${{") {
		d.fault(at, "the whole of it is an expression already: write it without ${{ }}")
		return nil
	}
	return d.expr(at, s, 0)
}

func (d *document) expr(at path, source string, offset int) *Expr {
	node := d.node(at)
	if node == nil {
		return nil
	}
	lines := d.lines
	if o := d.others[node]; o != nil {
		lines = o.lines
	}
	return &Expr{Source: source, At: d.position(at), lines: lines, node: node, offset: offset}
}

// params reads the mapping at a path as parameters.
func (d *document) params(at path) []Param {
	var list []Param
	for _, name := range d.keys(at...) {
		here := at.to(name)
		list = append(list, Param{Name: name, Value: d.param(here), At: d.keyPosition(here)})
	}
	return list
}

// param reads one value of a parameter.
func (d *document) param(at path) Value {
	v := Value{At: d.position(at)}
	switch x := d.value(at).(type) {
	case string:
		v.Literal, v.Expr = d.literal(at, x)
	case []any:
		v.List = []Value{}
		for _, here := range d.items(at...) {
			v.List = append(v.List, d.param(here))
		}
	case map[string]any:
		v.Map = append([]Param{}, d.params(at)...)
	default:
		v.Literal = x
	}
	return v
}

// literal tells an expression from text.
func (d *document) literal(at path, s string) (any, *Expr) {
	if body, ok := strings.CutPrefix(strings.TrimSpace(s), "${{"); ok && strings.HasSuffix(body, "}}") {
		body = strings.TrimSuffix(body, "}}")
		source := strings.TrimSpace(body)
		if source == "" {
			d.fault(at, "the expression is empty: write one between ${{ and }}")
			return nil, nil
		}
		lead := s[:strings.Index(s, source)]
		if strings.Contains(lead, "\n") {
			lead = ""
		}
		return nil, d.expr(at, source, len([]rune(lead)))
	}
	switch {
	case strings.Contains(s, "${{"):
		d.fault(at, "an expression must be the whole value: join texts inside it, ${{ 'a' + event.subject }}")
	case strings.Contains(s, "${env:"), strings.Contains(s, "${file:"):
		d.fault(at, "a secret has no place in a playbook: refer to it in "+ConnectionsFile)
	}
	return s, nil
}
