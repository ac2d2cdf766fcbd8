//go:build unix

package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Whoever may write into the directory of a configuration does not stop the process that reads it again every ten seconds:
// neither by something without an end, nor by something that never begins.
func TestOnlyFilesAreRead(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	huge, err := os.Create(at("huge"))
	if err != nil {
		t.Fatal(err)
	}
	defer huge.Close()
	for _, err := range []error{
		os.WriteFile(at("file"), []byte("text"), 0o600), os.Symlink("file", at("link")), os.Symlink("/dev/zero", at("zero")),
		unix.Mkfifo(at("pipe"), 0o600), huge.Truncate(1 << 40),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"file", "link"} {
		if b, err := ReadFile(at(name)); string(b) != "text" || err != nil {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
	for _, name := range []string{"zero", "pipe", "."} {
		if _, err := ReadFile(at(name)); !errors.Is(err, ErrNoFile) {
			t.Errorf("%s: %v, want %v", name, err, ErrNoFile)
		}
	}
	if b, err := ReadFile(at("huge")); len(b) != maxFile+1 || err != nil {
		t.Errorf("a file without an end gives %d bytes, %v", len(b), err)
	}
	refs := Resolver{}.in(dir)
	for name, want := range map[string]string{"huge": "is larger than 64 KiB", "zero": "cannot be read: is no regular file"} {
		if _, wrong := refs.resolve("${file:" + name + "}"); !strings.Contains(wrong, want) {
			t.Errorf("a secret in %s: %q, want %q", name, wrong, want)
		}
	}
}
