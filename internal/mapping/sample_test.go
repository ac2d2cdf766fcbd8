package mapping_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"keyturn/internal/config"
	"keyturn/internal/mapping"
)

// received is when every delivery of these tests comes.
var received = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// configured reads a mapping as an operator writes it, below the key map.
func configured(t testing.TB, text string) config.Mapping {
	t.Helper()
	file := "sources:\n  hr:\n    preset: custom\n    verify: {hmac: {header: X-Signature, secrets: [\"${env:S}\"]}}\n    map:\n" + indent(text)
	list, err := config.ReadSources("c", config.Samples(func(name string) ([]byte, error) {
		if name != "c/sources.yaml" {
			return nil, os.ErrNotExist
		}
		return []byte(file), nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	return *list[0].Mapping
}

func indent(text string) string {
	return "      " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n      ") + "\n"
}

// compiled compiles a mapping of a source that signs its body.
func compiled(t testing.TB, text string) *mapping.Mapping {
	t.Helper()
	m, err := mapping.Compile("hr", configured(t, text), mapping.Coverage{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// deliver maps a body.
func deliver(t testing.TB, m *mapping.Mapping, body string) mapping.Result {
	t.Helper()
	tree, err := m.Parse([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return m.Map(mapping.Input{Received: received, Body: tree})
}

// faults are the texts of all faults.
func faults(r mapping.Result) string {
	var lines []string
	for _, f := range r.Faults {
		lines = append(lines, f.Err.Error())
	}
	return strings.Join(lines, "\n")
}

const plainMapping = `
split: body.events
type: {of: item.kind, table: {left: user.terminated, back: user.rehired, moved: ignore}}
id: ["item.?id.orValue('')", "digest(item.email, item.at)"]
time: {from: item.at, formats: [rfc3339, unix, unix_ms]}
data: {user: {email: "${{ item.email }}", employee_number: "${{ item.?number }}"}, reason: sample}
`

// encode is what is stored of v.
func encode(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
