package config

import (
	"strconv"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"
)

// Expr is a CEL expression as text, with what is needed to say where in the file one of its characters stands.
type Expr struct {
	Source string
	At     Position // of the value that holds it

	lines []string   // of the file
	node  *yaml.Node // the scalar
}

// Place is where line (from 1) and column (from 0) of the expression stand in the file. YAML folds lines, takes
// indentation away and writes quotes and escapes, but what is no white space comes in the same order in the file and in
// the value: the place is found by counting it.
func (e Expr) Place(line, column int) Position {
	p := e.At
	if line < 1 || column < 0 { // the compiler has no place of some faults
		return p
	}
	if e.node == nil || e.node.Line < 1 || e.node.Line > len(e.lines) {
		return p
	}
	n, on := e.ink(line, column)
	at, from := e.node.Line-1, e.node.Column-1
	switch {
	case e.styled(yaml.LiteralStyle | yaml.FoldedStyle):
		at, from = at+1, 0
	case e.styled(yaml.DoubleQuotedStyle | yaml.SingleQuotedStyle):
		from++
	}
	for ; at < len(e.lines); at, from = at+1, 0 {
		raw := []rune(e.lines[at])
		for i := from; i < len(raw); {
			width, white := e.unit(raw[i:])
			switch {
			case white:
			case n == 0 && on:
				p.Line, p.Column = at+1, i+1
				return p
			case n == 1 && !on:
				p.Line, p.Column = at+1, i+1+width
				return p
			default:
				n--
			}
			i += width
		}
	}
	return p
}

func (e Expr) styled(s yaml.Style) bool { return e.node.Style&s != 0 }

// ink counts the characters of the scalar's value before a place of the expression that are no white space, and
// reports whether the place is such a character itself.
func (e Expr) ink(line, column int) (n int, on bool) {
	value := []rune(e.node.Value)
	target := len([]rune(e.node.Value[:max(strings.Index(e.node.Value, e.Source), 0)])) + column
	for i, l := range strings.SplitAfter(e.Source, "\n") {
		if i+1 < line {
			target += len([]rune(l))
		}
	}
	target = min(target, len(value))
	for _, c := range value[:target] {
		if !unicode.IsSpace(c) {
			n++
		}
	}
	return n, n == 0 || target < len(value) && !unicode.IsSpace(value[target])
}

// unit is how much of a line makes one character of the value, and whether that one is white space or none at all.
func (e Expr) unit(raw []rune) (width int, white bool) {
	switch {
	case e.styled(yaml.SingleQuotedStyle) && raw[0] == '\'' && len(raw) > 1:
		return 2, false
	case e.styled(yaml.DoubleQuotedStyle) && raw[0] == '\\':
		if len(raw) == 1 {
			return 1, true // the line goes on in the next
		}
		width = min(escapeLength(raw[1]), len(raw))
		if code, err := strconv.ParseUint(string(raw[2:width]), 16, 32); err == nil {
			return width, unicode.IsSpace(rune(code))
		}
		return width, strings.ContainsRune("\t nrtvf_NLP", raw[1])
	}
	return 1, unicode.IsSpace(raw[0])
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
	return d.expr(at, s)
}

func (d *document) expr(at path, source string) *Expr {
	node := d.node(at)
	if node == nil {
		return nil
	}
	lines := d.lines
	if o := d.others[node]; o != nil {
		lines = o.lines
	}
	return &Expr{Source: source, At: d.position(at), lines: lines, node: node}
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
		return nil, d.expr(at, source)
	}
	switch {
	case strings.Contains(s, "${{"):
		d.fault(at, "an expression must be the whole value: join texts inside it, ${{ 'a' + event.subject }}")
	case strings.Contains(s, "${env:"), strings.Contains(s, "${file:"):
		d.fault(at, "a secret has no place in a playbook: refer to it in "+ConnectionsFile)
	}
	return s, nil
}
