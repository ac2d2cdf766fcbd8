package mapping

import (
	"encoding/json"
	"errors"
	"time"

	"cel.dev/cel-go/common/types"

	"keyturn/internal/config"
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

// Restore makes the input of what Keep gave. What the mapping drops by now is dropped first. Each value is read by itself,
// as it was when it came: what nests as deep as a body may would be too deep within another object.
func (m *Mapping) Restore(kept []byte, received time.Time) (Input, error) {
	in := Input{Received: received, Header: map[string]string{}, Query: map[string]string{}, Verified: map[string]any{}}
	parts := struct {
		Body     json.RawMessage            `json:"body"`
		Header   *map[string]string         `json:"header"`
		Query    *map[string]string         `json:"query"`
		Verified map[string]json.RawMessage `json:"verified"`
	}{Header: &in.Header, Query: &in.Query}
	err := json.Unmarshal(kept, &parts)
	if err == nil {
		in.Body, err = ParseJSON(parts.Body) // it is always there
	}
	for name, one := range parts.Verified {
		if err == nil {
			in.Verified[name], err = ParseJSON(one)
		}
	}
	if err != nil {
		return Input{}, errKept
	}
	m.strip(in.Body)
	return in, nil
}
