package events

import (
	"encoding/json"
	"net/url"
	"strings"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
)

// written reads the wire form as Marshal writes it, without the SDK: nearly all that Keyturn reads it wrote itself. ok is
// false when anything is another than it writes, also where it would be right all the same: then the SDK reads it.
// FuzzWritten holds the two against each other.
func written(wire []byte) (e Event, ok bool) {
	members, err := Members(wire)
	if err != nil {
		return Event{}, false
	}
	data := members["data"]
	if !isCanonical(data) {
		return Event{}, false
	}
	e.Data = data
	for name, raw := range members {
		if name == "data" {
			continue
		}
		text, ok := standing(raw)
		if !ok || !e.attribute(name, text) {
			return Event{}, false
		}
	}
	row, known := Lookup(e.Name())
	schema, _ := standing(members["dataschema"])
	if !known || !e.Class.Valid() || e.ID == "" || schema != row.Schema() || members["specversion"] == nil {
		return Event{}, false
	}
	source, err := url.Parse(e.Source)
	return e, err == nil && e.Source != "" && source.String() == e.Source
}

// attribute takes an attribute, if it is one that Marshal writes.
func (e *Event) attribute(name, text string) bool {
	var err error
	switch name {
	case "specversion":
		return text == event.CloudEventsVersionV1
	case "datacontenttype":
		return text == event.ApplicationJSON
	case "dataschema": // which follows from the type
	case "id":
		e.ID = text
	case "source":
		e.Source = text
	case "type":
		e.Type = text
	case "subject":
		e.Subject = text
	case "time":
		e.Time, err = time.Parse(time.RFC3339Nano, text)
	case attrClass:
		e.Class = Class(text)
	case attrEffectiveAt:
		e.EffectiveAt, err = time.Parse(time.RFC3339Nano, text)
		e.EffectiveAt = e.EffectiveAt.UTC()
	case attrTraceParent:
		e.TraceParent = text
	case attrScope:
		e.Scope = text
	default:
		return false
	}
	return err == nil
}

// standing is the text of a JSON string in which nothing stands for something else; an empty one, and one with space at
// an end, is left to the SDK.
func standing(raw json.RawMessage) (string, bool) {
	if len(raw) < 3 || raw[0] != '"' || quoted(raw, 1) != len(raw)-1 {
		return "", false
	}
	text := string(raw[1 : len(raw)-1])
	return text, strings.TrimSpace(text) == text
}
