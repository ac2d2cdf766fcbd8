package config

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// TestSamplesNameTheirSchema: an editor checks and completes every sample by its first line, which names a schema that
// is there.
func TestSamplesNameTheirSchema(t *testing.T) {
	files, err := filepath.Glob("../../deploy/config/*.yaml")
	if err != nil || len(files) < 4 {
		t.Fatalf("%d samples (%v)", len(files), err)
	}
	first := regexp.MustCompile(`^# yaml-language-server: \$schema=(\S+)\n`)
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		m := first.FindSubmatch(b)
		if m == nil {
			t.Errorf("%s does not name its schema in the first line", file)
			continue
		}
		if _, err := os.Stat(filepath.Join(filepath.Dir(file), string(m[1]))); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}
