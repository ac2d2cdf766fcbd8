package events

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// BenchmarkMarshal is what the wire form of an event of 4 KiB costs.
func BenchmarkMarshal(b *testing.B) {
	e := Event{
		ID: "e1", Source: "urn:acme:hr", Type: "dev.keyturn.user.terminated.v1", Subject: "user:maria@acme.example", Time: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC),
		Scope: "hr", Class: Normal, Data: json.RawMessage(`{"note":"` + strings.Repeat("a note ", 540) + `","user":{"email":"maria@acme.example"}}`),
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Marshal(e); err != nil {
			b.Fatal(err)
		}
	}
}
