// Package mapping turns a verified delivery of any sender into drafts of events, by expressions that stand in a file.
//
// It is pure: the same delivery gives the same drafts, whenever it is mapped. That is what makes a resend the same
// cases, and a delivery that could not be mapped mappable later. Its contract: an expression that fails is never "no
// match". What cannot be mapped comes out as a fault of its item, and the other items of the delivery are mapped all
// the same. No fault repeats anything of the delivery.
package mapping

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"keyturn/internal/expr"
)

// MaxItems bounds the items of one delivery.
const MaxItems = 5_000

// Mapping is a compiled config.Mapping. It may be used by several goroutines.
type Mapping struct {
	format  string
	redact  [][]string
	split   *program
	when    *program
	of      *program
	rows    map[string]*row
	unknown string
	source  string // unless the expression says another
	vars    []variable
	index   map[string]int // of vars
	headers []string
	queries []string
	proofs  map[string]*program // by their text
}

// program is an expression with the name under which a Trace shows it. A constant needs no evaluation, nor does what
// is nothing but a name.
type program struct {
	*expr.Program
	name     string
	constant ref.Val
	ident    string
}

type variable struct {
	name string
	run  *program
}

// row is what a word of the sender stands for. ignored rows have nothing else.
type row struct {
	event   string // full type
	when    *program
	ids     []*program
	source  *program
	time    *instant
	effect  *instant
	class   *program
	data    value
	ignored bool
}

// Input is a delivery as expressions see it.
type Input struct {
	Received time.Time
	Body     any               // as Parse gives it
	Header   map[string]string // by lower-case name: those of Headers that came
	Query    map[string]string // by name: those of Queries that came
	Verified map[string]any    // issuer, claims and key
	Trace    Trace             // nil = none
}

// Trace is shown what every expression gave, for a person who writes a mapping. item is -1 before the split.
type Trace func(item int, name, source string, value any, err error)

// Draft is an event as an item gives it: texts, not yet checked. An empty text was not given.
type Draft struct {
	Item        int
	ID          string
	Source      string
	Type        string // full CloudEvents type
	Time        string // RFC 3339
	Class       string
	EffectiveAt string // RFC 3339
	Data        []byte // JSON
}

// Fault is an item that could not be mapped, or with Item -1 the whole delivery.
type Fault struct {
	Item int
	Err  error
}

// Result is what became of the items of a delivery.
type Result struct {
	Drafts  []Draft
	Faults  []Fault
	Items   int
	Unknown int  // items whose word the table does not hold, and which are only counted
	Skipped int  // items that are known to make no event
	Refused bool // an unknown word, which the preset refuses: 400
}

// Headers lists the names of the headers that expressions use, in lower case.
func (m *Mapping) Headers() []string { return m.headers }

// Queries lists the names of the query parameters that expressions use.
func (m *Mapping) Queries() []string { return m.queries }

// Map maps every item of a delivery.
func (m *Mapping) Map(in Input) Result {
	ctx, cancel := context.WithTimeout(context.Background(), expr.MaxTime)
	defer cancel()
	s := newScope(ctx, m, in)
	items, err := s.items()
	if err != nil {
		return Result{Faults: []Fault{{Item: -1, Err: err}}}
	}
	r := Result{Items: len(items)}
	for i, item := range items {
		s.begin(i, item)
		draft, what, err := s.item1()
		switch {
		case err != nil:
			r.Faults = append(r.Faults, Fault{Item: i, Err: err})
		case what == made:
			draft.Item = i
			r.Drafts = append(r.Drafts, draft)
		case what == skipped:
			r.Skipped++
		case m.unknown == "reject":
			r.Refused = true
		case m.unknown == "dead":
			r.Faults = append(r.Faults, Fault{Item: i, Err: m.of.Fault("gives a word that the table does not hold: add it, or ignore it")})
		default:
			r.Unknown++
		}
	}
	return r
}

// outcome is what became of an item without a fault.
type outcome uint8

const (
	made outcome = iota
	skipped
	unknown
)

// scope is what the names in an expression stand for: a cel activation for one item at a time.
type scope struct {
	ctx      context.Context
	m        *Mapping
	body     ref.Val
	header   ref.Val
	query    ref.Val
	verified ref.Val
	received ref.Val
	trace    Trace

	at   int
	item ref.Val
	vars []ref.Val // nil = not asked for yet
}

func newScope(ctx context.Context, m *Mapping, in Input) *scope {
	native := types.DefaultTypeAdapter.NativeToValue
	if in.Header == nil {
		in.Header = map[string]string{}
	}
	if in.Query == nil {
		in.Query = map[string]string{}
	}
	if in.Verified == nil {
		in.Verified = map[string]any{}
	}
	s := &scope{
		ctx: ctx, m: m, body: native(in.Body), header: native(in.Header), query: native(in.Query),
		verified: native(in.Verified), received: types.Timestamp{Time: in.Received}, trace: in.Trace,
	}
	s.begin(-1, types.NullValue)
	return s
}

func (s *scope) begin(at int, item ref.Val) {
	s.at, s.item = at, item
	if s.vars == nil || len(s.m.vars) > 0 {
		s.vars = make([]ref.Val, len(s.m.vars))
	}
}

// ResolveName gives what a name stands for. A variable is evaluated when it is first asked for.
func (s *scope) ResolveName(name string) (any, bool) {
	switch name {
	case nameBody:
		return s.body, true
	case nameItem:
		return s.item, true
	case nameHeader:
		return s.header, true
	case nameQuery:
		return s.query, true
	case nameVerified:
		return s.verified, true
	case nameReceived:
		return s.received, true
	}
	i, ok := s.m.index[name]
	if !ok {
		return nil, false
	}
	if s.vars[i] == nil {
		v, err := s.eval(s.m.vars[i].run)
		if err != nil {
			v = types.WrapErr(err)
		}
		s.vars[i] = v
	}
	return s.vars[i], true
}

// named is what a name stands for, as if it were evaluated.
func (s *scope) named(name string) (ref.Val, error) {
	v, _ := s.ResolveName(name)
	if failed, ok := v.(*types.Err); ok {
		return nil, failed.Unwrap()
	}
	return v.(ref.Val), nil
}

// Parent is nobody.
func (s *scope) Parent() cel.Activation { return nil }

var _ cel.Activation = (*scope)(nil)

// eval evaluates one expression for the item.
func (s *scope) eval(p *program) (ref.Val, error) {
	out, err := p.constant, error(nil)
	switch {
	case p.ident != "":
		out, err = s.named(p.ident)
	case out == nil:
		out, err = p.Eval(s.ctx, s)
	}
	if s.trace != nil {
		s.show(p, out, err)
	}
	return out, err
}

func (s *scope) show(p *program, out ref.Val, err error) {
	var shown any
	if err == nil {
		if shown, err = plain(out); err != nil {
			shown, err = fmt.Sprint(out.Type().TypeName()), nil
		}
	}
	s.trace(s.at, p.name, p.Source(), shown, err)
}

// items splits the delivery.
func (s *scope) items() ([]ref.Val, error) {
	if s.m.split == nil {
		return []ref.Val{s.body}, nil
	}
	out, err := s.eval(s.m.split)
	if err != nil {
		return nil, err
	}
	list, ok := out.(traits.Lister)
	if !ok {
		return nil, s.m.split.Fault("gives no list")
	}
	n, _ := list.Size().(types.Int)
	if n > MaxItems {
		return nil, s.m.split.Fault("gives " + strconv.FormatInt(int64(n), 10) + " items, at most " + strconv.Itoa(MaxItems) + " are taken")
	}
	items := make([]ref.Val, 0, n)
	for it := list.Iterator(); it.HasNext() == types.True; {
		items = append(items, it.Next())
	}
	return items, nil
}

// item1 maps one item.
func (s *scope) item1() (Draft, outcome, error) {
	if ok, err := s.holds(s.m.when); !ok || err != nil {
		return Draft{}, skipped, err
	}
	word, err := s.text(s.m.of)
	if err != nil {
		return Draft{}, made, err
	}
	r := s.m.rows[word]
	if r == nil {
		return Draft{}, unknown, nil
	}
	if r.ignored {
		return Draft{}, skipped, nil
	}
	if ok, err := s.holds(r.when); !ok || err != nil {
		return Draft{}, skipped, err
	}
	d, err := s.draft(r)
	return d, made, err
}

func (s *scope) draft(r *row) (d Draft, err error) {
	d.Type, d.Source = r.event, s.m.source
	if d.ID, err = s.first(r.ids); err != nil {
		return d, err
	}
	if r.source != nil {
		if d.Source, err = s.text(r.source); err != nil {
			return d, err
		}
	}
	if d.Time, err = s.instant(r.time); err != nil {
		return d, err
	}
	if d.EffectiveAt, err = s.instant(r.effect); err != nil {
		return d, err
	}
	if r.class != nil {
		if d.Class, err = s.text(r.class); err != nil {
			return d, err
		}
	}
	d.Data, err = s.encode(r.data)
	return d, err
}

// holds evaluates a condition; none holds always.
func (s *scope) holds(p *program) (bool, error) {
	if p == nil {
		return true, nil
	}
	out, err := s.eval(p)
	if err != nil {
		return false, err
	}
	b, ok := out.(types.Bool)
	if !ok {
		return false, p.Fault("is neither true nor false for this event")
	}
	return bool(b), nil
}

// first gives the first text that is not empty.
func (s *scope) first(list []*program) (string, error) {
	for _, p := range list {
		if id, err := s.text(p); err != nil || id != "" {
			return id, err
		}
	}
	return "", list[len(list)-1].Fault("gives no text, nor does any before it: an event without an id cannot be told from its repeat")
}

// text evaluates an expression that gives a text. Nothing is the empty text, a whole number is its digits.
func (s *scope) text(p *program) (string, error) {
	out, err := s.eval(p)
	if err != nil {
		return "", err
	}
	t, ok := textOf(out)
	if !ok {
		return "", p.Fault("gives no text for this event")
	}
	return t, nil
}
