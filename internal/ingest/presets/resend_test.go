package presets_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"keyturn/internal/config"
	"keyturn/internal/events"
	"keyturn/internal/rehearsal"
)

// batches are where the deliveries of the presets hold several items; an empty path is the body itself.
var batches = []string{"", "alerts", "data.events", "data.resource", "employees", "events", "value"}

// TestResends: sent in another order or one by one, the items of a delivery are the same cases with the same content.
// Every case of every preset that holds several is tried. (That it is the same when it is sent again as it was,
// TestPresets shows whenever it runs.)
func TestResends(t *testing.T) {
	several := 0
	for _, name := range config.Presets() {
		suite := load(t, name)
		for file, text := range suite.Cases {
			c, err := rehearsal.Parse(text)
			if err != nil {
				t.Fatal(file, err)
			}
			at, list := batch(c.Body)
			if len(list) < 2 || c.Unsigned {
				continue
			}
			several++
			reorder(t, suite, c, at, list, file)
		}
	}
	if several < 5 {
		t.Errorf("only %d cases have several items", several)
	}
}

// reorder sends a delivery's items backwards, and one by one.
func reorder(t *testing.T, suite rehearsal.Suite, c rehearsal.Case, at string, list []any, file string) {
	t.Helper()
	play := func(list []any) []events.Event {
		c := c
		c.Body = with(t, c.Body, at, list)
		o, err := suite.Run(c)
		if err != nil {
			t.Fatal(file, err)
		}
		return o.Events
	}
	want := contents(play(list))
	if len(want) == 0 {
		return // refused as a whole
	}
	backwards := slices.Clone(list)
	slices.Reverse(backwards)
	if diff := cmp.Diff(want, contents(play(backwards))); diff != "" {
		t.Errorf("%s: backwards (-want +got):\n%s", file, diff)
	}
	var single []events.Event
	for _, item := range list {
		single = append(single, play([]any{item})...)
	}
	if diff := cmp.Diff(want, contents(single)); diff != "" {
		t.Errorf("%s: one by one (-want +got):\n%s", file, diff)
	}
}

// contents are the cases of events and what is in them, each once and sorted.
func contents(list []events.Event) []string {
	var found []string
	for _, e := range list {
		b, err := json.Marshal(e)
		if err != nil {
			b = []byte(err.Error())
		}
		found = append(found, events.CaseID(e.Scope, e)+" "+string(b))
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// batch finds the items of a body.
func batch(body []byte) (at string, list []any) {
	for _, at := range batches {
		if list, ok := member(decode(body), at).([]any); ok {
			return at, list
		}
	}
	return "", nil
}

// with is a body with other items.
func with(t *testing.T, body []byte, at string, list []any) []byte {
	t.Helper()
	tree := decode(body)
	path := strings.Split(at, ".")
	if parent, ok := member(tree, strings.Join(path[:len(path)-1], ".")).(map[string]any); ok && at != "" {
		parent[path[len(path)-1]] = list
	} else {
		tree = list
	}
	b, err := json.Marshal(tree)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func member(tree any, at string) any {
	for _, name := range strings.FieldsFunc(at, func(r rune) bool { return r == '.' }) {
		object, _ := tree.(map[string]any)
		tree = object[name]
	}
	return tree
}

// decode reads a body, nil when it is no JSON.
func decode(body []byte) any {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	var tree any
	if dec.Decode(&tree) != nil {
		return nil
	}
	return tree
}
