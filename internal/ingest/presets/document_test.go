package presets_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"keyturn/internal/config"
	"keyturn/internal/ingest"
	"keyturn/internal/ingest/presets"
	"keyturn/internal/rehearsal"
)

const (
	document   = "../../../docs/SOURCES.md"
	tableBegin = "<!-- presets: written by go test ./internal/ingest/presets -update -->\n"
	tableEnd   = "<!-- end of presets -->"
)

// TestDocumentHasEveryPreset holds the table of docs/SOURCES.md against the presets.
func TestDocumentHasEveryPreset(t *testing.T) {
	b, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(b), tableBegin)
	got, after, ended := strings.Cut(rest, tableEnd)
	if !ok || !ended {
		t.Fatal("the marks of the table are missing")
	}
	want := table(t)
	switch {
	case got == want:
	case *update:
		if err := os.WriteFile(document, []byte(before+tableBegin+want+tableEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("the table is not that of the presets: go test ./internal/ingest/presets -update\n%s", want)
	}
}

// table is what the presets say about themselves.
func table(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("| preset | sender | proof | events | confirmed |\n| --- | --- | --- | --- | --- |\n")
	for _, name := range config.Presets() {
		list, err := config.ReadSources("testdata/"+name, config.Samples(presets.FS.ReadFile))
		if err != nil {
			t.Fatal(err)
		}
		c := list[0]
		confirmed := 0
		for _, f := range c.Facts {
			if f.Confirmed {
				confirmed++
			}
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %d of %d |\n", name, c.About, c.Verify.Kind(), strings.Join(eventsOf(c), ", "), confirmed, len(c.Facts))
	}
	return b.String()
}

// eventsOf lists the events that a source can give, each once.
func eventsOf(c config.Source) []string {
	if c.Mapping == nil {
		return []string{"all"}
	}
	var names []string
	for _, r := range c.Mapping.Rows {
		if r.Event.Value != config.Ignore && !slices.Contains(names, r.Event.Value) {
			names = append(names, r.Event.Value)
		}
	}
	slices.Sort(names)
	return names
}

// TestDocumentsExampleWorks plays the case of "Write your own in ten minutes" through the source that stands there.
func TestDocumentsExampleWorks(t *testing.T) {
	b, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	_, chapter, _ := strings.Cut(string(b), "## Write your own")
	list, err := config.ReadSources("docs", config.Samples(func(string) ([]byte, error) { return []byte(block(chapter, "yaml")), nil }))
	if err != nil {
		t.Fatal(err)
	}
	c, err := rehearsal.Parse(block(chapter, "text"))
	if err != nil {
		t.Fatal(err)
	}
	o, err := rehearsal.Run(ingest.Configured(list[0]), c)
	if err != nil {
		t.Fatal(err)
	}
	if len(o.Events) != 1 || o.Fault != nil || o.Counts["skipped"] != 1 || o.Events[0].Subject != "user:4217" ||
		o.Events[0].EffectiveAt.Format("2006-01-02T15:04Z") != "2026-11-30T23:00Z" {
		t.Errorf("it gives\n%s", o)
	}
}

// block is the first fenced block of a language in a text.
func block(text, language string) string {
	_, rest, _ := strings.Cut(text, "\n```"+language+"\n")
	inside, _, _ := strings.Cut(rest, "```")
	return inside
}

// TestPresetsNameThemselves: a preset says its own name, who sends, and what is known of the sender.
func TestPresetsNameThemselves(t *testing.T) {
	for _, name := range config.Presets() {
		b, err := presets.FS.ReadFile(name + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		text := "\n" + string(b)
		for _, want := range []string{"\npreset: " + name + "\n", "\nabout: ", "\nfacts:\n"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s.yaml does not say %s", name, strings.TrimSpace(want))
			}
		}
	}
}
