// Package events is the centre of Keyturn: the catalogue of events, and every form that travels between its parts
// (events, plans, actions, commands, dead letters, outcomes), with their identities.
//
// Identity is the promise of this package. A case id depends only on the scope and on the event's own source and id,
// an action id only on the case and on the names that a playbook gives: the same event, sent, stored or delivered any
// number of times, is the same case with the same actions for ever. It imports the schemas only.
package events

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// TypePrefix and TypeSuffix enclose the name of a catalogue event in its CloudEvents type: dev.keyturn.<name>.v1.
const (
	TypePrefix = "dev.keyturn."
	TypeSuffix = ".v1"
)

// Class says how urgent an event and all its actions are.
type Class string

// The classes, most urgent first.
const (
	Urgent Class = "urgent" // a compromise, a lost device
	Normal Class = "normal" // a termination
	Bulk   Class = "bulk"   // onboarding
)

// Classes lists the classes, most urgent first: the order in which a lane serves them.
func Classes() []Class { return []Class{Urgent, Normal, Bulk} }

// Valid reports whether c is one of the classes.
func (c Class) Valid() bool { return slices.Contains(Classes(), c) }

// Event is a CloudEvent 1.0 of the catalogue, in the form that the code handles. Its wire form is CloudEvents
// structured mode (codec.go). Inside a plan it is plain JSON under the same member names.
type Event struct {
	ID          string          `json:"id"`                    // CloudEvents id: the sender's own, stable under resend
	Source      string          `json:"source"`                // CloudEvents source: a URI-reference of the sender's instance
	Type        string          `json:"type"`                  // full CloudEvents type, dev.keyturn.<name>.v1
	Subject     string          `json:"subject"`               // the principal, "user:maria@acme.example"
	Time        time.Time       `json:"time,omitzero"`         // when it happened, by the sender's clock
	Scope       string          `json:"scope,omitempty"`       // what CaseID is taken in: the configured source's name or its dedup_scope
	Class       Class           `json:"class,omitempty"`       // how urgent
	EffectiveAt time.Time       `json:"effectiveat,omitzero"`  // when it takes effect; zero = now
	TraceParent string          `json:"traceparent,omitempty"` // W3C trace context of the delivery that started it; empty when not traced
	Data        json.RawMessage `json:"data,omitempty"`        // the payload in canonical form (Canonical); additional fields are kept
}

// Name is the catalogue name of the event: "user.terminated". It is empty for a type outside the catalogue's form.
func (e Event) Name() string {
	s, ok := strings.CutPrefix(e.Type, TypePrefix)
	if !ok {
		return ""
	}
	s, ok = strings.CutSuffix(s, TypeSuffix)
	if !ok {
		return ""
	}
	return s
}

// Case is the id of the case that the event opens.
func (e Event) Case() string { return CaseID(e.Scope, e) }

// ContentHash identifies what the event says: 16 hex digits of SHA-256 over the length-prefixed type, subject and
// data in canonical form (data that has none is taken as it is), and the time of effect in UTC where the data does not
// say it already. Two events of one case with different hashes are a conflict (a weak sender must neither pre-empt nor
// swallow a real event). The time is no part of it: a sender that gives none gets the time of receipt, which a resend
// changes.
func (e Event) ContentHash() string {
	data, err := Canonical(e.Data)
	if err != nil {
		data = e.Data
	}
	h := sha256.New()
	writeParts(h, e.Type, e.Subject, string(data))
	if !e.EffectiveAt.IsZero() && !EffectiveAtOf(e).Equal(e.EffectiveAt) {
		writeParts(h, e.EffectiveAt.UTC().Format(time.RFC3339Nano))
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// caseEncoding keeps case ids short, lower-case and free of characters with a meaning in a NATS subject.
var caseEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// CaseID is base32 (RFC 4648 alphabet, lower case, no padding) of the first 16 bytes of SHA-256 over the
// length-prefixed scope, event source and event id.
func CaseID(scope string, e Event) string {
	h := sha256.New()
	writeParts(h, scope, e.Source, e.ID)
	return caseEncoding.EncodeToString(h.Sum(nil)[:16])
}

// writeParts hashes each part behind its length (8 bytes, big-endian), so that no two lists of parts look alike.
func writeParts(h interface{ Write([]byte) (int, error) }, parts ...string) {
	for _, p := range parts {
		_, _ = h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(p))))
		_, _ = h.Write([]byte(p))
	}
}
