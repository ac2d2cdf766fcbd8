package mapping_test

import (
	"strings"
	"testing"

	"keyturn/internal/mapping"
)

// TestKeep: of a body only what is named is left, in its place, and a text is none of an object that was meant.
func TestKeep(t *testing.T) {
	m := compiled(t, `
type: {of: "'left'", table: {left: user.terminated}}
id: ["'1'"]
data: {user: {email: a@acme.example}}
keep: [/kind, /people/*/id, /people/*/name/first, "/people/1/pay", /people/1/pay/rate, "/a~1b/~0", /rows/0, /whole]
redact: [/whole/secret]
`)
	for body, want := range map[string]string{
		`{"kind": "left", "kinds": 1, "a/b": {"~": 7, "/": 8}}`:                                         `{"a/b":{"~":7},"kind":"left"}`,
		`{"people": [{"id": 1, "pay": 5}, {"id": 2, "name": {"first": "Ada", "last": "L"}, "pay": 6}]}`: `{"people":[{"id":1},{"pay":6}]}`,
		`{"people": ["text", null, {"id": {"deep": [1]}}]}`:                                             `{"people":[null,null,{"id":{"deep":[1]}}]}`,
		`{"people": {"id": 1, "*": {"id": 2}, "0": {"id": 3}}}`:                                         `{"people":{}}`,
		`{"people": "text", "rows": [1, 2]}`:                                                            `{"rows":[1,null]}`,
		`{"whole": {"secret": 1, "open": [2]}}`:                                                         `{"whole":{"open":[2]}}`,
		`[{"kind": 1}]`:                                                                                 `[null]`,
		`"text"`:                                                                                        `"text"`,
	} {
		tree, err := m.Parse([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		if got := encode(t, tree); got != want {
			t.Errorf("%s: %s, want %s", body, got, want)
		}
		back, err := m.Restore([]byte(encode(t, mapping.Kept{Body: tree})), received)
		if err != nil || encode(t, back.Body) != want {
			t.Errorf("%s: restored as %s, %v", body, encode(t, back.Body), err)
		}
	}
}

// TestKeepOfForms: what is kept of a form is kept by the same names.
func TestKeepOfForms(t *testing.T) {
	m := compiled(t, "format: form\ntype: {of: body.data.kind, table: {left: user.terminated}}\nid: [body.data.kind]\ndata: {user: {email: x}}\nkeep: [/data/kind]")
	tree, err := m.Parse([]byte("data[kind]=left&data[pay]=5&token=7"))
	if got := encode(t, tree); err != nil || strings.TrimSpace(got) != `{"data":{"kind":"left"}}` {
		t.Errorf("%s, %v", got, err)
	}
}

// TestKeptAsDeepAsItCame: what nests as deep as a body or the claims of a token may is read again.
func TestKeptAsDeepAsItCame(t *testing.T) {
	m := compiled(t, "type: {of: \"'left'\", table: {left: user.terminated}}\nid: [\"'1'\"]\ndata: {user: {email: a@acme.example}}")
	deep := strings.Repeat(`{"a":[`, 32) + "1" + strings.Repeat("]}", 32)
	body, err := m.Parse([]byte(deep))
	if err != nil {
		t.Fatal(err)
	}
	kept := mapping.Keep(mapping.Input{Body: body, Header: map[string]string{"x-a": "b"}, Verified: map[string]any{"claims": body, "key": 1}}, nil, nil)
	back, err := m.Restore([]byte(encode(t, kept)), received)
	if err != nil || encode(t, back.Body) != deep || encode(t, back.Verified) != `{"claims":`+deep+`,"key":1}` || back.Header["x-a"] != "b" {
		t.Errorf("%v: %s, %s", err, encode(t, back.Body), encode(t, back.Verified))
	}
}

// FuzzKeep: what is left of a text while it is read is what is left of the whole tree, as it is of what was kept before.
func FuzzKeep(f *testing.F) {
	m := compiled(f, `
type: {of: "'left'", table: {left: user.terminated}}
id: ["'1'"]
data: {user: {email: a@acme.example}}
keep: [/a, /b/c, /b/*/a, /*/a, "/a~1b/0", /0/a, /1]
`)
	for _, body := range []string{
		`{"a": 1, "b": {"c": [1, {"d": null}], "x": {"a": "\u00e9"}}, "a": {"z": 1, "y": 2}}`, `{"b": {"c": 1}, "b": "gone"}`, `{"b": 1, "b": {"c": 2}}`,
		`[{"a": 1, "b": 2}, {"a": {"b": 1}}, 3]`, `{"a/b": [1, 2], "*": {"a": 1}}`, `"text"`, `12`, `{"b": [{"a": 1}, {"c": 2}]}`, `{"a": -0.0}`, `{"a": [1.0, 1e21, 1e-7]}`,
		`{"a": ` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + `}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		tree, err := m.Parse(body)
		whole, wholeErr := mapping.ParseJSON(body)
		if wholeErr != nil {
			return // what is not kept need not be in the bounds of a number
		}
		if err != nil {
			t.Fatalf("%q cannot be read, the whole can: %v", body, err)
		}
		back, err := m.Restore([]byte(encode(t, mapping.Kept{Body: whole})), received)
		if err != nil {
			t.Fatalf("%q cannot be read again: %v", body, err)
		}
		if got, want := encode(t, tree), encode(t, back.Body); got != want {
			t.Errorf("%q: %s, the whole gives %s", body, got, want)
		}
	})
}
