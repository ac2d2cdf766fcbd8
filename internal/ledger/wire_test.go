package ledger

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// samples are records of every form that there is.
func samples() []Record {
	at := time.Date(2026, 2, 3, 4, 5, 6, 7000, time.UTC)
	return []Record{
		{Subject: "ledger.c.lifecycle", State: Open, Time: at, By: "planner"},
		{Subject: "ledger.c.plan", State: Planned, Time: at, By: "planner", Attempt: "c", Body: json.RawMessage(`{"case":"c","x":[1,"}"]}`)},
		{Subject: "ledger.c.a", State: Started, Time: at, By: "w", Attempt: "1", Tries: 1, Epoch: 7, Evidence: &Evidence{}},
		{Subject: "ledger.c.a", State: Verified, Time: at, By: "w", Attempt: "1", Tries: 12, Attempts: 3, Epoch: 7, Prev: blank,
			Evidence: &Evidence{Pins: map[string]string{"user": "00u1"}, Seen: []Fact{{"user 00u1 status", "SUSPENDED"}}, Needed: []string{`,"prev":"`}}},
		{Subject: "ledger.c.plan", State: Refused, Time: at, By: "w", Reason: "protected", Prev: blank, Body: json.RawMessage("{}")},
	}
}

// TestWrittenReadsWhatSealWrites: what is written every day is read the quick way.
func TestWrittenReadsWhatSealWrites(t *testing.T) {
	for _, rec := range samples() {
		data, err := rec.seal()
		if err != nil {
			t.Fatal(err)
		}
		got, ok := written(data)
		if diff := cmp.Diff(rec, got); !ok || diff != "" {
			t.Errorf("%s: read: %t (-written +read)\n%s", data, ok, diff)
		}
	}
}

// FuzzWritten holds the quick way against encoding/json: what it reads at all, it reads alike.
func FuzzWritten(f *testing.F) {
	for _, rec := range samples() {
		data, err := rec.seal()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
		f.Add(append([]byte(" "), data...))
		f.Add(data[:len(data)-1])
	}
	odd := Record{Subject: "ledger.c.a", State: Dead, Reason: "<é>", Evidence: &Evidence{}, Body: json.RawMessage("1")}
	data, err := odd.seal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		got, ok := written(data)
		if !ok {
			return
		}
		var want Record
		if err := json.Unmarshal(data, &want); err != nil {
			t.Fatalf("%q: read, and it is none: %v", data, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%q: (-want +got)\n%s", data, diff)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	rec := samples()[3]
	data, err := rec.seal()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Decode(rec.Subject, 1, data); err != nil {
			b.Fatal(err)
		}
	}
}
