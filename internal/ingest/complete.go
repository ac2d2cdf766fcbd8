package ingest

import (
	"fmt"
	"iter"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"keyturn/internal/events"
)

// Bounds of an event's attributes.
const (
	maxIDBytes     = 256
	maxSourceBytes = 512
	maxAhead       = 24 * time.Hour // of an event's time: more is a wrong clock, and would outrank what really comes later
)

// traceParent is the form of a W3C trace context (Trace Context, section 3.2).
var traceParent = regexp.MustCompile(`^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$`)

// complete makes events of drafts. It is all or none: the error is *TooMany, or Invalid, which lists
// every fault of every event.
//
// The subject is computed from the data; the class is the catalogue's unless the sender raises it (a sender that could
// lower it could also delay a revocation); an event without a time gets the time of receipt.
func complete(drafts []Draft, s *Source, d Delivery) ([]events.Event, error) {
	if len(drafts) > MaxEvents {
		return nil, &TooMany{len(drafts)}
	}
	var invalid Invalid
	var list []events.Event
	same := newRepeats(len(drafts))
	for i, draft := range drafts {
		e, faults := draft.event(s.scope, d)
		if len(faults) == 0 && same.add(i, e, list) {
			list = append(list, e)
		}
		for _, f := range faults {
			invalid = append(invalid, Problem{Event: i, Field: draft.At + f.Field, Rule: f.Rule})
		}
	}
	for i, with := range same.contradictions() {
		invalid = append(invalid, Problem{Event: i, Field: drafts[i].At + "/id", Rule: fmt.Sprintf("same source and id as event %d, with other content", with)})
	}
	if len(invalid) > 0 {
		slices.SortStableFunc(invalid, func(a, b Problem) int { return a.Event - b.Event })
		return nil, invalid
	}
	return list, nil
}

// repeats finds events that stand in a delivery more than once. With the same content they are one. With other content
// nobody knows which is right: to take the first would make the order of the items decide.
type repeats struct {
	first map[string]place // by case
	of    []string         // the case of each draft; empty = it has none
	torn  map[string]int   // cases with several contents, and a draft that does not say what the first does
}

// place is where a case first stood in a delivery.
type place struct{ draft, event int }

func newRepeats(n int) *repeats {
	return &repeats{first: make(map[string]place, n), of: make([]string, n)}
}

// add takes the event of a draft, and tells whether it is new in the list.
func (r *repeats) add(i int, e events.Event, list []events.Event) bool {
	id := e.Case()
	r.of[i] = id
	was, again := r.first[id]
	if !again {
		r.first[id] = place{draft: i, event: len(list)}
		return true
	}
	if list[was.event].ContentHash() != e.ContentHash() {
		if r.torn == nil {
			r.torn = map[string]int{}
		}
		r.torn[id] = i
	}
	return false
}

// contradictions gives every draft of the cases that have several contents, with one that it stands against.
func (r *repeats) contradictions() iter.Seq2[int, int] {
	return func(yield func(int, int) bool) {
		for i, id := range r.of {
			other, torn := r.torn[id]
			if !torn {
				continue
			}
			if i == other {
				other = r.first[id].draft
			}
			if !yield(i, other) {
				return
			}
		}
	}
}

// event checks a draft. The fields of its faults are pointers into the event.
func (d Draft) event(scope string, del Delivery) (events.Event, []events.Violation) {
	c := checker{faults: slices.Clone(d.Faults)}
	if len(d.Faults) > 0 && d.ID == "" && d.Data == nil {
		return events.Event{}, c.faults // not read at all: no more can be said
	}
	e := events.Event{ID: d.ID, Source: d.Source, Type: d.Type, Scope: scope}
	c.name("/id", d.ID, maxIDBytes)
	c.name("/source", d.Source, maxSourceBytes)
	if u, err := url.Parse(d.Source); d.Source != "" && (err != nil || u.String() != d.Source) {
		c.add("/source", "format: uri-reference, in normal form")
	}
	e.Time = c.time("/time", d.Time, del.Received, events.CheckYear)
	if e.Time.After(del.Received.Add(maxAhead)) {
		c.add("/time", "more than 24 hours ahead")
	}
	e.TraceParent = firstTrace(d.TraceParent, del.Header.Get("traceparent"))
	row, ok := events.Lookup(e.Name())
	if !ok {
		c.add("/type", "one of the catalogue: "+events.TypePrefix+"<name>"+events.TypeSuffix)
		return e, c.faults
	}
	e.Class = c.class(d.Class, row.Class)
	said, ok := c.data(row, d.Data)
	if !ok {
		return e, c.faults
	}
	e.Data = said.Data
	e.EffectiveAt = c.effectiveAt(d.EffectiveAt, said, row)
	e.Subject = c.subject(d.Subject, said)
	return e, c.faults
}

// checker gathers the faults of one event.
type checker struct{ faults []events.Violation }

func (c *checker) add(field, rule string) {
	c.faults = append(c.faults, events.Violation{Field: field, Rule: rule})
}

// name checks an attribute that must be there and that identifies.
func (c *checker) name(field, value string, most int) {
	switch {
	case value == "":
		c.required(field)
	case len(value) > most:
		c.add(field, fmt.Sprintf("length: at most %d", most))
	case !utf8.ValidString(value) || strings.ContainsFunc(value, unicode.IsControl) || strings.TrimSpace(value) != value:
		c.add(field, "no control characters, and no space at either end")
	}
}

// required reports an absent attribute, unless the preset already said what is wrong with it.
func (c *checker) required(field string) {
	for _, f := range c.faults {
		if f.Field == field {
			return
		}
	}
	c.add(field, "required")
}

// time reads an RFC 3339 time with a zone that keeps the rule, in UTC; fallback when none is given.
func (c *checker) time(field, value string, fallback time.Time, rule func(time.Time) string) time.Time {
	if value == "" {
		return fallback.UTC()
	}
	t, err := time.Parse(time.RFC3339Nano, value)
	if err != nil {
		c.add(field, events.RuleDateTime)
		return fallback.UTC()
	}
	if broken := rule(t); broken != "" {
		c.add(field, broken)
		return fallback.UTC()
	}
	return t.UTC()
}

// class takes a raised class, and refuses a lowered one.
func (c *checker) class(given string, row events.Class) events.Class {
	if given == "" {
		return row
	}
	order := events.Classes()
	rank := slices.Index(order, events.Class(given))
	switch {
	case rank < 0:
		c.add("/class", "one of: urgent, normal, bulk")
	case rank > slices.Index(order, row):
		c.add("/class", "may be raised, not lowered: at least "+string(row))
	}
	return events.Class(given)
}

// data checks the payload.
func (c *checker) data(row events.Entry, data []byte) (said events.Inspected, ok bool) {
	if len(data) == 0 {
		c.required("/data")
		return events.Inspected{}, false
	}
	said, faults := events.Inspect(row.Name, data)
	for _, v := range faults {
		c.add("/data"+v.Field, v.Rule)
	}
	return said, len(faults) == 0
}

// effectiveAt joins what the extension and the data say, which must agree.
func (c *checker) effectiveAt(extension string, said events.Inspected, row events.Entry) time.Time {
	if extension == "" {
		return said.EffectiveAt
	}
	if !row.Dated {
		c.add("/effectiveat", "not allowed in this event")
		return time.Time{}
	}
	given := c.time("/effectiveat", extension, time.Time{}, events.CheckEffective)
	if !given.IsZero() && !said.EffectiveAt.IsZero() && !given.Equal(said.EffectiveAt) {
		c.add("/effectiveat", "contradicts /data/effective_at")
	}
	return given
}

// subject gives the principal. A sender's own subject is taken for a check: it must be one of the names that the data
// gives, bare or with its kind.
func (c *checker) subject(given string, said events.Inspected) string {
	subject := said.Names[0].Principal()
	if given == "" || given == subject {
		return subject
	}
	for _, id := range said.Names {
		for _, form := range []string{id.Value, id.String(), id.Principal()} {
			if events.Normalize(id.Kind, given) == form {
				return subject
			}
		}
	}
	c.add("/subject", "contradicts /data")
	return subject
}

// firstTrace gives the first well-formed trace context; a malformed one is dropped, as Trace Context says.
func firstTrace(candidates ...string) string {
	for _, t := range candidates {
		if traceParent.MatchString(t) {
			return t
		}
	}
	return ""
}
