package events

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/types"
)

// ContentType is the media type of an event on the wire: CloudEvents structured mode, JSON format.
const ContentType = "application/cloudevents+json"

// The names of our extension attributes on the wire. traceparent is the distributed tracing extension of CloudEvents;
// the others are ours, because CloudEvents has no attribute for "takes effect at" nor for urgency.
const (
	attrClass       = "class"
	attrEffectiveAt = "effectiveat"
	attrTraceParent = "traceparent"
	attrScope       = "scope"
)

// Marshal gives the wire form of an event: data in canonical form, times in UTC. It refuses an event that Unmarshal
// would not give back with the same identity: one that is not a valid CloudEvent, has no valid class, is not of the
// catalogue, has attributes with space around them, a source that is not a URI-reference in its normal form, or a time
// outside the years 0 to 9999. What it gives has been read back.
func Marshal(e Event) ([]byte, error) {
	ce, err := toCloudEvent(e)
	if err != nil {
		return nil, fmt.Errorf("marshal event: %w", err)
	}
	var b bytes.Buffer
	if err := event.WriteJson(&ce, &b); err != nil {
		return nil, fmt.Errorf("marshal event: %w", err)
	}
	if err := readsBack(b.Bytes(), e); err != nil {
		return nil, fmt.Errorf("marshal event: %w", err)
	}
	return b.Bytes(), nil
}

// readsBack makes sure of a wire form before anybody relies on it: what is stored and cannot be read is lost.
func readsBack(wire []byte, e Event) error {
	back, err := Unmarshal(wire)
	switch {
	case err != nil:
		return fmt.Errorf("cannot be read back: %w", err)
	case back.Case() != e.Case() || back.Subject != e.Subject || back.TraceParent != e.TraceParent:
		return errors.New("cannot be read back: another identity")
	case !back.Time.Equal(e.Time) || !back.EffectiveAt.Equal(e.EffectiveAt):
		return errors.New("cannot be read back: another time")
	}
	return nil
}

// Unmarshal reads the wire form. It takes any valid CloudEvent of the catalogue in JSON format with a valid class, and
// ignores attributes that Keyturn does not know. It does not check the data against its schema: that was done before
// the event was stored.
func Unmarshal(data []byte) (Event, error) {
	if e, ok := written(data); ok {
		return e, nil
	}
	return unmarshal(data)
}

// unmarshal is Unmarshal of whatever is a CloudEvent, by the SDK.
func unmarshal(data []byte) (Event, error) {
	if !json.Valid(data) {
		return Event{}, errors.New("unmarshal event: not JSON")
	}
	if encoded(data) {
		return Event{}, errors.New("unmarshal event: data_base64: not taken")
	}
	var ce event.Event
	if err := event.ReadJson(&ce, bytes.NewReader(data)); err != nil {
		return Event{}, fmt.Errorf("unmarshal event: %w", err)
	}
	e, err := fromCloudEvent(ce)
	if err != nil {
		return Event{}, fmt.Errorf("unmarshal event: %w", err)
	}
	return e, nil
}

// encoded reports whether a member of a wire form is data_base64. The SDK's reader takes it on trust and indexes past
// the end of a short one; nothing of ours writes it, so that a look at the bytes is nearly always enough.
func encoded(wire []byte) bool {
	if !bytes.Contains(wire, []byte("base64")) && !bytes.Contains(wire, []byte(`\u`)) {
		return false
	}
	var members map[string]json.RawMessage
	_ = json.Unmarshal(wire, &members) // what is no object, the SDK refuses
	_, ok := members["data_base64"]
	return ok
}

func toCloudEvent(e Event) (event.Event, error) {
	row, ok := Lookup(e.Name())
	if !ok {
		return event.Event{}, fmt.Errorf("type %q: %w", e.Type, errNotCatalogued)
	}
	if !e.Class.Valid() {
		return event.Event{}, fmt.Errorf("class %q: unknown", e.Class)
	}
	data, err := Canonical(e.Data)
	if err != nil {
		return event.Event{}, fmt.Errorf("data: %w", err)
	}
	ce := event.New(event.CloudEventsVersionV1)
	ce.SetID(e.ID)
	ce.SetSource(e.Source)
	ce.SetType(e.Type)
	ce.SetSubject(e.Subject)
	ce.SetDataSchema(row.Schema())
	ce.SetDataContentType(event.ApplicationJSON)
	ce.DataEncoded = data
	if !e.Time.IsZero() {
		ce.SetTime(e.Time.UTC())
	}
	setExtensions(&ce, e)
	if err := ce.Validate(); err != nil {
		return event.Event{}, err
	}
	return ce, faithful(ce, e)
}

func setExtensions(ce *event.Event, e Event) {
	ce.SetExtension(attrClass, string(e.Class))
	if !e.EffectiveAt.IsZero() {
		ce.SetExtension(attrEffectiveAt, types.FormatTime(e.EffectiveAt.UTC()))
	}
	if e.TraceParent != "" {
		ce.SetExtension(attrTraceParent, e.TraceParent)
	}
	if e.Scope != "" {
		ce.SetExtension(attrScope, e.Scope)
	}
}

// faithful reports an attribute that would not survive the wire: the SDK trims and normalises, and an identity that
// changes on the way is another case.
func faithful(ce event.Event, e Event) error {
	for _, a := range []struct{ name, wire, ours string }{
		{"id", ce.ID(), e.ID}, {"source", ce.Source(), e.Source}, {"subject", ce.Subject(), e.Subject},
		{attrScope, e.Scope, e.Scope}, {attrTraceParent, e.TraceParent, e.TraceParent},
	} {
		if a.wire != a.ours || !utf8.ValidString(a.ours) {
			return fmt.Errorf("%s: not in normal form", a.name)
		}
	}
	return nil
}

func fromCloudEvent(ce event.Event) (Event, error) {
	if err := ce.Validate(); err != nil {
		return Event{}, err
	}
	ours := extensions(ce.Extensions()) // a copy each time it is asked for
	e := Event{
		ID: ce.ID(), Source: ce.Source(), Type: ce.Type(), Subject: ce.Subject(),
		Time: ce.Time(), Scope: ours.text(attrScope), Class: Class(ours.text(attrClass)), TraceParent: ours.text(attrTraceParent),
	}
	if _, ok := Lookup(e.Name()); !ok {
		return Event{}, fmt.Errorf("type: %w", errNotCatalogued)
	}
	if !e.Class.Valid() {
		return Event{}, errors.New("class: unknown")
	}
	if at := ours.text(attrEffectiveAt); at != "" {
		t, err := time.Parse(time.RFC3339Nano, at)
		if err != nil {
			return Event{}, errors.New("effectiveat: not RFC 3339")
		}
		e.EffectiveAt = t.UTC()
	}
	data, err := Canonical(ce.Data())
	if err != nil {
		return Event{}, fmt.Errorf("data: %w", err)
	}
	e.Data = data
	return e, nil
}

// extensions are the extension attributes of an event.
type extensions map[string]any

// text gives an attribute that is a string; empty otherwise.
func (x extensions) text(name string) string {
	s, _ := x[name].(string)
	return s
}
