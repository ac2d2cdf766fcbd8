package slowsync_test

import (
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"keyturn/internal/stream/slowsync"
)

func TestEverySyncWaits(t *testing.T) {
	d, err := slowsync.Install() // once for the process
	if err != nil {
		t.Skip(err)
	}
	t.Run("each", func(t *testing.T) { each(t, d) })
	t.Run("beside one another", func(t *testing.T) { beside(t, d) })
	if _, err := slowsync.Install(); err == nil {
		t.Error("installed twice")
	}
}

func each(t *testing.T, d *slowsync.Delay) {
	f, err := os.Create(t.TempDir() + "/f")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const wait = 30 * time.Millisecond
	for name, sync := range map[string]func() error{
		"fsync":     f.Sync,
		"fdatasync": func() error { return unix.Fdatasync(int(f.Fd())) },
		"syncfs":    func() error { return unix.Syncfs(int(f.Fd())) },
	} {
		d.Set(wait)
		begun := time.Now()
		if err := sync(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if took := time.Since(begun); took < wait {
			t.Errorf("%s took %s, want %s or more", name, took, wait)
		}
		d.Set(0)
		if err := sync(); err != nil {
			t.Errorf("%s without a delay: %v", name, err)
		}
	}
}

func beside(t *testing.T, d *slowsync.Delay) {
	dir := t.TempDir()
	d.Set(100 * time.Millisecond)
	defer d.Set(0)
	begun := time.Now()
	var wg sync.WaitGroup
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		wg.Go(func() {
			f, err := os.Create(dir + "/" + name)
			if err != nil {
				t.Error(err)
				return
			}
			defer f.Close()
			if err := f.Sync(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if took := time.Since(begun); took > 700*time.Millisecond {
		t.Errorf("8 syncs of 100 ms took %s: one waited for the other", took)
	}
}
