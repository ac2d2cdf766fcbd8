package stream_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/stream"
	"keyturn/internal/stream/embedded"
)

// powercut asks for the tests that cut the power of a file system of their own. They need root and a loop device.
var powercut = flag.Bool("powercut", false, "run the power-cut tests (Linux, root, loop devices)")

// disk is an ext4 file system in a file.
type disk struct{ image, at string }

// newDisk makes and mounts one, or skips the test with the reason.
func newDisk(t *testing.T) disk {
	t.Helper()
	if !*powercut {
		t.Skip("needs -powercut (make powercut)")
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root, to mount a loop device")
	}
	d := disk{image: filepath.Join(t.TempDir(), "disk.img")}
	if err := os.WriteFile(d.image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(d.image, 256<<20); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mkfs.ext4", "-q", "-F", d.image).CombinedOutput(); err != nil {
		t.Skipf("needs mkfs.ext4: %v: %s", err, out)
	}
	return d.mount(t)
}

// mount mounts the image. The kernel writes nothing back by itself for a minute: whatever is there after the cut was
// synced.
func (d disk) mount(t *testing.T) disk {
	t.Helper()
	d.at = filepath.Join(t.TempDir(), "mnt")
	if err := os.Mkdir(d.at, 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mount", "-o", "loop,commit=60", d.image, d.at).CombinedOutput(); err != nil {
		t.Skipf("needs to mount a loop device: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", d.at).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	})
	return d
}

// cut gives the disk as it is if the power fails now: a copy of what reached the device, mounted anew.
func (d disk) cut(t *testing.T) disk {
	t.Helper()
	after := disk{image: filepath.Join(t.TempDir(), "after.img")}
	if out, err := exec.Command("cp", "--sparse=always", d.image, after.image).CombinedOutput(); err != nil {
		t.Fatalf("copy: %v: %s", err, out)
	}
	return after.mount(t)
}

// fill stores events from many publishers and a record for each, and returns the ids of what was answered as stored.
func fill(t *testing.T, bus *stream.Bus) (ids []string) {
	t.Helper()
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for j := range 64 {
				id := fmt.Sprintf("%d-%d", i, j)
				if err := bus.PublishEvents(t.Context(), []events.Event{event(id)}); err != nil {
					t.Error(err)
					return
				}
				if _, err := bus.Log().Append(t.Context(), ledger.PlanSubject(id), 0, []byte(id)); err != nil {
					t.Error(err)
					return
				}
				if err := bus.Barrier(t.Context()); err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				ids = append(ids, id)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return ids
}

// missing counts the ids that a store does not have any more, as events and as records.
func missing(t *testing.T, dir string, ids []string) (evs, recs int) {
	t.Helper()
	srv := start(t, embedded.Options{Dir: dir, Durability: stream.Always})
	defer srv.Close()
	bus := connect(t, srv)
	defer bus.Close(context.Background())
	have := map[string]bool{}
	if n := count(t, srv, "EVENTS"); n > 0 {
		for _, m := range take(t, bus, stream.EventsOf(events.Normal), int(n), nil) {
			e, err := events.Unmarshal(m.Data)
			if err != nil {
				t.Fatal(err)
			}
			have[e.ID] = true
		}
	}
	for _, id := range ids {
		if !have[id] {
			evs++
		}
		if _, _, err := bus.Log().Last(t.Context(), ledger.PlanSubject(id)); errors.Is(err, ledger.ErrNotFound) {
			recs++
		} else if err != nil {
			t.Fatal(err)
		}
	}
	return evs, recs
}

func TestPowerCutLosesNothingThatWasAnsweredAsStored(t *testing.T) {
	for _, durability := range []stream.Durability{stream.Group, stream.Always, stream.None} {
		t.Run(string(durability), func(t *testing.T) {
			d := newDisk(t)
			srv := start(t, embedded.Options{Dir: filepath.Join(d.at, "store"), Durability: durability})
			defer srv.Close()
			bus := connect(t, srv)
			defer bus.Close(context.Background())
			ids := fill(t, bus)
			after := d.cut(t)
			store := filepath.Join(after.at, "store")
			if durability != stream.None {
				if rep, err := embedded.Check(t.Context(), store); err != nil || !rep.Unclean {
					t.Errorf("check after the cut: %+v, %v", rep, err)
				}
			}
			evs, recs := missing(t, store, ids)
			t.Logf("%s: %d answered as stored; %d events and %d records lost", durability, len(ids), evs, recs)
			switch {
			case durability == stream.None && (evs == 0 || recs == 0):
				t.Error("nothing lost without any sync: this test cuts nothing")
			case durability != stream.None && evs+recs > 0:
				t.Errorf("lost %d events and %d records", evs, recs)
			}
		})
	}
}
