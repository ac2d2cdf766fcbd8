package internal_test

import (
	"bytes"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"keyturn/internal/config"
)

// TestOperationsNamesWhatThereIs holds docs/OPERATIONS.md to the code: it names every metric, and no metric or setting
// that there is not.
func TestOperationsNamesWhatThereIs(t *testing.T) {
	text, err := os.ReadFile("../docs/OPERATIONS.md")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`(keyturn_[a-z_]+)")
	documented := map[string]bool{}
	for _, m := range named.FindAllSubmatch(text, -1) {
		documented[string(m[1])] = true
	}
	made := metrics(t)
	if len(made) < 20 {
		t.Fatalf("only %d metrics in the code: has their form changed?", len(made))
	}
	for name := range maps.Keys(made) {
		if !documented[name] {
			t.Errorf("docs/OPERATIONS.md does not say what to do about %s", name)
		}
	}
	for name := range maps.Keys(documented) {
		if !made[name] {
			t.Errorf("docs/OPERATIONS.md names %s, which is no metric", name)
		}
	}
	var settings bytes.Buffer
	for _, spec := range []any{&config.Ingest{}, &config.Worker{}, &config.Local{}} {
		if err := config.Usage(&settings, spec); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range regexp.MustCompile("KEYTURN_[A-Z_]+").FindAllString(string(text), -1) {
		if !strings.Contains(settings.String(), name) {
			t.Errorf("docs/OPERATIONS.md names %s, which is no setting", name)
		}
	}
}

// metrics finds the names of the metrics in the code of the packages that offer some.
func metrics(t *testing.T) map[string]bool {
	t.Helper()
	name, found := regexp.MustCompile(`"(keyturn_[a-z_]+)"`), map[string]bool{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil || !slices.Contains(strings.Fields(string(text)), `"github.com/prometheus/client_golang/prometheus"`) {
			return err
		}
		for _, m := range name.FindAllSubmatch(text, -1) {
			found[string(m[1])] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
