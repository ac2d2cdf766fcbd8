package ingest

import (
	"errors"
	"net/http"
	"slices"

	"keyturn/internal/events"
	"keyturn/internal/mapping"
)

// Value is what an expression gave for an item.
type Value struct {
	Item   int    `json:"item"` // -1 = before the split
	Name   string `json:"name"` // what the expression is for
	Source string `json:"source"`
	Value  any    `json:"value,omitempty"`
	Error  string `json:"error,omitempty"`
}

// Tried is what a delivery goes through, step by step.
type Tried struct {
	Handshake bool           `json:"handshake,omitempty"` // it is answered and makes no event
	Proof     []Step         `json:"proof"`
	Refused   string         `json:"refused,omitempty"` // why it is not believed; it is mapped all the same
	Items     int            `json:"items"`
	Values    []Value        `json:"values"`
	Unknown   int            `json:"unknown,omitempty"`
	Skipped   int            `json:"skipped,omitempty"`
	Faults    []string       `json:"faults,omitempty"`
	Events    []events.Event `json:"events"`
}

// Try shows a person who writes a mapping what the handler would do with a delivery: the same code, told step by step.
// Unlike the handler it goes on after a proof that failed. The error says why there is nothing to be mapped.
func (s *Source) Try(d Delivery) (Tried, error) {
	var t Tried
	asked := &http.Request{Method: d.Method, URL: d.URL, Header: d.Header}
	if _, t.Handshake = s.shakes.echo(asked); t.Handshake {
		return t, nil
	}
	steps, v, err := s.Explain(d)
	t.Proof = slices.Compact(steps) // a glance may have seen all that there is to be seen
	if err != nil {
		t.Refused = err.Error()
	}
	if s.mapping == nil {
		return t, s.tryCode(d, v, &t)
	}
	in, err := s.input(d, v)
	if err != nil {
		return t, err
	}
	var rec record
	if _, refused := s.prove(in, v, &rec); refused && t.Refused == "" {
		t.Refused = rec.err.Error()
	}
	if s.hands(in) {
		// What becomes of it is the affair of the intake, where an operator waits for the token or not.
		t.Refused = errUnawaited.Error() + " here: POST to /capture/" + s.name + " of the intake, and let the sender hand it over there"
		return t, nil
	}
	if t.Handshake, err = s.settled(in, v); t.Handshake || err != nil {
		return t, err
	}
	in.Trace = t.note
	m, err := s.events(in, d)
	t.Items, t.Unknown, t.Skipped, t.Events = m.result.Items, m.result.Unknown, m.result.Skipped, m.events
	for _, f := range m.faults {
		t.Faults = append(t.Faults, describe([]mapping.Fault{f}))
	}
	if m.result.Refused {
		err = errors.Join(err, errUnknownWord)
	}
	return t, err
}

// note is a mapping.Trace.
func (t *Tried) note(item int, name, source string, value any, err error) {
	one := Value{Item: item, Name: name, Source: source, Value: value}
	if err != nil {
		one.Error = err.Error()
	}
	t.Values = append(t.Values, one)
}

// tryCode maps by a preset that is code.
func (s *Source) tryCode(d Delivery, v Verified, t *Tried) error {
	drafts, err := s.preset.Map(d, v)
	if err != nil {
		return err
	}
	t.Items = len(drafts)
	t.Events, err = complete(drafts, s, d)
	return err
}
