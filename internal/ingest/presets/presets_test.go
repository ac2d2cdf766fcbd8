package presets_test

import (
	"flag"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"keyturn/internal/config"
	"keyturn/internal/ingest/presets"
	"keyturn/internal/rehearsal"
)

var update = flag.Bool("update", false, "write what every case gives into its file")

// TestPresets plays every case of every preset.
func TestPresets(t *testing.T) {
	for _, name := range config.Presets() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			suite := load(t, name)
			if len(suite.Cases) == 0 {
				t.Error("has no case")
			}
			for file, text := range suite.Cases {
				t.Run(strings.TrimPrefix(file, "testdata/"+name+"/"), func(t *testing.T) { play(t, suite, file, text) })
			}
		})
	}
}

func play(t *testing.T, suite rehearsal.Suite, file, text string) {
	c, got, err := suite.Play(text)
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case c.Matches(got):
	case *update:
		if err := os.WriteFile(file, []byte(c.Text(got)), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("(-want +got):\n%s", cmp.Diff(c.Want(), got.String()))
	}
}

// TestEveryDirectoryIsOfAPreset: cases that no test plays prove nothing.
func TestEveryDirectoryIsOfAPreset(t *testing.T) {
	dirs, err := fs.ReadDir(presets.FS, "testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range dirs {
		if _, err := fs.Stat(presets.FS, d.Name()+".yaml"); err != nil {
			t.Errorf("testdata/%s: no preset has that name", d.Name())
		}
	}
}
