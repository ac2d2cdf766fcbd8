package mapping

import (
	"errors"
	"maps"
	"time"

	"cel.dev/cel-go/common/types"

	"keyturn/internal/config"
	"keyturn/internal/events"
)

// Condition is an expression over a whole delivery, without items: for handshakes.
type Condition struct {
	run *program
	m   *Mapping
}

// NewCondition compiles an expression over body, header and query. It may use any header that is not secret, as Coverage
// has it: a handshake makes no event.
func NewCondition(x config.Expr, secret []string) (*Condition, config.Faults) {
	env, err := newEnv()
	if err != nil {
		return nil, config.Faults{{Position: x.At, What: err.Error()}}
	}
	k := &compiler{env: env, cover: Coverage{All: true, Secret: secret}}
	p := k.program(x, "handshake")
	return &Condition{run: p, m: &Mapping{headers: k.headers, queries: k.queries}}, k.faults
}

// Headers lists the names of the headers that it uses, in lower case.
func (c *Condition) Headers() []string { return c.m.headers }

// Holds evaluates it as a condition.
func (c *Condition) Holds(in Input) (bool, error) {
	s := newScope(c.m, in)
	defer s.close()
	return s.holds(c.run)
}

// Text evaluates it as a text.
func (c *Condition) Text(in Input) (string, error) {
	s := newScope(c.m, in)
	defer s.close()
	return s.text(c.run)
}

// Texts gives what one of the expressions handed to Compile as proofs gives for every item. What gives no text for an
// item gives the empty one, which proves nothing.
func (m *Mapping) Texts(in Input, source string) ([]string, error) {
	s := newScope(m, in)
	defer s.close()
	p := m.proofs[source]
	items, err := s.items()
	if err != nil {
		return nil, err
	}
	texts := make([]string, len(items))
	for i, item := range items {
		s.begin(i, item)
		out, err := s.eval(p)
		if err != nil {
			continue
		}
		if t, ok := out.(types.String); ok {
			texts[i] = string(t)
		}
	}
	return texts, nil
}

// Kept is what is stored of a delivery that could not be mapped: all that its mapping may look at, but nothing that
// Parse has dropped.
type Kept struct {
	Body     any               `json:"body"`
	Header   map[string]string `json:"header,omitempty"`
	Query    map[string]string `json:"query,omitempty"`
	Verified map[string]any    `json:"verified,omitempty"`
	Items    []int             `json:"items,omitempty"` // that could not be mapped; none = the whole delivery
	Cases    []string          `json:"cases,omitempty"` // of the events that the others gave, which are stored
}

// Keep gives what is stored; cases are those of the events that are stored already.
func Keep(in Input, faults []Fault, cases []string) Kept {
	k := Kept{Body: in.Body, Header: in.Header, Query: in.Query, Verified: in.Verified, Cases: cases}
	for _, f := range faults {
		if f.Item >= 0 {
			k.Items = append(k.Items, f.Item)
		}
	}
	return k
}

// errKept says that what was stored is not what Keep gives.
var errKept = errors.New("what was kept of the delivery cannot be read: drop it, and have it sent again")

// Restore makes the input of what Keep gave. What the mapping drops by now is dropped first.
func (m *Mapping) Restore(kept []byte, received time.Time) (Input, error) {
	tree, err := ParseJSON(kept)
	if err != nil {
		return Input{}, errKept
	}
	whole, ok := tree.(*events.Object)
	if !ok {
		return Input{}, errKept
	}
	in := Input{Received: received, Header: map[string]string{}, Query: map[string]string{}, Verified: map[string]any{}}
	for name, v := range whole.All() {
		switch name {
		case "body":
			in.Body = v
		case "header":
			texts(in.Header, v)
		case "query":
			texts(in.Query, v)
		case "verified":
			fill(in.Verified, v)
		}
	}
	m.strip(in.Body)
	return in, nil
}

// texts puts the texts of an object into a map.
func texts(list map[string]string, of any) {
	all := map[string]any{}
	fill(all, of)
	for name, one := range all {
		if s, ok := one.(string); ok {
			list[name] = s
		}
	}
}

// fill puts the members of an object into a map; what is none has none.
func fill(list map[string]any, of any) {
	if o, ok := of.(*events.Object); ok {
		maps.Insert(list, o.All())
	}
}
