package stream_test

import (
	"context"
	"errors"
	"testing"

	"keyturn/internal/stream"
	"keyturn/internal/stream/embedded"
)

func TestABucketSwaps(t *testing.T) {
	bus := connect(t, start(t, embedded.Options{}))
	b := bus.Lanes()
	if _, _, err := b.Get(t.Context(), "k1"); !errors.Is(err, stream.ErrNotFound) {
		t.Fatal(err)
	}
	rev, err := b.Swap(t.Context(), "k1", []byte("a"), 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, after := range []uint64{0, rev + 1} {
		if _, err := b.Swap(t.Context(), "k1", []byte("b"), after); !errors.Is(err, stream.ErrConflict) {
			t.Errorf("swap after %d: %v", after, err)
		}
	}
	if _, err := b.Swap(t.Context(), "k1", []byte("b"), rev); err != nil {
		t.Error(err)
	}
	if value, _, err := b.Get(t.Context(), "k1"); err != nil || string(value) != "b" {
		t.Errorf("got %q, %v", value, err)
	}
	if _, _, err := b.Get(t.Context(), "k2"); !errors.Is(err, stream.ErrNotFound) {
		t.Errorf("another key: %v", err)
	}
}

func TestABucketTellsOfItsChanges(t *testing.T) {
	b := connect(t, start(t, embedded.Options{})).Lanes()
	if _, err := b.Put(t.Context(), "k1", []byte("b")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	type change struct{ key, value string }
	changes, done := make(chan change), make(chan error)
	go func() {
		done <- b.Watch(ctx, func(key string, value []byte) { changes <- change{key, string(value)} })
	}()
	want := func(c change) {
		t.Helper()
		if got := <-changes; got != c {
			t.Errorf("got %v, want %v", got, c)
		}
	}
	want(change{"k1", "b"})
	if _, err := b.Put(t.Context(), "k2", []byte("c")); err != nil {
		t.Fatal(err)
	}
	want(change{"k2", "c"})
	for range 2 { // the second finds nothing
		if err := b.Delete(t.Context(), "k2"); err != nil {
			t.Fatal(err)
		}
		want(change{"k2", ""})
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := b.Swap(t.Context(), "k2", []byte("d"), 0); err != nil { // over what was deleted
		t.Error(err)
	}
	if _, err := b.Put(t.Context(), "not a key", nil); err == nil {
		t.Error("took a key that is none")
	}
}
