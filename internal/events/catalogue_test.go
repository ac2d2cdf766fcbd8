package events

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"strings"
	"testing"

	"keyturn/schemas"
)

// examples reads the examples of an event's schema.
func examples(t testing.TB, name string) []json.RawMessage {
	t.Helper()
	text, err := fs.ReadFile(schemas.FS, "events/"+name+".json")
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		ID       string            `json:"$id"`
		Schema   string            `json:"$schema"`
		Title    string            `json:"title"`
		About    string            `json:"description"`
		Examples []json.RawMessage `json:"examples"`
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	row, _ := Lookup(name)
	if doc.ID != row.Schema() || doc.Schema != "https://json-schema.org/draft/2020-12/schema" || doc.Title == "" || doc.About == "" {
		t.Errorf("%s: head of the schema: %q %q %q %q", name, doc.ID, doc.Schema, doc.Title, doc.About)
	}
	if len(doc.Examples) == 0 {
		t.Errorf("%s: no examples", name)
	}
	return doc.Examples
}

// sample is a valid event of the catalogue row, from an example of its schema.
func sample(t testing.TB, name string, data []byte) Event {
	t.Helper()
	row, ok := Lookup(name)
	if !ok {
		t.Fatalf("%s: not in the catalogue", name)
	}
	canonical, err := Canonical(data)
	if err != nil {
		t.Fatal(err)
	}
	e := Event{ID: "evt-1", Source: "https://hr.acme.example/prod", Type: row.Type(), Scope: "hr", Class: row.Class, Data: canonical}
	if e.Subject, err = SubjectOf(e); err != nil {
		t.Fatal(err)
	}
	return e
}

func TestExamplesGoThroughTheirStructsUnchanged(t *testing.T) {
	for _, row := range Catalogue() {
		for i, example := range examples(t, row.Name) {
			if v := Validate(row.Name, example); len(v) > 0 {
				t.Errorf("%s example %d: %v", row.Name, i, v)
				continue
			}
			payload, err := Decode(Event{Type: row.Type(), Data: example})
			if err != nil {
				t.Errorf("%s example %d: %v", row.Name, i, err)
				continue
			}
			again, err := json.Marshal(payload)
			if err != nil {
				t.Fatal(err)
			}
			want, _ := Canonical(example)
			got, err := Canonical(again)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s example %d:\n got %s\nwant %s", row.Name, i, got, want)
			}
		}
	}
}

func TestEverySchemaIsCatalogued(t *testing.T) {
	files, err := fs.Glob(schemas.FS, "events/*.json")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != len(Catalogue()) {
		t.Errorf("%d schemas, %d rows in the catalogue", len(files), len(Catalogue()))
	}
	for _, f := range files {
		name := strings.TrimSuffix(strings.TrimPrefix(f, "events/"), ".json")
		if _, ok := Lookup(name); !ok {
			t.Errorf("%s has no row", f)
		}
	}
}

func TestPlanKeepsItsEvent(t *testing.T) {
	for _, row := range Catalogue() {
		e := sample(t, row.Name, examples(t, row.Name)[0])
		text, err := json.Marshal(Plan{Case: e.Case(), Event: e, Hash: e.ContentHash(), Class: e.Class})
		if err != nil {
			t.Fatal(err)
		}
		var p Plan
		if err := json.Unmarshal(text, &p); err != nil {
			t.Fatal(err)
		}
		if p.Event.ContentHash() != e.ContentHash() || p.Event.Case() != e.Case() || !bytes.Equal(p.Event.Data, e.Data) {
			t.Errorf("%s: the event changed in its plan", row.Name)
		}
	}
}
