package presets_test

import (
	"os"
	"strings"
	"testing"

	"keyturn/internal/config"
	"keyturn/internal/ingest"
)

// TestDocumentsSourcesLoad loads every sources.yaml that docs/SOURCES.md shows, with sample secrets.
func TestDocumentsSourcesLoad(t *testing.T) {
	b, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	shown := 0
	for _, part := range strings.Split(string(b), "\n```yaml\n")[1:] {
		text, _, _ := strings.Cut(part, "```")
		if !strings.HasPrefix(text, "sources:") {
			continue
		}
		shown++
		list, err := config.ReadSources("docs", config.Samples(func(string) ([]byte, error) { return []byte(text), nil }))
		if err != nil {
			t.Errorf("%v\n%s", err, text)
		}
		for _, c := range list {
			if _, err := ingest.NewSource(ingest.Configured(c)); err != nil {
				t.Errorf("%v\n%s", err, text)
			}
		}
	}
	if shown < len(config.Presets())/2 {
		t.Errorf("only %d sources are shown: is the mark of their blocks another now?", shown)
	}
}
