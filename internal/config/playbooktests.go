package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"path/filepath"
	"time"
)

// PlaybookTestsFile stands beside the playbooks that it tests. Nothing that runs reads it.
const PlaybookTestsFile = "playbooks_test.yaml"

// PlaybookTest is an event, and what the playbooks must make of it.
type PlaybookTest struct {
	Name        string
	Event       TestEvent
	Passed      int      // how many cases every brake has let pass in its window already
	ConfirmedBy []string // the sources that have said the same already
	Want        Expectation
	At          Position
}

// TestEvent is an event as a test writes it. What is empty has a default.
type TestEvent struct {
	Type              Text // a catalogue name or a whole CloudEvents type
	ID, Source, Scope string
	Class             string
	Time              time.Time
	Data              json.RawMessage
	At, DataAt        Position
}

// Expectation is what must become of an event. What is nil or empty is not compared, but for Refused, Held and Fault:
// what is not expected must not be.
type Expectation struct {
	Playbooks            []Text // nil: not compared
	Class                Text
	EffectiveAt          Text             // RFC 3339, or "now"
	Actions, DryRun      []ExpectedAction // nil: not compared; empty: there must be none
	Refused, Held, Fault Text             // a part of the reason
	At                   Position
	ActionsAt, DryRunAt  Position
}

// ExpectedAction is an action that a plan must have. What is empty is not compared.
type ExpectedAction struct {
	Playbook, Step, Do, Connection, Class, Target, OnDead Text
	After                                                 []Text // nil: not compared
	With                                                  any    // a mapping whose entries the action must have; nil: not compared
	At, WithAt, AfterAt                                   Position
}

// ReadPlaybookTests reads playbooks_test.yaml in dir. The error is Faults.
func ReadPlaybookTests(dir string, refs Resolver) ([]PlaybookTest, error) {
	r := reader{refs: refs.in(dir)}
	d, ok := r.open(filepath.Join(dir, PlaybookTestsFile), "playbooks_test.json")
	if !ok {
		return nil, r.err()
	}
	var list []PlaybookTest
	for _, at := range d.items("tests") {
		var raw struct {
			Name        string   `json:"name"`
			Passed      int      `json:"passed"`
			ConfirmedBy []string `json:"confirmed_by"`
		}
		d.decode(at, &raw)
		list = append(list, PlaybookTest{
			Name: raw.Name, Passed: raw.Passed, ConfirmedBy: raw.ConfirmedBy, At: d.position(at),
			Event: readTestEvent(d, at.to("event")), Want: readExpectation(d, at.to("expect")),
		})
	}
	return list, r.err()
}

type testEventDoc struct {
	Type   string          `json:"type"`
	ID     string          `json:"id"`
	Source string          `json:"source"`
	Scope  string          `json:"scope"`
	Class  string          `json:"class"`
	Time   string          `json:"time"`
	Data   json.RawMessage `json:"data"`
}

// readTestEvent reads an event: what stands in the file that it names, and over that what stands in the test.
func readTestEvent(d *document, at path) TestEvent {
	var raw testEventDoc
	var from struct {
		File string `json:"file"`
	}
	d.decode(at, &from)
	if from.File != "" {
		d.eventFile(at.to("file"), from.File, &raw)
	}
	d.decode(at, &raw)
	e := TestEvent{
		Type: d.text(at.to("type"), raw.Type), ID: raw.ID, Source: raw.Source, Scope: raw.Scope, Class: raw.Class,
		Data: raw.Data, At: d.position(at), DataAt: d.position(at.to("data")),
	}
	switch {
	case from.File == "" && raw.Type == "":
		d.fault(at, "has no type: name an event of the catalogue, such as user.terminated")
	case from.File == "" && raw.Data == nil:
		d.fault(at, "has no data: write what the event says, such as {user: {email: maria@acme.example}}")
	}
	if raw.Time != "" {
		var err error
		if e.Time, err = time.Parse(time.RFC3339, raw.Time); err != nil {
			d.fault(at.to("time"), "is no time with a zone: write it as 2026-03-02T17:00:00+01:00")
		}
	}
	return e
}

// eventFile reads an event in JSON from a file beside the tests.
func (d *document) eventFile(at path, name string, raw *testEventDoc) {
	full := d.reader.refs.path(name)
	b, err := d.reader.refs.ReadFile(full)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		d.fault(at, "file %s does not exist: create it, or correct the path", full)
		return
	case err != nil:
		d.fault(at, "file %s cannot be read: %s", full, plainError(err))
		return
	}
	var short map[string]json.RawMessage
	if err := json.Unmarshal(bytes.TrimSpace(b), &short); err != nil {
		d.fault(at, "file %s is no JSON object: write a CloudEvent, or {\"type\": …, \"data\": …}", full)
		return
	}
	if err := json.Unmarshal(b, raw); err != nil {
		d.fault(at, "file %s has a member of another type than an event: see the events' schemas", full)
	}
	if raw.Type == "" || raw.Data == nil {
		d.fault(at, "file %s has no type or no data: write a CloudEvent, or {\"type\": …, \"data\": …}", full)
	}
}

func readExpectation(d *document, at path) Expectation {
	var raw struct {
		Playbooks   []string `json:"playbooks"`
		Class       string   `json:"class"`
		EffectiveAt string   `json:"effective_at"`
		Refused     string   `json:"refused"`
		Held        string   `json:"held"`
		Fault       string   `json:"fault"`
	}
	d.decode(at, &raw)
	w := Expectation{
		Class: d.text(at.to("class"), raw.Class), EffectiveAt: d.text(at.to("effective_at"), raw.EffectiveAt),
		Refused: d.text(at.to("refused"), raw.Refused), Held: d.text(at.to("held"), raw.Held), Fault: d.text(at.to("fault"), raw.Fault),
		Actions: readExpected(d, at.to("actions")), DryRun: readExpected(d, at.to("dry_run")), At: d.position(at),
		ActionsAt: d.keyPosition(at.to("actions")), DryRunAt: d.keyPosition(at.to("dry_run")),
	}
	if d.has(at.to("playbooks")) {
		w.Playbooks = append([]Text{}, d.texts(at.to("playbooks"), raw.Playbooks)...)
	}
	if w.EffectiveAt.Value != "" && w.EffectiveAt.Value != "now" {
		if _, err := time.Parse(time.RFC3339, w.EffectiveAt.Value); err != nil {
			d.fault(at.to("effective_at"), "is no time with a zone: write it as 2026-03-02T17:00:00+01:00, or now")
		}
	}
	return w
}

// readExpected reads a list of actions; nil when there is none.
func readExpected(d *document, at path) []ExpectedAction {
	if !d.has(at) {
		return nil
	}
	list := []ExpectedAction{}
	for _, here := range d.items(at...) {
		var raw struct {
			Playbook string         `json:"playbook"`
			Step     string         `json:"step"`
			Do       string         `json:"do"`
			At       string         `json:"at"`
			Class    string         `json:"class"`
			Target   string         `json:"target"`
			OnDead   string         `json:"on_dead"`
			After    []string       `json:"after"`
			With     map[string]any `json:"with"`
		}
		d.decode(here, &raw)
		word := func(key, value string) Text { return d.text(here.to(key), value) }
		a := ExpectedAction{
			Playbook: word("playbook", raw.Playbook), Step: word("step", raw.Step), Do: word("do", raw.Do), Connection: word("at", raw.At),
			Class: word("class", raw.Class), Target: word("target", raw.Target), OnDead: word("on_dead", raw.OnDead),
			At: d.position(here), WithAt: d.keyPosition(here.to("with")), AfterAt: d.keyPosition(here.to("after")),
		}
		if d.has(here.to("after")) {
			a.After = append([]Text{}, d.texts(here.to("after"), raw.After)...)
		}
		if d.has(here.to("with")) {
			a.With = map[string]any(raw.With)
		}
		list = append(list, a)
	}
	return list
}

// text pairs a word with its place.
func (d *document) text(at path, word string) Text { return Text{Value: word, At: d.position(at)} }
