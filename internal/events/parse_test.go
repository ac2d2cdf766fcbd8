package events

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// awkward is JSON text, and what is nearly JSON.
func awkward() []string {
	return []string{
		`{}`, `[]`, `""`, `null`, `true`, `false`, `0`, `-0`, `-`, `01`, `1.`, `.5`, `1e`, `1E+2`, `1e400`, `nul`, `tru e`, `{"a"}`, `{"a":}`,
		`{"a":1,}`, `{,}`, `[1,]`, `[,1]`, `{"a":1 "b":2}`, `{"a":[1,{"b":"\u00e9\n\/"}]}`, "{\"a\":\"\x01\"}", `{"a":"\x"}`, `{"a":"\`, `{"a":"`,
		` { "a" : [ 1 , 2 ] } `, `{"":1}`, `{"a":"<&>"}`, `{"a":"` + "\u2028\u2013\u007f" + `"}`, `{"b":1,"a":2}`, `{"a":"\"\\\n\r\t\b"}`, `{"A":1}`,
		"{\"a\":1}\x00", `{"a":1}{`, `{"a":{"b":[[],{}]}}`, `{"a":"\ud83d\ude00"}`, `{"a":"\ud83d"}`, "\ufeff{}", `{"a":1e308}`, `{a:1}`, `{"a":'b'}`,
	}
}

// encoding/json is the other reader: whatever it reads is read alike, unless one of our own rules forbids it, and
// whatever it refuses is refused.
func FuzzParse(f *testing.F) {
	for _, s := range awkward() {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := parse(data)
		if err != nil {
			if v, ok := err.(Violation); !ok || strings.Contains(v.Rule, "not JSON") && json.Valid(data) {
				t.Fatalf("%q: %v", data, err)
			}
			return
		}
		dec := json.NewDecoder(bytes.NewReader(data))
		dec.UseNumber()
		var want any
		if err := dec.Decode(&want); err != nil || !json.Valid(data) {
			t.Fatalf("%q is taken, and is no JSON", data)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%q: %v, want %v", data, got, want)
		}
		text, err := json.Marshal(want)
		if err != nil || !bytes.Equal(text, appendCanonical(nil, got)) {
			t.Fatalf("%q is written as %s, want %s", data, appendCanonical(nil, got), text)
		}
	})
}

// What is recognised as canonical is what parsing and writing it gives; and what they give is recognised, apart from
// what is left to them on purpose.
func FuzzRecognise(f *testing.F) {
	for _, s := range awkward() {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		tree, err := parse(data)
		_, object := tree.(map[string]any)
		if !isCanonical(data) {
			return
		}
		if err != nil || !object || !bytes.Equal(appendCanonical(nil, tree), data) {
			t.Fatalf("%q counts as canonical: %v", data, err)
		}
	})
}

func TestCommonDataIsRecognised(t *testing.T) {
	name := rapid.StringMatching(`[a-z][a-z0-9_.-]{0,9}`)
	text := rapid.StringMatching(`[A-Za-z0-9 @.,"\\\n\täöü€]{0,20}`)
	rapid.Check(t, func(t *rapid.T) {
		doc := map[string]any{"user": rapid.MapOf(name, text).Draw(t, "user"), "list": rapid.SliceOf(rapid.IntRange(-9, 9)).Draw(t, "list"), "on": true}
		data, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		if want := !bytes.ContainsAny(data, "€"); isCanonical(data) != want {
			t.Fatalf("%s: recognised %v", data, !want)
		}
	})
}

func TestMembers(t *testing.T) {
	for in, want := range map[string]map[string]string{
		`{}`: {},
		` {"a" : {"x":[1,"}"]} , "b":null,"c":"\"," } `: {"a": `{"x":[1,"}"]}`, "b": "null", "c": `"\","`},
		`{"a":1,"a":2}`:    nil,
		`{"a":1,"A":2}`:    nil,
		`{"a":tru}`:        nil,
		`{"a":1 2}`:        nil,
		`{"a":[}`:          nil,
		`{"a":1}}`:         nil,
		`{"a":"\ud83d"}`:   nil,
		`{"\ud83d":1}`:     nil,
		`[1]`:              nil,
		``:                 nil,
		`{"a":{"b":1}`:     nil,
		`{"a":"x`:          nil,
		"{\"a\":\"\xff\"}": nil,
	} {
		got, err := Members([]byte(in))
		if (err == nil) != (want != nil) {
			t.Errorf("%s: %v", in, err)
			continue
		}
		for name, value := range want {
			if string(got[name]) != value {
				t.Errorf("%s: %s is %s", in, name, got[name])
			}
		}
	}
}

func BenchmarkEvent(b *testing.B) {
	e := Event{
		ID: "1", Source: "https://hr.acme.example", Type: "dev.keyturn.user.terminated.v1", Subject: "user:ada@acme.example", Scope: "hr", Class: Normal,
		Data: []byte(`{"note":"` + strings.Repeat("x", 640) + `","user":{"email":"ada@acme.example"}}`),
	}
	wire, err := Marshal(e)
	if err != nil {
		b.Fatal(err)
	}
	for _, one := range []struct {
		name string
		do   func()
	}{
		{"members", func() { _, _ = Members(wire) }},
		{"inspect", func() { Inspect("user.terminated", e.Data) }},
		{"hash", func() { e.ContentHash() }},
		{"marshal", func() { _, _ = Marshal(e) }},
		{"unmarshal", func() { _, _ = Unmarshal(wire) }},
	} {
		b.Run(one.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				one.do()
			}
		})
	}
}
