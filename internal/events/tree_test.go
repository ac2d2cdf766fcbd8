package events

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// numbered is what encoding/json reads, with the numbers that Tree gives.
func numbered(v any) any {
	switch x := v.(type) {
	case map[string]any:
		for name, m := range x {
			x[name] = numbered(m)
		}
	case []any:
		for i, m := range x {
			x[i] = numbered(m)
		}
	case json.Number:
		if i, err := x.Int64(); err == nil {
			return i
		}
		f, _ := x.Float64()
		return f
	}
	return v
}

// native is a tree with maps in place of objects.
func native(v any) any {
	switch x := v.(type) {
	case *Object:
		m := map[string]any{}
		for name, v := range x.All() {
			m[name] = native(v)
		}
		return m
	case []any:
		for i, v := range x {
			x[i] = native(v)
		}
	}
	return v
}

// FuzzTree: what Tree reads, encoding/json reads the same.
func FuzzTree(f *testing.F) {
	for _, text := range []string{
		`{"a": [1, -2.5, 1e3, 9223372036854775807, 9223372036854775808, true, false, null, "x"], "a": {"é": "\u00e9\ud83d\ude00\ud83d"}}`,
		`"text"`, ` 12 `, `[]`, `{}`, `[1,]`, `{"a" 1}`, `01`, `-`, `"a`, `nul`, "\"\x01\"", `1 2`, `1e400`, `[99e308]`, ``, "\xff",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := Tree(text, nil)
		dec := json.NewDecoder(bytes.NewReader(text))
		dec.UseNumber()
		var want any
		readable := json.Valid(text) && dec.Decode(&want) == nil
		if err != nil {
			if _, is := errors.AsType[Violation](err); !is {
				t.Errorf("%q: %v is no Violation, and may quote the text", text, err)
			}
			return // Tree has bounds that encoding/json has not
		}
		if !readable {
			t.Fatalf("%q is read, and is no JSON", text)
		}
		if diff := cmp.Diff(numbered(want), native(got)); diff != "" {
			t.Errorf("-encoding/json +Tree:\n%s", diff)
		}
	})
}

// TestTreeReads: what is JSON is read, within the bounds.
func TestTreeReads(t *testing.T) {
	for text, ok := range map[string]bool{
		`{"a": {"a": 1}, "A": 2}`: true, `[1, 2]`: true, `"\ud83d"`: true, ` null `: true,
		`{"a": 1`: false, `[1,]`: false, `1 2`: false, ``: false, `1e400`: false, `99e308`: false, "\"\xff\"": false,
	} {
		if _, err := Tree([]byte(text), nil); (err == nil) != ok {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestAppendJSON: what is no UTF-8 is written as encoding/json writes it, names and values.
func TestAppendJSON(t *testing.T) {
	m := map[string]any{"a\xf1": "b\xb0", "<é>": []any{"\u2028", int64(-1), 1.5, nil, true}, "z": map[string]any{"\xff": "x", "": ""}}
	want, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := AppendJSON(nil, ObjectOf(m)); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s, %v, want %s", got, err, want)
	}
}
