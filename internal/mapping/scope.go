package mapping

import (
	"context"
	"fmt"
	"strconv"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"keyturn/internal/expr"
)

// scope is what the names in an expression stand for: a cel activation for one item at a time.
type scope struct {
	ctx      context.Context // nil until something loops
	end      context.CancelFunc
	m        *Mapping
	body     ref.Val
	header   ref.Val
	query    ref.Val
	verified ref.Val
	received ref.Val
	trace    Trace
	left     uint64 // of maxSpent

	at   int
	item ref.Val
	vars []ref.Val // nil = not asked for yet
}

// newScope makes the scope of a delivery, which must be closed.
func newScope(m *Mapping, in Input) *scope {
	native := inOrder{}.NativeToValue
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
		m: m, body: native(in.Body), header: native(in.Header), query: native(in.Query),
		verified: native(in.Verified), received: types.Timestamp{Time: in.Received}, trace: in.Trace, left: maxSpent,
	}
	s.begin(-1, types.NullValue)
	return s
}

func (s *scope) close() {
	if s.end != nil {
		s.end()
	}
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
	case p.path != nil:
		out, _ = p.path.walk(s)
	}
	if out == nil && err == nil {
		if p.Loops() && s.ctx == nil {
			s.ctx, s.end = context.WithTimeout(context.Background(), expr.MaxTime)
		}
		if s.left == 0 {
			return nil, p.Fault(tooMuch)
		}
		var spent uint64
		out, spent, err = p.Spend(s.ctx, s)
		if enough := s.spend(spent); err == nil && !enough {
			out, err = nil, p.Fault(tooMuch)
		}
	}
	if s.trace != nil {
		s.show(p, out, err)
	}
	return out, err
}

// maxSpent bounds what all expressions of one delivery may cost together, in CEL's units, and what they may give, in bytes:
// a text beside the items that each of thousands looks at, or takes over, would cost minutes and gigabytes. It is a few
// seconds at the worst, and four times what the costliest preset needs for as many items as a delivery may have.
const maxSpent = 20 * expr.MaxCost

// tooMuch is what is wrong with an item that comes when that is spent.
const tooMuch = "costs too much beside the items before it: have fewer sent at a time, or make the mapping simpler"

// spend takes a cost, and reports whether there was enough.
func (s *scope) spend(cost uint64) bool {
	enough := cost <= s.left
	s.left -= min(cost, s.left)
	return enough
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
	switch {
	case r.ignored:
		return Draft{}, skipped, nil
	case r.dead:
		return Draft{}, made, s.m.of.Fault("gives " + strconv.Quote(word) + ", which a person must decide about: say in the table which event it is, or ignore it")
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
	if d.Data, err = s.encode(r.data); err == nil && !s.spend(uint64(len(d.Data))) {
		d, err = Draft{}, s.m.of.Fault(tooMuch)
	}
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
