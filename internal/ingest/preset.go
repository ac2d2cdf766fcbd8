package ingest

import (
	"fmt"

	"keyturn/internal/events"
)

// Preset turns a verified delivery of one kind of sender into drafts of events.
type Preset interface {
	// Map reads the delivery. Its error is *Unsupported (415), Invalid (400), *TooMany (413), or *Unmapped: genuine and stored as a
	// fault for a person to look at (202, because repeating it would not help).
	Map(d Delivery, v Verified) ([]Draft, error)
}

// Draft is an event as a sender gives it: texts, not yet checked. An empty field was not given.
type Draft struct {
	At          string // JSON pointer to the event within the delivery: "" or "/3"
	ID          string
	Source      string
	Type        string
	Subject     string
	Time        string // RFC 3339
	Class       string
	EffectiveAt string // RFC 3339
	TraceParent string
	Data        []byte // JSON; nil = none
	// Faults are what the preset itself found wrong with this event.
	Faults []events.Violation
}

// Unsupported says that the format of a delivery is not one that the source sends.
type Unsupported struct{ Detail string }

// Error is the detail, which the sender is shown.
func (u *Unsupported) Error() string { return u.Detail }

// Invalid lists every fault of a delivery. It quotes no value.
type Invalid []Problem

// Problem is one fault of one event of a delivery.
type Problem struct {
	Event int    `json:"event"` // index in the delivery
	Field string `json:"field"` // JSON pointer into the delivery's event or batch
	Rule  string `json:"rule"`
}

// Error counts the faults and gives the rule of the first: the field may hold words of the sender's.
func (v Invalid) Error() string { return fmt.Sprintf("%d faults, the first: %s", len(v), v[0].Rule) }

// TooMany says that a delivery holds more than MaxEvents.
type TooMany struct{ Events int }

// Error says what to do; the sender is shown it.
func (t *TooMany) Error() string {
	return fmt.Sprintf("%d events in one delivery, at most %d are taken: send them in several", t.Events, MaxEvents)
}

// Unmapped says that a genuine delivery fits no event of the catalogue.
type Unmapped struct{ Reason string }

// Error is the reason; it quotes no value.
func (u *Unmapped) Error() string { return u.Reason }
