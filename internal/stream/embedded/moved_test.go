package embedded_test

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"keyturn/internal/events"
	"keyturn/internal/stream"
	"keyturn/internal/stream/embedded"
)

// files reads a directory with everything below it.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(filepath.Join(dir, path))
		all[path] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestARestoreUnderARunningServer has a person move a store away and put its backup there without having stopped the
// server: it answers nobody from then on, and not one byte of what was restored is its own.
func TestARestoreUnderARunningServer(t *testing.T) {
	backup := filled(t)
	dir := filepath.Join(t.TempDir(), "store")
	if err := os.CopyFS(dir, os.DirFS(backup)); err != nil {
		t.Fatal(err)
	}
	srv := start(t, embedded.Options{Dir: dir, Listen: true, Durability: stream.Group, Sync: func() error { return nil }})
	bus := connect(t, srv.Options())
	if err := bus.PublishEvents(t.Context(), []events.Event{event("before")}); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(dir, dir+".lost"); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(dir, os.DirFS(backup)); err != nil {
		t.Fatal(err)
	}
	if err := bus.PublishEvents(t.Context(), []events.Event{event("after")}); !errors.Is(err, stream.ErrBarrier) {
		t.Errorf("published into a store that was moved away: %v", err)
	}
	if err := srv.Close(); !errors.Is(err, stream.ErrBarrier) {
		t.Errorf("closed: %v", err)
	}
	if why := srv.Err(); strings.Count(why.Error(), "over what is there now") != 1 {
		t.Errorf("says what to do not once: %v", why)
	}
	if diff := cmp.Diff(files(t, backup), files(t, dir)); diff != "" {
		t.Errorf("what was restored has changed:\n%.2000s", diff)
	}
}

// TestSaysThatAStoreIsEmpty: a file system that is not mounted looks like a first start, and nobody should have to guess.
func TestSaysThatAStoreIsEmpty(t *testing.T) {
	dir := t.TempDir()
	for life, want := range []bool{true, false} {
		var log bytes.Buffer
		srv := start(t, embedded.Options{Dir: dir, Log: slog.New(slog.NewTextHandler(&log, nil))})
		if err := srv.Close(); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(log.String(), "begins an empty store"); got != want {
			t.Errorf("life %d: %t, want %t: %s", life, got, want, log.String())
		}
	}
}
