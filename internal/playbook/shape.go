package playbook

import (
	"encoding/json"
	"fmt"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/ext"

	"keyturn/internal/events"
)

// typed is the variable `event` of an expression: the event's attributes, and its data as the type that the catalogue
// gives it. Raw is the data once more, untyped and with every member that the sender added.
type typed[T any] struct {
	ID          string         `json:"id"`
	Source      string         `json:"source"`
	Type        string         `json:"type"`
	Name        string         `json:"name"`
	Subject     string         `json:"subject"`
	Time        time.Time      `json:"time"`
	Scope       string         `json:"scope"`
	Class       string         `json:"class"`
	EffectiveAt time.Time      `json:"effective_at"`
	Data        T              `json:"data"`
	Raw         map[string]any `json:"raw"`
}

// eventType is the name of the variable's type in messages of the compiler.
const eventType = "keyturn.Event"

// shape is how the events of one type look to expressions.
type shape struct {
	options []cel.EnvOption
	bind    func(events.Event, events.Payload) (any, error)
}

// shapeOf finds the shape of the events of a name by the struct that the catalogue decodes their data into.
func shapeOf(name string) (shape, error) {
	row, ok := events.Lookup(name)
	if !ok {
		return shape{}, fmt.Errorf("event %q: not in the catalogue", name)
	}
	payload, err := events.Decode(events.Event{Type: row.Type(), Data: json.RawMessage(`{}`)})
	if err != nil {
		return shape{}, err
	}
	switch payload.(type) {
	case *events.UserTerminated:
		return shapeFor[events.UserTerminated](), nil
	case *events.UserChanged:
		return shapeFor[events.UserChanged](), nil
	case *events.DeviceLost:
		return shapeFor[events.DeviceLost](), nil
	case *events.DeviceEnrolled:
		return shapeFor[events.DeviceEnrolled](), nil
	case *events.ClientCompromised:
		return shapeFor[events.ClientCompromised](), nil
	case *events.TokenCompromised:
		return shapeFor[events.TokenCompromised](), nil
	case *events.AppChanged:
		return shapeFor[events.AppChanged](), nil
	}
	return shape{}, fmt.Errorf("event %q: expressions do not know its data", name)
}

func shapeFor[T any]() shape {
	return shape{
		options: []cel.EnvOption{
			ext.NativeTypes(types.NativeTypeFor[typed[T]](types.NativeTypeAlias(eventType)), ext.ParseStructTag("json")),
			cel.Variable("event", cel.ObjectType(eventType)),
		},
		bind: bind[T],
	}
}

// bind makes the variable of an event.
func bind[T any](e events.Event, p events.Payload) (any, error) {
	data, ok := any(p).(*T)
	if !ok {
		return nil, fmt.Errorf("event %s: its data is of another type", e.Name())
	}
	var raw map[string]any
	if err := json.Unmarshal(e.Data, &raw); err != nil {
		return nil, fmt.Errorf("event %s: its data is no object", e.Name())
	}
	return &typed[T]{
		ID: e.ID, Source: e.Source, Type: e.Type, Name: e.Name(), Subject: e.Subject, Time: e.Time.UTC(), Scope: e.Scope,
		Class: string(e.Class), EffectiveAt: e.EffectiveAt.UTC(), Data: *data, Raw: raw,
	}, nil
}
