package mapping

import (
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"

	"keyturn/internal/config"
	"keyturn/internal/events"
	"keyturn/internal/expr"
)

// formatForm is the form of a body that is not JSON.
const formatForm = "form"

// Coverage is what of a request its sender's proof covers.
type Coverage struct {
	All     bool     // the proof is not over bytes at all: a token, a certificate
	Headers []string // lower-case names
	Query   bool
	// Secret is what carries the proof itself, as OfHeader and OfQuery name it. No expression may look at it: what is
	// kept of a delivery, shown of it or made of it would hold the secret.
	Secret []string
}

// OfHeader names a header in Coverage.Secret.
func OfHeader(name string) string { return "header " + strings.ToLower(name) }

// OfQuery names a query parameter in Coverage.Secret.
func OfQuery(name string) string { return "query parameter " + name }

// compiler compiles one mapping and collects its faults.
type compiler struct {
	env     *cel.Env
	faults  config.Faults
	headers []string
	queries []string
	cover   Coverage
	why     string // unsigned_headers
}

// Compile compiles a mapping. preset names the source of events that say no other; proofs are expressions over an item
// that Texts will be asked for. The error is config.Faults: all that is wrong, with its place.
func Compile(preset string, c config.Mapping, cover Coverage, proofs []config.Expr) (*Mapping, error) {
	env, err := newEnv()
	if err != nil {
		return nil, err
	}
	k := &compiler{env: env, cover: cover, why: c.UnsignedHeaders}
	m := &Mapping{
		format: c.Format, unknown: c.Unknown, rows: map[string]*row{}, index: map[string]int{},
		source: "urn:keyturn:source:" + preset, keep: allowed(k.pointers(c.Keep)), redact: k.pointers(c.Redact), proofs: map[string]*program{},
	}
	k.variables(m, c.Variables)
	m.split = k.optional(c.Split, "split", cel.ListType(cel.DynType), "not a list: name a list of the body")
	m.when = k.condition(c.When, "when")
	m.of = k.program(c.Of, "type.of")
	for _, r := range c.Rows {
		m.rows[r.Word] = k.row(r, c.Fields.EffectiveAt)
	}
	for _, x := range proofs {
		m.proofs[x.Source] = k.program(x, "body_token.at")
	}
	k.stable(m)
	m.headers, m.queries = k.headers, k.queries
	if len(k.faults) > 0 {
		return nil, k.faults.Err()
	}
	return m, nil
}

func (k *compiler) fault(at config.Position, format string, args ...any) {
	k.faults = append(k.faults, config.Fault{Position: at, What: fmt.Sprintf(format, args...)})
}

// variables adds each variable to the environment of those that come after it.
func (k *compiler) variables(m *Mapping, list []config.Variable) {
	own := []string{nameBody, nameItem, nameHeader, nameQuery, nameReceived, nameVerified}
	for _, v := range list {
		if _, twice := m.index[v.Name]; twice || slices.Contains(own, v.Name) {
			k.fault(v.At, "the name %q is taken: choose another", v.Name)
			continue
		}
		p := k.program(*v.Value, v.Name)
		if p == nil {
			continue
		}
		env, err := k.env.Extend(cel.Variable(v.Name, p.Type))
		if err != nil {
			k.fault(v.At, "cannot be a name: choose another")
			continue
		}
		k.env = env
		m.index[v.Name] = len(m.vars)
		m.vars = append(m.vars, variable{name: v.Name, run: p})
	}
}

// program compiles an expression, nil with its faults when it cannot be.
func (k *compiler) program(x config.Expr, name string) *program {
	if x.Source == "" {
		return nil // the schema has said so
	}
	p, faults := expr.Compile(k.env, x, explain)
	k.faults = append(k.faults, faults...)
	if p == nil {
		return nil
	}
	k.look(p, x)
	compiled := &program{Program: p, name: name}
	switch e := p.Tree().Expr(); e.Kind() {
	case ast.LiteralKind:
		compiled.constant = e.AsLiteral()
	case ast.IdentKind:
		compiled.ident = e.AsIdent()
	default:
		compiled.path = newPath(e)
	}
	return compiled
}

// explain says what to do about the commonest mistake: a name that is not there.
func explain(err *common.Error) string {
	message := expr.Message(err)
	if strings.Contains(message, "undeclared reference") && !strings.Contains(message, "did you mean") {
		message += ": there are body, item, header, query, received, verified and the variables above"
	}
	return message
}

func (k *compiler) optional(x *config.Expr, name string, t *cel.Type, advice string) *program {
	if x == nil {
		return nil
	}
	p := k.program(*x, name)
	if p != nil && t.Kind() == cel.ListKind && p.Type.Kind() == cel.ListKind {
		return p
	}
	if p != nil {
		k.faults = append(k.faults, p.Want(t, advice)...)
	}
	return p
}

func (k *compiler) condition(x *config.Expr, name string) *program {
	return k.optional(x, name, cel.BoolType, "not true or false: compare it with something")
}

// row compiles what a word stands for. whole is the time of effect of rows that say no other: it is left out where the
// event cannot have one.
func (k *compiler) row(c config.Row, whole *config.Effective) *row {
	if word := c.Event.Value; word == config.Ignore || word == config.Dead {
		if c.When != nil {
			k.fault(c.When.At, "has no effect beside %s: remove it, or name an event", word)
		}
		return &row{ignored: word == config.Ignore, dead: word == config.Dead}
	}
	r := &row{when: k.condition(c.When, c.Word+".when"), data: k.params(c.Fields.Data, "data")}
	entry, ok := events.Lookup(c.Event.Value)
	if !ok && c.Event.Value != "" {
		k.fault(c.Event.At, "no such event%s", config.Suggest(c.Event.Value, append(names(), config.Ignore, config.Dead)))
	}
	r.event = entry.Type()
	for i, id := range c.Fields.ID {
		if p := k.program(id, fmt.Sprintf("id[%d]", i)); p != nil {
			r.ids = append(r.ids, p)
		}
	}
	if c.Fields.Source != nil {
		r.source = k.program(*c.Fields.Source, "source")
	}
	if c.Fields.Class != nil {
		r.class = k.program(*c.Fields.Class, "class")
	}
	if c.Fields.Time != nil {
		r.time = k.time(*c.Fields.Time)
	}
	if c.Fields.Data == nil {
		k.fault(c.At, "has no data: write data, here or for the whole mapping")
	}
	switch {
	case c.Fields.EffectiveAt == nil:
	case entry.Dated:
		r.effect = k.effective(*c.Fields.EffectiveAt)
	case c.Fields.EffectiveAt != whole && ok:
		k.fault(c.Fields.EffectiveAt.At, "has no effect: %s takes effect at once", entry.Name)
	}
	return r
}

func names() []string {
	var list []string
	for _, row := range events.Catalogue() {
		list = append(list, row.Name)
	}
	return list
}

// pointers parses JSON pointers (RFC 6901).
func (k *compiler) pointers(list []config.Text) [][]string {
	var pointers [][]string
	for _, text := range list {
		steps := strings.Split(text.Value, "/")[1:]
		for i, s := range steps {
			steps[i] = strings.ReplaceAll(strings.ReplaceAll(s, "~1", "/"), "~0", "~")
		}
		if len(steps) > 0 {
			pointers = append(pointers, steps)
		}
	}
	return pointers
}
