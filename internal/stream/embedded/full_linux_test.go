package embedded_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/stream"
	"keyturn/internal/stream/embedded"
)

// TestAFullDiskEndsTheProcess: the server writes no more to a stream that a full disk refused once, whatever room there is
// afterwards, so that the process has to end. The next one finds everything, and is asked for no check.
func TestAFullDiskEndsTheProcess(t *testing.T) {
	for _, durability := range []stream.Durability{stream.Group, stream.Always} {
		t.Run(string(durability), func(t *testing.T) {
			opts := embedded.Options{Dir: filled(t), Durability: durability}
			if durability == stream.Group {
				opts.Sync = func() error { return nil }
			}
			srv := start(t, opts)
			bus := connect(t, srv.Options())
			block := filepath.Join(opts.Dir, "jetstream", "$G", "streams", "COMMANDS", "msgs", "1.blk")
			_ = os.Remove(block) // nothing was written to it yet
			if err := os.Symlink("/dev/full", block); err != nil {
				t.Fatal(err)
			}
			ctx, leave := context.WithCancel(t.Context())
			published := make(chan error)
			go func() {
				published <- bus.PublishCommand(ctx, events.Command{ID: "c1", Verb: events.Deny, Target: "case1"})
			}()
			select {
			case <-srv.Failed():
			case <-time.After(10 * time.Second):
				t.Fatal("nobody is told of it")
			}
			leave()
			if <-published == nil {
				t.Error("published to a full disk")
			}
			if err := srv.Err(); !errors.Is(err, embedded.ErrFull) {
				t.Errorf("it ends because of: %v", err)
			}
			_ = bus.Close(t.Context())
			_ = srv.Close()
			if err := os.Remove(block); err != nil {
				t.Fatal(err)
			}
			again := connect(t, start(t, opts).Options())
			if err := again.PublishCommand(t.Context(), events.Command{ID: "c1", Verb: events.Deny, Target: "case1"}); err != nil {
				t.Errorf("published where there is room again: %v", err)
			}
		})
	}
}
