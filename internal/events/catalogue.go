package events

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"keyturn/schemas"
)

// Payload is the data of a catalogue event as a Go struct. The set is closed: *UserTerminated, *UserChanged,
// *DeviceLost, *DeviceEnrolled, *ClientCompromised, *TokenCompromised and *AppChanged.
type Payload interface {
	names() []Identifier  // the principal: whom or what the event is about
	person() []Identifier // every identifier of the person concerned; nil where there is none
	effective() time.Time // zero = at once
}

// Entry is one row of the catalogue.
type Entry struct {
	Name  string // "user.terminated"
	Class Class  // unless the sender raises it
	Dated bool   // the event may name a time at which it takes effect

	decode func([]byte) (Payload, error)
}

// catalogue is never written to: a new event is a row here, a schema, and perhaps a struct.
var catalogue = [...]Entry{
	{"user.terminated", Normal, true, into[UserTerminated]},
	{"user.termination_rescinded", Normal, false, into[UserChanged]},
	{"user.rehired", Normal, false, into[UserChanged]},
	{"user.compromised", Urgent, false, into[UserChanged]},
	{"device.lost", Urgent, false, into[DeviceLost]},
	{"device.enrolled", Bulk, false, into[DeviceEnrolled]},
	{"client.compromised", Urgent, false, into[ClientCompromised]},
	{"token.compromised", Urgent, false, into[TokenCompromised]},
	{"app.onboarded", Bulk, false, into[AppChanged]},
	{"app.updated", Bulk, false, into[AppChanged]},
	{"app.resources_changed", Bulk, false, into[AppChanged]},
	{"app.retired", Normal, false, into[AppChanged]},
}

// Catalogue lists every event that Keyturn takes.
func Catalogue() []Entry { return slices.Clone(catalogue[:]) }

// Lookup finds the row of a name such as "user.terminated".
func Lookup(name string) (Entry, bool) {
	for i := range catalogue {
		if catalogue[i].Name == name {
			return catalogue[i], true
		}
	}
	return Entry{}, false
}

// Type is the CloudEvents type: dev.keyturn.<name>.v1.
func (e Entry) Type() string { return TypePrefix + e.Name + TypeSuffix }

// Schema is the `$id` of the schema of the event's data: what travels as dataschema.
func (e Entry) Schema() string { return schemas.Base + "events/" + e.Name + "/v1.json" }

// errNotCatalogued names an event that the catalogue does not hold.
var errNotCatalogued = errors.New("not in the catalogue")

// Decode gives the payload of an event as the struct that its row names. It does not validate. Its errors quote
// nothing of the data.
func Decode(e Event) (Payload, error) {
	row, ok := Lookup(e.Name())
	if !ok {
		return nil, fmt.Errorf("decode event type %q: %w", e.Type, errNotCatalogued)
	}
	p, err := row.decode(e.Data)
	if err != nil {
		return nil, fmt.Errorf("decode %s: %w", row.Name, misfit(err))
	}
	return p, nil
}

func into[T any, P interface {
	*T
	Payload
}](data []byte) (Payload, error) {
	p := P(new(T))
	if err := decodeInto(p, data); err != nil {
		return nil, err
	}
	return p, nil
}

// misfit says that data does not fit its struct without repeating any of it: the errors of encoding/json and of time
// quote values.
func misfit(err error) Violation {
	if v, ok := errors.AsType[Violation](err); ok {
		return v
	}
	if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return Violation{Field: "/" + strings.ReplaceAll(t.Field, ".", "/"), Rule: "type: want " + t.Type.String()}
	}
	if _, ok := errors.AsType[*time.ParseError](err); ok {
		return Violation{Rule: RuleDateTime}
	}
	return Violation{Rule: "json: does not fit the event"}
}
