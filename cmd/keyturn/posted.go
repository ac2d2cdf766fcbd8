package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"keyturn/internal/config"
	"keyturn/internal/events"
)

// posted is what is sent: a CloudEvent in structured mode, or a batch (CloudEvents HTTP binding 1.0.2, 3.2 and 3.3).
type posted struct {
	body        []byte
	contentType string
	events      int
	madeUp      []string // ids that the sender did not give
}

// readPosted completes a CloudEvent, an array of them, or the short form. What is given is left as it is.
func readPosted(text []byte, now time.Time, actor string) (posted, error) {
	text = bytes.TrimSpace(text)
	if len(text) == 0 {
		return posted{}, errors.New("it is empty: want a CloudEvent in JSON")
	}
	p := posted{contentType: events.ContentType, events: 1}
	if text[0] != '[' {
		one, err := p.complete(text, now, actor)
		p.body = one
		return p, err
	}
	var list []json.RawMessage
	if err := json.Unmarshal(text, &list); err != nil {
		return posted{}, fmt.Errorf("not JSON: %w", err)
	}
	for i := range list {
		one, err := p.complete(list[i], now, actor)
		if err != nil {
			return posted{}, fmt.Errorf("event %d: %w", i+1, err)
		}
		list[i] = one
	}
	var err error
	p.contentType, p.events = "application/cloudevents-batch+json", len(list)
	p.body, err = json.Marshal(list)
	return p, err
}

// complete gives an event what it lacks. One that says specversion is sent as it is, byte for byte.
func (p *posted) complete(text []byte, now time.Time, actor string) ([]byte, error) {
	var e map[string]json.RawMessage
	if err := json.Unmarshal(text, &e); err != nil {
		return nil, fmt.Errorf("not a JSON object: %w", err)
	}
	if _, whole := e["specversion"]; whole {
		return text, nil
	}
	var name string
	if err := json.Unmarshal(e["type"], &name); err != nil || name == "" {
		return nil, errors.New(`type: missing: write "type": "user.terminated"`)
	}
	row, ok := events.Lookup(cmp.Or(events.Event{Type: name}.Name(), name))
	if !ok {
		var names []string
		for _, r := range events.Catalogue() {
			names = append(names, r.Name)
		}
		return nil, errors.New("type: no such event" + config.Suggest(name, names))
	}
	name = row.Type()
	if _, ok := e["data"]; !ok {
		if err := gather(e); err != nil {
			return nil, err
		}
	}
	given := map[string]any{"specversion": "1.0", "type": name, "datacontenttype": "application/json"}
	if _, ok := e["id"]; !ok {
		id := uuid.NewString()
		given["id"], p.madeUp = id, append(p.madeUp, id)
	}
	if _, ok := e["source"]; !ok {
		given["source"] = events.AskedSource(actor)
	}
	if _, ok := e["time"]; !ok {
		given["time"] = now.UTC().Format(time.RFC3339Nano)
	}
	for key, value := range given {
		text, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		e[key] = text
	}
	return json.Marshal(e)
}

// gather moves everything but the attributes of CloudEvents into data.
func gather(e map[string]json.RawMessage) error {
	data := map[string]json.RawMessage{}
	for key, value := range e {
		switch {
		case strings.EqualFold(key, "type"), key == "id", key == "source", key == "time", key == "subject", key == "class":
			continue
		}
		data[key] = value
		delete(e, key)
	}
	text, err := json.Marshal(data)
	e["data"] = text
	return err
}
