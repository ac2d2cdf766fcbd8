package events

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// drawEvent gives any event that Marshal takes.
func drawEvent(t *rapid.T) Event {
	row := rapid.SampledFrom(Catalogue()).Draw(t, "row")
	text := func(label string) string {
		s := rapid.StringN(1, 40, -1).Draw(t, label)
		return strings.TrimSpace(strings.Map(func(r rune) rune {
			if r < ' ' || r == 0x7f || r == 0xfffd {
				return 'x'
			}
			return r
		}, s)) + "."
	}
	data, err := json.Marshal(rapid.MapOfN(rapid.String(), rapid.String(), 0, 5).Draw(t, "data"))
	if err != nil {
		t.Fatal(err)
	}
	canonical, err := Canonical(data)
	if err != nil {
		t.Skip("members that differ in case only")
	}
	e := Event{
		ID: text("id"), Source: "https://acme.example/" + rapid.StringMatching(`[a-z0-9/]{0,20}`).Draw(t, "source"),
		Type: row.Type(), Subject: text("subject"), Class: rapid.SampledFrom(Classes()).Draw(t, "class"), Data: canonical,
	}
	if rapid.Bool().Draw(t, "timed") {
		e.Time = drawTime(t, "time")
	}
	if rapid.Bool().Draw(t, "dated") {
		e.EffectiveAt = drawTime(t, "at")
	}
	if rapid.Bool().Draw(t, "traced") {
		e.TraceParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	}
	if rapid.Bool().Draw(t, "scoped") {
		e.Scope = text("scope")
	}
	return e
}

func drawTime(t *rapid.T, label string) time.Time {
	if rapid.Bool().Draw(t, label+" at an edge") {
		return rapid.SampledFrom(edges()).Draw(t, label).UTC()
	}
	return time.Unix(rapid.Int64Range(1, 4e9).Draw(t, label), rapid.Int64Range(0, 999999999).Draw(t, label+" ns")).UTC()
}

// edges are the outermost times that an RFC 3339 text can give.
func edges() []time.Time {
	return []time.Time{
		time.Date(1, 1, 1, 0, 0, 0, 1, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC),
		time.Date(FirstYear, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(LastYear, 12, 31, 23, 59, 59, 999999999, time.UTC),
		time.Date(9999, 12, 31, 23, 59, 59, 0, time.FixedZone("", 12*3600)),
	}
}

// Whatever the time and its zone: the event comes back as it was, or is not written.
func TestMarshalWritesNoTimeThatCannotBeRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := rapid.SampledFrom([]int{-292277022399, -1, 0, 1, 2, 1969, 1970, 2200, 2262, 9998, 9999, 10000, 292277026596}).Draw(t, "year")
		zone := time.FixedZone("", rapid.IntRange(-86399, 86399).Draw(t, "zone"))
		when := time.Date(at, time.Month(rapid.SampledFrom([]int{1, 12}).Draw(t, "month")), rapid.SampledFrom([]int{1, 31}).Draw(t, "day"),
			rapid.IntRange(0, 23).Draw(t, "hour"), 59, 59, 999999999, zone)
		e := drawEvent(t)
		if rapid.Bool().Draw(t, "effective") {
			e.EffectiveAt = when
		} else {
			e.Time = when
		}
		wire, err := Marshal(e)
		if readable := when.UTC().Year() >= 0 && when.UTC().Year() <= 9999; (err == nil) != readable {
			t.Fatalf("%s: %v", when.UTC(), err)
		}
		if err != nil {
			return
		}
		back, err := Unmarshal(wire)
		if err != nil || !back.Time.Equal(e.Time) || !back.EffectiveAt.Equal(e.EffectiveAt) || back.ContentHash() != e.ContentHash() {
			t.Fatalf("%s: %+v %v", when, back, err)
		}
	})
}

func TestCodecGivesBackWhatItTook(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := drawEvent(t)
		wire, err := Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Unmarshal(wire)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(e, got); d != "" {
			t.Fatal(d)
		}
		if got.Case() != e.Case() || got.ContentHash() != e.ContentHash() {
			t.Fatal("another identity")
		}
		plain, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		var back Event
		if err := json.Unmarshal(plain, &back); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(e, back); d != "" {
			t.Fatal("plain JSON: " + d)
		}
	})
}

func TestWireForm(t *testing.T) {
	e := sample(t, "user.terminated", []byte(`{"user":{"email":"maria@acme.example"}}`))
	e.Time = time.Date(2026, 11, 20, 10, 0, 0, 0, time.FixedZone("", 3600))
	e.EffectiveAt = time.Date(2026, 12, 1, 17, 0, 0, 5, time.UTC)
	wire, err := Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"specversion":"1.0","id":"evt-1","source":"https://hr.acme.example/prod","type":"dev.keyturn.user.terminated.v1",` +
		`"subject":"user:maria@acme.example","datacontenttype":"application/json","dataschema":"https://keyturn.dev/schemas/events/user.terminated/v1.json",` +
		`"time":"2026-11-20T09:00:00Z","data":{"user":{"email":"maria@acme.example"}},"class":"normal","effectiveat":"2026-12-01T17:00:00.000000005Z","scope":"hr"}`
	if string(wire) != want {
		t.Errorf("\n got %s\nwant %s", wire, want)
	}
}

func TestMarshalRefusesWhatWouldChange(t *testing.T) {
	good := sample(t, "user.terminated", []byte(`{"user":{"email":"maria@acme.example"}}`))
	for name, spoil := range map[string]func(*Event){
		"no id":               func(e *Event) { e.ID = "" },
		"space before the id": func(e *Event) { e.ID = " evt-1" },
		"id not UTF-8":        func(e *Event) { e.ID = "\xff" },
		"no source":           func(e *Event) { e.Source = "" },
		"source rewritten":    func(e *Event) { e.Source = "HTTPS://hr.acme.example" },
		"source no URI":       func(e *Event) { e.Source = "1:2" },
		"empty fragment":      func(e *Event) { e.Source += "#" },
		"unknown type":        func(e *Event) { e.Type = "dev.keyturn.user.promoted.v1" },
		"foreign type":        func(e *Event) { e.Type = "com.github.push" },
		"no class":            func(e *Event) { e.Class = "" },
		"unknown class":       func(e *Event) { e.Class = "fast" },
		"space in subject":    func(e *Event) { e.Subject += " " },
		"no data":             func(e *Event) { e.Data = nil },
		"data no object":      func(e *Event) { e.Data = json.RawMessage(`[]`) },
	} {
		e := good
		spoil(&e)
		if wire, err := Marshal(e); err == nil {
			t.Errorf("%s: taken: %s", name, wire)
		}
	}
}

func TestMarshalMakesDataCanonical(t *testing.T) {
	e := sample(t, "user.terminated", []byte(`{"user":{"email":"maria@acme.example"}}`))
	hash := e.ContentHash()
	e.Data = json.RawMessage("{ \"user\" :\n{\"email\":\"maria\\u0040acme.example\"} }")
	if e.ContentHash() != hash {
		t.Error("the hash depends on the spelling")
	}
	wire, err := Marshal(e)
	if err != nil || !bytes.Contains(wire, []byte(`"data":{"user":{"email":"maria@acme.example"}}`)) {
		t.Errorf("%s %v", wire, err)
	}
}

func FuzzUnmarshal(f *testing.F) {
	for _, row := range Catalogue() {
		for _, x := range examples(f, row.Name) {
			wire, err := Marshal(sample(f, row.Name, x))
			if err != nil {
				f.Fatal(err)
			}
			f.Add(wire)
		}
	}
	f.Add([]byte(`{"data_base64":1,"specversion":"1.0"}`))
	f.Add([]byte(`{"specversion":"1.0","id":"1","source":"/a","type":"dev.keyturn.user.rehired.v1","class":"normal","data":null}`))
	f.Add([]byte(`{"specversion":"0.3"}`))
	f.Fuzz(func(t *testing.T, wire []byte) {
		e, err := Unmarshal(wire)
		if err != nil {
			return
		}
		again, err := Marshal(e)
		if err != nil {
			t.Skip("an attribute that only a foreign writer spells so")
		}
		back, err := Unmarshal(again)
		if err != nil {
			t.Fatalf("%s: %v", again, err)
		}
		if d := cmp.Diff(e, back); d != "" {
			t.Fatal(d)
		}
	})
}

// FuzzWritten: what is read without the SDK, the SDK reads the same; and it is what Marshal writes.
func FuzzWritten(f *testing.F) {
	for _, e := range []Event{
		{ID: "e1", Source: "urn:acme:hr", Type: "dev.keyturn.user.terminated.v1", Subject: "user:maria@acme.example", Class: Normal, Scope: "hr", Data: json.RawMessage(`{"user":{"email":"m"}}`)},
		{ID: "é", Source: "/x?a=b", Type: "dev.keyturn.user.rehired.v1", Subject: "user:jörg", Class: Urgent, Time: time.Unix(1795348800, 5), EffectiveAt: time.Unix(1795348801, 0), TraceParent: "00-1", Data: json.RawMessage(`{}`)},
	} {
		wire, err := Marshal(e)
		if err != nil {
			f.Fatal(err)
		}
		if _, ok := written(wire); !ok {
			f.Fatalf("%s is not known as written by Marshal", wire)
		}
		f.Add(wire)
		for _, change := range [][2]string{{`"id":"`, `"id":" `}, {"urn:acme", "URN:acme"}, {`"1.0"`, `"0.3"`}, {`"class"`, `"CLASS"`}, {`"scope"`, `"other"`}, {`"hr"`, `""`}, {`{"user"`, `{ "user"`}, {".v1.json", ".v2.json"}, {"2026", "9999"}} {
			f.Add(bytes.ReplaceAll(wire, []byte(change[0]), []byte(change[1])))
		}
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		got, ok := written(wire)
		if !ok {
			return
		}
		if want, err := unmarshal(wire); err != nil || !cmp.Equal(want, got) {
			t.Errorf("%s: %v, the SDK gives %v, %v", wire, got, want, err)
		}
	})
}
