package people

import (
	"cmp"
	"slices"
	"time"

	"keyturn/internal/events"
)

// Order is what is remembered of one person: the names by which events called it, and its events by the time at which
// each happened. It is the body of the person's order record, in the form that the ledger keeps for ever.
//
// A rescind or a rehire stays in it as a tombstone that an older termination obeys when it comes late.
type Order struct {
	Names   []Name   `json:"names,omitempty"` // by which events called the person
	Joins   []Joint  `json:"joins,omitempty"` // what made them one person's, oldest first
	Entries []Entry  `json:"entries"`         // oldest first
	Was     []string `json:"was,omitempty"`   // the persons that turned out to be this one
	// Apart are the persons that an operator took out of this one, or this one out of them: no event joins them again.
	Apart []string `json:"apart,omitempty"`
	// Into is the person that this one turned out to be: from then on nothing else stands here.
	Into string `json:"into,omitempty"`
	// Moved says of the name whose key this record has that it belongs to another person now. What else stands here is
	// about those that are still called otherwise.
	Moved string `json:"moved,omitempty"`
}

// Entry is one event of a person.
type Entry struct {
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

// Ordered reports whether the event has a place in its person's order.
func Ordered(e events.Event) bool {
	switch e.Name() {
	case terminated, rescinded, rehired:
		return true
	}
	return false
}

// clockSkew is how far the time of an event may lie behind its acceptance and still count. A rescind that says it
// happens tonight (a local time sent as UTC) must not swallow the terminations of the hours until then.
const clockSkew = 5 * time.Minute

// TimeOf is the time by which an event is ordered: its own, or the latest that its acceptance allows.
func TimeOf(e events.Event, accepted time.Time) time.Time {
	if latest := accepted.Add(clockSkew); !accepted.IsZero() && e.Time.After(latest) {
		return latest
	}
	return e.Time
}

// Returns reports whether the event takes a termination back.
func (e Entry) Returns() bool { return e.Event.Name() != terminated }

// Compare orders events by their own time. At the same time a rescind or rehire comes after the termination that it
// answers; what is left is decided by the case, so that every planner decides alike.
func (e Entry) Compare(o Entry) int {
	rank := func(e Entry) int {
		if e.Returns() {
			return 1
		}
		return 0
	}
	return cmp.Or(e.At.Compare(o.At), e.Event.Time.Compare(o.Event.Time), cmp.Compare(rank(e), rank(o)),
		cmp.Compare(e.Case, o.Case))
}

// Put gives the event its place and reports whether the order changed. A case that is in it already keeps its place,
// unless it stands there with content that lost.
func (o *Order) Put(e Entry) bool {
	if i := o.Index(e.Case); i >= 0 {
		if o.Entries[i].Hash == e.Hash {
			return false
		}
		o.Entries = slices.Delete(o.Entries, i, i+1)
	}
	i, _ := slices.BinarySearchFunc(o.Entries, e, Entry.Compare)
	o.Entries = slices.Insert(o.Entries, i, e)
	o.trim()
	return true
}

// trim drops the oldest events above maxEntries.
func (o *Order) trim() {
	for len(o.Entries) > maxEntries {
		oldest := 0
		if o.Entries[0].Returns() && !slices.ContainsFunc(o.Entries[1:], Entry.Returns) {
			oldest = 1
		}
		o.Entries = slices.Delete(o.Entries, oldest, oldest+1)
	}
}

// Index finds a case; -1 when it is not there.
func (o *Order) Index(caseID string) int {
	return slices.IndexFunc(o.Entries, func(e Entry) bool { return e.Case == caseID })
}

// Newest gives the event that decides, if there is any.
func (o *Order) Newest() (Entry, bool) {
	for _, e := range slices.Backward(o.Entries) {
		if !e.Void {
			return e, true
		}
	}
	return Entry{}, false
}

// Voided reports whether a case has a place in the order and overtakes nothing any more.
func (o *Order) Voided(caseID string) bool {
	i := o.Index(caseID)
	return i >= 0 && o.Entries[i].Void
}
