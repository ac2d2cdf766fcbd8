package mapping_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"keyturn/internal/mapping"
)

func TestMap(t *testing.T) {
	m := compiled(t, plainMapping)
	got := deliver(t, m, `{"events": [
		{"kind": "left", "id": 7, "email": "maria@acme.example", "at": "2026-11-22T11:00:00+01:00", "number": ""},
		{"kind": "back", "email": "jo@acme.example", "at": 1795348800, "number": "0042"},
		{"kind": "back", "email": "jo@acme.example", "at": 1795348800123},
		{"kind": "moved", "email": "jo@acme.example", "at": 1},
		{"kind": "promoted", "email": "jo@acme.example", "at": 1},
		{"kind": "left", "email": "jo@acme.example", "at": "yesterday"},
		{"kind": "left", "at": 1}]}`)
	want := []mapping.Draft{
		{Item: 0, ID: "7", Source: "urn:keyturn:source:hr", Type: "dev.keyturn.user.terminated.v1", Time: "2026-11-22T10:00:00Z",
			Data: []byte(`{"reason":"sample","user":{"email":"maria@acme.example"}}`)},
		{Item: 1, Source: "urn:keyturn:source:hr", Type: "dev.keyturn.user.rehired.v1", Time: "2026-11-22T12:00:00Z",
			Data: []byte(`{"reason":"sample","user":{"email":"jo@acme.example","employee_number":"0042"}}`)},
		{Item: 2, Source: "urn:keyturn:source:hr", Type: "dev.keyturn.user.rehired.v1", Time: "2026-11-22T12:00:00.123Z",
			Data: []byte(`{"reason":"sample","user":{"email":"jo@acme.example"}}`)},
	}
	if len(got.Drafts) == 3 {
		want[1].ID, want[2].ID = got.Drafts[1].ID, got.Drafts[2].ID
	}
	if diff := cmp.Diff(want, got.Drafts); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if len(want[1].ID) != 32 || want[1].ID == want[2].ID {
		t.Errorf("digests: %s and %s", want[1].ID, want[2].ID)
	}
	if got.Items != 7 || got.Skipped != 1 || got.Unknown != 1 || len(got.Faults) != 2 {
		t.Errorf("%+v", got)
	}
	if text := faults(got); strings.Contains(text, "yesterday") || strings.Contains(text, "acme.example") {
		t.Errorf("a fault quotes the delivery: %s", text)
	}
}

// TestUnknownWords: what the table does not hold is counted, kept or refused, as the preset says.
func TestUnknownWords(t *testing.T) {
	for policy, want := range map[string]string{"count": "1 0 false", "dead": "0 1 false", "reject": "0 0 true"} {
		m := compiled(t, fmt.Sprintf("type: {of: body.kind, unknown: %s, table: {left: user.terminated}}\nid: [body.kind]\ndata: {user: {email: x}}", policy))
		r := deliver(t, m, `{"kind": "other"}`)
		if got := fmt.Sprint(r.Unknown, len(r.Faults), r.Refused); got != want {
			t.Errorf("%s: %s, want %s", policy, got, want)
		}
	}
}

// TestWordForAPerson: a word that is dead in the table becomes a fault, and its item no event; the others do.
func TestWordForAPerson(t *testing.T) {
	m := compiled(t, "split: body.list\ntype: {of: item, table: {back: dead, left: user.terminated}}\nid: [item]\ndata: {user: {email: x}}")
	r := deliver(t, m, `{"list": ["back", "left"]}`)
	if len(r.Drafts) != 1 || len(r.Faults) != 1 || r.Faults[0].Item != 0 || !strings.Contains(faults(r), "a person must decide") {
		t.Errorf("%+v", r)
	}
	c := configured(t, "type: {of: body.kind, table: {left: {event: dead, when: 'true'}}}\nid: [body.kind]\ndata: {user: {email: x}}")
	if _, err := mapping.Compile("hr", c, mapping.Coverage{}, nil); err == nil || !strings.Contains(err.Error(), "has no effect beside dead") {
		t.Errorf("a condition that nobody asks: %v", err)
	}
}

// TestAnErrorIsNeverNoMatch: wherever an expression fails, its item is a fault.
func TestAnErrorIsNeverNoMatch(t *testing.T) {
	whole := map[string]string{
		"split": "", "when": "", "type": "{of: \"'left'\", table: {left: user.terminated}}", "id": `["'1'"]`, "time": "", "class": "",
		"source": "", "effective_at": "", "data": "{user: {email: x}}",
	}
	for key, broken := range map[string]string{
		"split": "body.nothing", "when": "body.nothing == 1", "type": "{of: body.nothing, table: {left: user.terminated}}", "id": "[body.nothing]",
		"time": "{from: body.nothing}", "class": "body.nothing", "source": "body.nothing", "effective_at": "{from: body.nothing}",
		"data": "{user: {email: \"${{ body.nothing }}\"}}",
	} {
		var text strings.Builder
		for k, v := range whole {
			if k == key {
				v = broken
			}
			if v != "" {
				fmt.Fprintf(&text, "%s: %s\n", k, v)
			}
		}
		r := deliver(t, compiled(t, text.String()), `{"a": 1}`)
		if len(r.Drafts) != 0 || len(r.Faults) != 1 || !strings.Contains(faults(r), "no such key: nothing") {
			t.Errorf("%s: %+v", key, r)
		}
	}
}

// TestAnErrorThatDecidesNothing: a failed side of a condition is passed over only where the other decides, so that no
// item is dropped that might have matched, in whichever order they stand.
func TestAnErrorThatDecidesNothing(t *testing.T) {
	const failed = "item.nothing == 1"
	for when, want := range map[string]string{
		failed + " && item.no": "0 1 0", "item.no && " + failed: "0 1 0", // false, whatever the other were
		failed + " && item.yes": "0 0 1", "item.yes && " + failed: "0 0 1",
		failed + " || item.yes": "1 0 0", "item.yes || " + failed: "1 0 0", // true, whatever the other were
		failed + " || item.no": "0 0 1", "item.no || " + failed: "0 0 1",
		"!(" + failed + " && item.yes)": "0 0 1", "!(" + failed + " || item.yes)": "0 1 0",
	} {
		m := compiled(t, "split: '[body]'\nwhen: '"+when+"'\ntype: {of: item.kind, table: {left: user.terminated}}\nid: [item.kind]\ndata: {user: {email: x}}")
		r := deliver(t, m, `{"kind": "left", "yes": true, "no": false}`)
		if got := fmt.Sprint(len(r.Drafts), r.Skipped, len(r.Faults)); got != want {
			t.Errorf("%s: %s, want %s", when, got, want)
		}
	}
}

// TestRedactedIsNotSeen: what is redacted neither comes into an event, nor into what is kept; and what is kept maps to
// the same.
func TestRedactedIsNotSeen(t *testing.T) {
	m := compiled(t, `
split: body.people
type: {of: "'left'", table: {left: user.terminated}}
id: ["item.id"]
redact: ["/people/*/ssn", "/people/0/pay/*", "/no/such"]
data: {user: {email: "${{ item.email }}"}, reason: "${{ item.?ssn.orValue('redacted') }}"}
`)
	body := `{"people": [{"id": "1", "email": "a@acme.example", "ssn": "123", "pay": {"rate": 5}}, {"id": "2", "email": "b@acme.example", "ssn": "456"}]}`
	tree, err := m.Parse([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	in := mapping.Input{Received: received, Body: tree}
	first := m.Map(in)
	kept := encode(t, mapping.Keep(in, nil, nil))
	for _, secret := range []string{"123", "456", "rate"} {
		if strings.Contains(kept, secret) || strings.Contains(encode(t, first.Drafts), secret) {
			t.Errorf("%s is left", secret)
		}
	}
	back, err := m.Restore([]byte(kept), received)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, m.Map(back)); diff != "" {
		t.Errorf("what was kept maps to something else:\n%s", diff)
	}
}

// TestForm: names with brackets nest.
func TestForm(t *testing.T) {
	m := compiled(t, `
format: form
type: {of: body.type, table: {employee.left: user.terminated}}
id: ["digest(body.data.changed)"]
data: {user: {employee_number: "${{ body.data.id }}"}, reason: "${{ body.data.changed[1] }}"}
`)
	r := deliver(t, m, "type=employee.left&data%5Bid%5D=0042&data%5Bchanged%5D%5B%5D=a&data%5Bchanged%5D%5B%5D=b+c")
	if len(r.Drafts) != 1 || string(r.Drafts[0].Data) != `{"reason":"b c","user":{"employee_number":"0042"}}` {
		t.Errorf("%+v %s", r.Drafts, faults(r))
	}
	for _, odd := range []string{"a=1&a[b]=2", "a[b]=1&a=2", "%zz", "", strings.Repeat("a[b]", 1) + "=1&a[b][c]=2"} {
		if _, err := m.Parse([]byte(odd)); err == nil {
			t.Errorf("%q is read", odd)
		}
	}
}

// TestEffectiveAt: a day ends with its cut-off in its zone; what says its zone is what it says.
func TestEffectiveAt(t *testing.T) {
	for name, c := range map[string]struct{ effective, day, want string }{
		"end of day":       {`{from: body.day, formats: [date], zone: Europe/Berlin, cutoff: end_of_day}`, "2026-12-31", "2026-12-31T23:00:00Z"},
		"cutoff":           {`{from: body.day, formats: [date], zone: Europe/Berlin, cutoff: "17:00"}`, "2026-07-01", "2026-07-01T15:00:00Z"},
		"zone of the item": {`{from: body.day, formats: [date], zone: "${{ body.zone }}", cutoff: "17:00"}`, "2026-07-01", "2026-07-01T21:00:00Z"},
		"with a zone":      {`{from: body.day, formats: [rfc3339]}`, "2026-12-31T17:00:00+01:00", "2026-12-31T16:00:00Z"},
		"without a zone":   {`{from: body.day, formats: ["02.01.2006 15:04"], zone: Asia/Tokyo}`, "31.12.2026 17:00", "2026-12-31T08:00:00Z"},
		"either":           {`{from: body.day, formats: [rfc3339, date], zone: UTC, cutoff: "00:00"}`, "2026-12-31", "2026-12-31T00:00:00Z"},
		"at once":          {`{from: body.day, formats: [date], zone: UTC, cutoff: "00:00"}`, "", ""},
	} {
		m := compiled(t, "type: {of: \"'left'\", table: {left: user.terminated}}\nid: [\"'1'\"]\ndata: {user: {email: x}}\neffective_at: "+c.effective)
		r := deliver(t, m, fmt.Sprintf(`{"day": %q, "zone": "America/New_York"}`, c.day))
		if len(r.Drafts) != 1 || r.Drafts[0].EffectiveAt != c.want {
			t.Errorf("%s: %+v %s, want %s", name, r.Drafts, faults(r), c.want)
		}
	}
}

// TestRows: a row says otherwise what the whole mapping says, and inherits the rest.
func TestRows(t *testing.T) {
	m := compiled(t, `
type:
  of: body.kind
  table:
    left: user.terminated
    leaving:
      event: user.terminated
      effective_at: {from: body.last, cutoff: "12:00"}
      class: "'urgent'"
      data: {user: {login: maria}}
    phished: {event: user.compromised, when: body.sure}
id: ["body.kind"]
effective_at: {from: body.day, formats: [date], zone: UTC, cutoff: end_of_day}
data: {user: {email: "${{ body.email }}"}}
`)
	for body, want := range map[string]string{
		`{"kind": "left", "day": "2026-12-01", "email": "m@acme.example"}`: `2026-12-02T00:00:00Z  {"user":{"email":"m@acme.example"}}`,
		`{"kind": "leaving", "last": "2026-12-01"}`:                        `2026-12-01T12:00:00Z urgent {"user":{"login":"maria"}}`,
		`{"kind": "phished", "sure": true, "email": "m@acme.example"}`:     `  {"user":{"email":"m@acme.example"}}`,
		`{"kind": "phished", "sure": false}`:                               "skipped",
	} {
		r := deliver(t, m, body)
		got := "skipped"
		if len(r.Drafts) == 1 {
			got = fmt.Sprintf("%s %s %s", r.Drafts[0].EffectiveAt, r.Drafts[0].Class, r.Drafts[0].Data)
		}
		if got != want || len(r.Faults) > 0 {
			t.Errorf("%s: %s %s, want %s", body, got, faults(r), want)
		}
	}
}

// TestVariables: each may use those before it, is evaluated once for an item, and only when it is asked for.
func TestVariables(t *testing.T) {
	m := compiled(t, `
split: body.list
variables: [{name: user, is: item.user}, {name: email, is: user.email + '.example'}, {name: odd, is: item.odd}]
when: user.active
type: {of: "'left'", table: {left: user.terminated}}
id: [email]
data: {user: {email: "${{ email }}"}, reason: "${{ item.?odd.hasValue() ? odd : 'plain' }}"}
`)
	evaluated := 0
	tree, err := m.Parse([]byte(`{"list": [{"user": {"email": "a@acme", "active": true}}, {"user": {"active": false}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	r := m.Map(mapping.Input{Received: received, Body: tree, Trace: func(_ int, name, _ string, _ any, _ error) {
		if name == "email" {
			evaluated++
		}
	}})
	if len(r.Drafts) != 1 || r.Drafts[0].ID != "a@acme.example" || r.Skipped != 1 || evaluated != 1 {
		t.Errorf("%+v, evaluated %d times, %s", r, evaluated, faults(r))
	}
}

// TestCompileFaults: what cannot be right is a fault when it is loaded, with its place.
func TestCompileFaults(t *testing.T) {
	for text, want := range map[string]string{
		`type: {of: 'header["x-event"]', table: {a: user.terminated}}`:                         `:6:18: sources.hr.map.type.of: uses the header x-event, which the signature does not cover`,
		`when: query.kind == "a"`:                                                              "uses the query parameter kind, which the signature does not cover",
		`when: header[body.name] == "a"`:                                                       "header must be used with a name that is a text",
		`when: header["X-Event"] == "a"`:                                                       `written in lower case here: "x-event"`,
		`when: size(header) == 1`:                                                              "header must be used with a name that is a text",
		`when: has(header.b)`:                                                                  "uses the header b",
		`when: '"c" in header'`:                                                                "uses the header c",
		`id: ["string(received)"]`:                                                             "an id must not depend on received",
		"variables: [{name: now, is: received}]\nid: [\"string(now)\"]":                        "an id must not depend on received",
		`effective_at: {from: received}`:                                                       "a time of effect must not depend on received",
		`data: {at: "${{ string(received) }}"}`:                                                "data must not depend on received",
		`data: {at: "${{ header['x-secret'] }}"}`:                                              "uses the header x-secret, which carries the secret",
		`when: query.?token.orValue('') == ''`:                                                 "uses the query parameter token, which carries the secret",
		`source: string(received)`:                                                             "a source must not depend on received",
		`id: ["string(verified.key)"]`:                                                         "an id must not depend on verified.key",
		`id: ["digest(verified)"]`:                                                             "an id must not depend on verified.key",
		`when: verified.key == 0 && received > timestamp("2026-01-01T00:00:00Z")`:              "",
		`when: item.kind`:                                                                      "",
		`when: "1"`:                                                                            "is int, not true or false",
		`when: itme.kind == 1`:                                                                 "undeclared reference to 'itme'",
		`split: "'a'"`:                                                                         "is string, not a list",
		`type: {of: item.kind, table: {a: user.fired}}`:                                        "no such event",
		`variables: [{name: body, is: "1"}]`:                                                   `the name "body" is taken`,
		`effective_at: {from: item.day, formats: [date]}`:                                      "has days without a cutoff",
		`effective_at: {from: item.day, formats: [date], cutoff: "17:00"}`:                     "name the zone",
		`effective_at: {from: item.day, zone: UTC}`:                                            "has no effect: every format says its zone itself",
		`effective_at: {from: item.day, formats: [date], zone: CST, cutoff: "17:00"}`:          "is no zone of the tz database",
		`effective_at: {from: item.day, cutoff: "17:00"}`:                                      "has no effect: the formats have no date",
		`effective_at: {from: item.day, formats: [date], zone: UTC, cutoff: "29:00"}`:          "is no time of day",
		`time: {from: item.at, formats: [iso]}`:                                                "is no format",
		`time: {from: item.at, formats: ["2006-01-02 MST"]}`:                                   "is no format",
		`type: {of: item.kind, table: {a: {event: user.rehired, effective_at: {from: "''"}}}}`: "has no effect: user.rehired takes effect at once",
		`when: item.a.all(x, x.all(y, y.all(z, z == 1)))`:                                      "comprehension exceeds nesting limit",
	} {
		whole := text
		for key, value := range map[string]string{"type": "{of: item.kind, table: {a: user.terminated}}", "id": "[item.id]", "data": "{user: {email: x}}"} {
			if !strings.HasPrefix(text, key+":") && !strings.Contains(text, "\n"+key+":") {
				whole += "\n" + key + ": " + value
			}
		}
		_, err := mapping.Compile("hr", configured(t, whole), mapping.Coverage{Headers: []string{"x-signed"}, Secret: []string{mapping.OfHeader("X-Secret"), mapping.OfQuery("token")}}, nil)
		if got := fmt.Sprint(err); want == "" && err != nil || !strings.Contains(got, want) {
			t.Errorf("%s\n  got  %v\n  want %s", text, err, want)
		}
	}
}

// TestCoveredHeaders: what the sender's proof covers may be used, and so may all when the preset says why.
func TestCoveredHeaders(t *testing.T) {
	text := "type: {of: 'header[\"x-event\"] + query.kind', table: {ab: user.terminated}}\nid: [item.id]\ndata: {user: {email: x}}"
	for _, c := range []struct {
		why  string
		with mapping.Coverage
		ok   bool
	}{
		{"", mapping.Coverage{}, false},
		{"", mapping.Coverage{Headers: []string{"x-event"}}, false},
		{"", mapping.Coverage{Headers: []string{"x-event"}, Query: true}, true},
		{"", mapping.Coverage{All: true}, true},
		{"the event's name stands nowhere else", mapping.Coverage{}, true},
	} {
		whole := text
		if c.why != "" {
			whole += "\nunsigned_headers: \"" + c.why + "\""
		}
		m, err := mapping.Compile("hr", configured(t, whole), c.with, nil)
		if (err == nil) != c.ok {
			t.Errorf("%+v: %v", c, err)
			continue
		}
		if err != nil {
			continue
		}
		r := m.Map(mapping.Input{Body: map[string]any{"id": "1"}, Header: map[string]string{"x-event": "a"}, Query: map[string]string{"kind": "b"}})
		if len(r.Drafts) != 1 || m.Headers()[0] != "x-event" || m.Queries()[0] != "kind" {
			t.Errorf("%+v: %+v", c, r)
		}
	}
}

// TestBoundedTime: an expression over a hostile body ends, and its item is a fault.
func TestBoundedTime(t *testing.T) {
	m := compiled(t, `
type: {of: "'a'", table: {a: user.terminated}}
id: ["body.l.exists(x, body.l.exists(y, x + y == 'never')) ? 'a' : 'b'"]
data: {user: {email: x}}
`)
	r := deliver(t, m, `{"l": ["a"`+strings.Repeat(`,"a"`, 20_000)+`]}`)
	if len(r.Faults) != 1 || !strings.Contains(faults(r), "takes too long") {
		t.Errorf("%+v", r)
	}
	var many strings.Builder
	for range mapping.MaxItems + 1 {
		many.WriteString(`,{}`)
	}
	r = deliver(t, compiled(t, plainMapping), `{"events": [`+many.String()[1:]+`]}`)
	if len(r.Faults) != 1 || !strings.Contains(faults(r), "at most 5000") {
		t.Errorf("%d items, %s", r.Items, faults(r))
	}
}

// What stands beside the items is looked at for each of them: a delivery has a bound of its own, and what it gave by then
// becomes events.
func TestBoundedDelivery(t *testing.T) {
	m := compiled(t, `
split: body.items
type: {of: item.kind, table: {gone: user.terminated}}
id: [item.id]
data: {user: {email: "${{ item.mail }}"}, reason: "${{ body.name }}"}`)
	body := func(name string, n int) string {
		items := strings.Repeat(`{"kind": "gone", "id": "7", "mail": "maria@acme.example"},`, n)
		return `{"name": "` + name + `", "items": [` + strings.TrimSuffix(items, ",") + `]}`
	}
	if r := deliver(t, m, body("Leavers of Acme", 50)); len(r.Drafts) != 50 || len(r.Faults) != 0 {
		t.Errorf("an honest delivery gives %d events and %d faults", len(r.Drafts), len(r.Faults))
	}
	r := deliver(t, m, body(strings.Repeat("A", 800<<10), 40))
	given := 0
	for _, d := range r.Drafts {
		given += len(d.Data)
	}
	if given > 21<<20 || len(r.Drafts) == 0 || len(r.Drafts)+len(r.Faults) != 40 {
		t.Errorf("a costly one gives %d events of %d bytes, and %d faults", len(r.Drafts), given, len(r.Faults))
	}
	if !strings.Contains(faults(r), "costs too much beside the items before it") {
		t.Error("no fault says why")
	}
}
