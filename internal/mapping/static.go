package mapping

import (
	"slices"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"

	"keyturn/internal/config"
	"keyturn/internal/expr"
)

// look finds the headers and query parameters that an expression uses. Each must be named by a text, so that it is
// known beforehand what is looked at, and covered by the proof of the sender.
func (k *compiler) look(p *expr.Program, x config.Expr) {
	root := ast.NavigateAST(p.Tree())
	for _, ident := range ast.MatchDescendants(root, ast.KindMatcher(ast.IdentKind)) {
		kind := ident.AsIdent()
		if kind != nameHeader && kind != nameQuery {
			continue
		}
		name, found := member(ident)
		switch {
		case !found:
			k.fault(x.At, `%s must be used with a name that is a text, such as %s["x-event"]`, kind, kind)
		case kind == nameHeader && name != strings.ToLower(name):
			k.fault(x.At, "the name of a header is written in lower case here: %q", strings.ToLower(name))
		case kind == nameHeader:
			k.headers = insert(k.headers, name)
			k.covered(x, OfHeader(name), slices.Contains(k.cover.Headers, name))
		default:
			k.queries = insert(k.queries, name)
			k.covered(x, OfQuery(name), k.cover.Query)
		}
	}
}

// covered reports what anybody could change who got hold of one signed body, and what is the secret of the sender.
func (k *compiler) covered(x config.Expr, what string, signed bool) {
	if slices.Contains(k.cover.Secret, what) {
		k.fault(x.At, "uses the %s, which carries the secret of the sender: nothing may be made of it or kept of it", what)
		return
	}
	if !signed && !k.cover.All && k.why == "" {
		k.fault(x.At, "uses the %s, which the signature does not cover: take it from the body, or say in map.unsigned_headers why it may be used", what)
	}
}

// member is the name by which a use of header or query asks: header.name, header["name"], header[?"name"],
// header.?name, has(header.name), "name" in header.
func member(ident ast.NavigableExpr) (string, bool) {
	parent, ok := ident.Parent()
	if !ok {
		return "", false
	}
	switch parent.Kind() {
	case ast.SelectKind:
		return parent.AsSelect().FieldName(), true
	case ast.CallKind:
		call := parent.AsCall()
		if !slices.Contains([]string{operators.Index, operators.OptIndex, operators.OptSelect, operators.In}, call.FunctionName()) {
			return "", false
		}
		for _, arg := range call.Args() {
			if arg.Kind() == ast.LiteralKind {
				s, ok := arg.AsLiteral().(types.String)
				return string(s), ok
			}
		}
	}
	return "", false
}

func insert(list []string, name string) []string {
	if slices.Contains(list, name) {
		return list
	}
	return append(list, name)
}

// stable refuses what would make a resend another event: the time of receipt, and which of the secrets signed, in what
// an event is or says.
func (k *compiler) stable(m *Mapping) {
	uses := map[string]string{}
	for _, v := range m.vars {
		if word := changing(v.run, uses); word != "" {
			uses[v.name] = word
		}
	}
	check := func(p *program, what string) {
		if p == nil {
			return
		}
		if word := changing(p, uses); word != "" {
			k.fault(p.At(), "%s must not depend on %s: sent again, the event would be another", what, word)
		}
	}
	check(m.split, "the split")
	check(m.of, "a type")
	for _, r := range m.rows {
		if r.ignored || r.dead {
			continue
		}
		for _, id := range r.ids {
			check(id, "an id")
		}
		check(r.source, "a source")
		if r.effect != nil {
			check(r.effect.from, "a time of effect")
			check(r.effect.zoneOf, "a zone")
		}
		r.data.each(func(p *program) { check(p, "data") })
	}
}

// changing gives the word of an expression that is another when a delivery is sent again, empty when there is none; vars
// are the variables that have one.
func changing(p *program, vars map[string]string) string {
	for _, ident := range ast.MatchDescendants(ast.NavigateAST(p.Tree()), ast.KindMatcher(ast.IdentKind)) {
		switch name := ident.AsIdent(); name {
		case nameReceived:
			return nameReceived
		case nameVerified:
			if of, found := member(ident); !found || of == "key" {
				return "verified.key, which a new secret changes"
			}
		default:
			if vars[name] != "" {
				return vars[name]
			}
		}
	}
	return ""
}
