package planner

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
)

// order is what is remembered of one person's events, by the time at which each happened. It is the body of the
// person's order record, changed by compare-and-swap only: of two events that are planned at once, one sees the other.
//
// A rescind or a rehire stays in it as a tombstone that an older termination obeys when it comes late.
type order struct {
	Entries []entry `json:"entries"` // oldest first
}

// entry is one event of a person.
type entry struct {
	Case     string       `json:"case"`
	Hash     string       `json:"hash"`
	Accepted time.Time    `json:"accepted"`
	Event    events.Event `json:"event"` // without its data
	At       time.Time    `json:"at"`    // its time, or the latest that its acceptance allows: what orders it
	// Proper are the person's identifiers that are given once and never again, as kind:value: of two events that meet
	// under a shared name (a reused e-mail), these tell two people apart.
	Proper []string `json:"proper,omitempty"`
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
	e := entry{Case: d.Case, Hash: d.Hash, Accepted: d.Accepted, Event: d.Event}
	e.Event.Data = nil
	e.At = e.Event.Time
	if latest := d.Accepted.Add(clockSkew); !d.Accepted.IsZero() && e.At.After(latest) {
		e.At = latest
	}
	for _, id := range events.PersonIdentifiers(d.Event) {
		if id.Kind == events.OktaID || id.Kind == events.EmployeeNumber {
			e.Proper = append(e.Proper, id.String())
		}
	}
	return e
}

// stranger reports whether e is of another person than o: both hold a proper identifier of one kind, and it differs.
func (e entry) stranger(o entry) bool {
	for _, a := range e.Proper {
		kind, _, _ := strings.Cut(a, ":")
		for _, b := range o.Proper {
			if a != b && strings.HasPrefix(b, kind+":") {
				return true
			}
		}
	}
	return false
}

// keys are the keys of every name that an event gives its person, the principal's first: a termination may come by
// employee number and its rescind by e-mail.
func (t *turn) keys(e events.Event) []string {
	keys := []string{t.Keyer.Key(events.Person(e))}
	for _, id := range events.PersonIdentifiers(e) {
		if key := t.Keyer.Key(id.Principal()); !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	return keys
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

// newer gives the newest event of the same person after e, if there is one.
func (o *order) newer(e entry) (entry, bool) {
	for _, last := range slices.Backward(o.Entries) {
		if !last.stranger(e) {
			return last, last.compare(e) > 0
		}
	}
	return entry{}, false
}

// older gives the events of the same person before e.
func (o *order) older(e entry) []entry {
	return slices.DeleteFunc(slices.Clone(o.Entries), func(x entry) bool { return x.compare(e) >= 0 || x.stranger(e) })
}

// loadOrder reads a person's order and the record that holds it.
func (t *turn) loadOrder(ctx context.Context, key string) (ledger.Record, order, error) {
	var o order
	rec, err := t.Ledger.Last(ctx, ledger.OrderSubject(key))
	if err != nil || rec.Seq == 0 {
		return rec, o, err
	}
	if err := json.Unmarshal(rec.Body, &o); err != nil {
		return rec, o, fmt.Errorf("order %s: %w", key, err)
	}
	return rec, o, nil
}

// saveOrder writes it behind prev.
func (t *turn) saveOrder(ctx context.Context, key string, prev ledger.Record, o order) error {
	body, err := json.Marshal(o)
	if err != nil {
		return fmt.Errorf("order %s: %w", key, err)
	}
	_, err = t.append(ctx, prev, ledger.Record{Subject: ledger.OrderSubject(key), State: ledger.Kept, Body: body})
	return err
}

// place puts the event into its person's order and gives the order in which it stands.
func (t *turn) place(ctx context.Context, key string, e entry) (order, error) {
	rec, o, err := t.loadOrder(ctx, key)
	if err != nil || !o.put(e) {
		return o, err
	}
	// Dying after this write: the event has its place without a plan. Older events obey it at once, newer ones find it
	// and take its case before it is planned; its own redelivery decides by what it finds then.
	return o, t.saveOrder(ctx, key, rec, o)
}

// disown takes out of its person's order an event that lost its case to other content: two contents under one id came
// at the same time, this one took its place first and the other one its plan. Left there, it would supersede events
// that nobody else replaces.
func (t *turn) disown(ctx context.Context, e events.Event, decided Decision) error {
	if !ordered(e) {
		return nil
	}
	for _, key := range t.keys(e) {
		if err := t.disownUnder(ctx, key, e, decided); err != nil {
			return err
		}
	}
	return nil
}

// disownUnder does so under one name of the person.
func (t *turn) disownUnder(ctx context.Context, key string, e events.Event, decided Decision) error {
	rec, o, err := t.loadOrder(ctx, key)
	if err != nil {
		return err
	}
	i := o.index(decided.Case)
	if i < 0 || o.Entries[i].Hash != e.ContentHash() {
		return nil
	}
	if ordered(decided.Event) && slices.Contains(t.keys(decided.Event), key) {
		o.put(entryOf(decided))
	} else {
		o.Entries = slices.Delete(o.Entries, i, i+1)
	}
	return t.saveOrder(ctx, key, rec, o)
}
