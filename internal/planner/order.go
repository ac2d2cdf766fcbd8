package planner

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
)

// order is what is remembered of one person: the names by which events called it, and its events by the time at which
// each happened. It is the body of the person's order record, changed by compare-and-swap only: of two events that are
// planned at once, one sees the other.
//
// A rescind or a rehire stays in it as a tombstone that an older termination obeys when it comes late.
type order struct {
	Names   []name   `json:"names,omitempty"` // by which events called the person
	Joins   []joint  `json:"joins,omitempty"` // what made them one person's, oldest first
	Entries []entry  `json:"entries"`         // oldest first
	Was     []string `json:"was,omitempty"`   // the persons that turned out to be this one
	// Apart are the persons that an operator took out of this one, or this one out of them: no event joins them again.
	Apart []string `json:"apart,omitempty"`
	// Into is the person that this one turned out to be: from then on nothing else stands here.
	Into string `json:"into,omitempty"`
	// Moved says of the name whose key this record has that it belongs to another person now. What else stands here is
	// about those that are still called otherwise.
	Moved string `json:"moved,omitempty"`
}

// entry is one event of a person.
type entry struct {
	Case     string       `json:"case"`
	Hash     string       `json:"hash"`
	Accepted time.Time    `json:"accepted"`
	Event    events.Event `json:"event"` // without its data
	At       time.Time    `json:"at"`    // its time, or the latest that its acceptance allows: what orders it
	By       string       `json:"by"`    // the key of the name by which it came to the person
	// Void says that its case was ended before anything came of it: it overtakes nothing any more.
	Void bool `json:"void,omitempty"`
}

// maxEntries bounds the order. What falls out is the oldest: an event that comes so late finds newer ones and is
// superseded, as it should be; a resend finds its plan. The newest tombstone never falls out.
const maxEntries = 32

// The events that are kept in order.
const (
	terminated = "user.terminated"
	rescinded  = "user.termination_rescinded"
	rehired    = "user.rehired"
)

// ordered reports whether the event has a place in its person's order.
func ordered(e events.Event) bool {
	switch e.Name() {
	case terminated, rescinded, rehired:
		return true
	}
	return false
}

// clockSkew is how far the time of an event may lie behind its acceptance and still count. A rescind that says it
// happens tonight (a local time sent as UTC) must not swallow the terminations of the hours until then.
const clockSkew = 5 * time.Minute

// entryOf is the place of a decision's event.
func entryOf(d Decision) entry {
	e := entry{Case: d.Case, Hash: d.Hash, Accepted: d.Accepted, Event: d.Event, At: d.Event.Time}
	e.Event.Data = nil
	if latest := d.Accepted.Add(clockSkew); !d.Accepted.IsZero() && e.At.After(latest) {
		e.At = latest
	}
	return e
}

// returns reports whether the event takes a termination back.
func (e entry) returns() bool { return e.Event.Name() != terminated }

// compare orders events by their own time. At the same time a rescind or rehire comes after the termination that it
// answers; what is left is decided by the case, so that every planner decides alike.
func (e entry) compare(o entry) int {
	rank := func(e entry) int {
		if e.returns() {
			return 1
		}
		return 0
	}
	return cmp.Or(e.At.Compare(o.At), e.Event.Time.Compare(o.Event.Time), cmp.Compare(rank(e), rank(o)),
		cmp.Compare(e.Case, o.Case))
}

// put gives the event its place and reports whether the order changed. A case that is in it already keeps its place,
// unless it stands there with content that lost (disown).
func (o *order) put(e entry) bool {
	if i := o.index(e.Case); i >= 0 {
		if o.Entries[i].Hash == e.Hash {
			return false
		}
		o.Entries = slices.Delete(o.Entries, i, i+1)
	}
	i, _ := slices.BinarySearchFunc(o.Entries, e, entry.compare)
	o.Entries = slices.Insert(o.Entries, i, e)
	o.trim()
	return true
}

// trim drops the oldest events above maxEntries.
func (o *order) trim() {
	for len(o.Entries) > maxEntries {
		oldest := 0
		if o.Entries[0].returns() && !slices.ContainsFunc(o.Entries[1:], entry.returns) {
			oldest = 1
		}
		o.Entries = slices.Delete(o.Entries, oldest, oldest+1)
	}
}

// index finds a case; -1 when it is not there.
func (o *order) index(caseID string) int {
	return slices.IndexFunc(o.Entries, func(e entry) bool { return e.Case == caseID })
}

// newest gives the event that decides, if there is any.
func (o *order) newest() (entry, bool) {
	for _, e := range slices.Backward(o.Entries) {
		if !e.Void {
			return e, true
		}
	}
	return entry{}, false
}

// load reads what stands under a key.
func (t *turn) load(ctx context.Context, key string) (person, error) {
	p := person{id: key}
	rec, err := t.Ledger.Last(ctx, ledger.OrderSubject(key))
	if err != nil || rec.Seq == 0 {
		return p, err
	}
	p.rec = rec
	if err := json.Unmarshal(rec.Body, &p.order); err != nil {
		return p, fmt.Errorf("order %s: %w", key, err)
	}
	return p, nil
}

// save writes it behind what was read.
func (t *turn) save(ctx context.Context, p *person, why string) error {
	body, err := json.Marshal(p.order)
	if err != nil {
		return fmt.Errorf("order %s: %w", p.id, err)
	}
	p.rec, err = t.append(ctx, p.rec, ledger.Record{
		Subject: ledger.OrderSubject(p.id), State: ledger.Kept, Reason: why, Body: body,
	})
	return err
}

// disown takes out of its person's order an event that lost its case to other content: two contents under one id came
// at the same time, this one took its place first and the other one its plan. Left there, it would supersede events
// that nobody else replaces.
func (t *turn) disown(ctx context.Context, e events.Event, decided Decision) error {
	if !ordered(e) {
		return nil
	}
	who, err := t.whose(ctx, e)
	if err != nil {
		return err
	}
	i := who.index(decided.Case)
	if i < 0 || who.Entries[i].Hash != e.ContentHash() {
		return nil
	}
	lost := who.Entries[i]
	who.Entries = slices.Delete(who.Entries, i, i+1)
	if ordered(decided.Event) {
		owner, err := t.whose(ctx, decided.Event)
		if err != nil {
			return err
		}
		if won := entryOf(decided); owner.id == who.id {
			won.By = lost.By
			who.put(won)
		}
	}
	return t.save(ctx, &who, "other content decided case "+decided.Case)
}
