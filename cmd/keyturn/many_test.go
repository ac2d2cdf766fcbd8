package main

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"keyturn/internal/ledger"
	"keyturn/internal/stream"
	"keyturn/internal/stream/embedded"
	"keyturn/internal/stream/streamtest"
)

// TestWhatIsNotHeardIsStoredAllTheSame: a broker that goes away after many commands were stored is no reason to fear for
// them, and whoever gave them is told so.
func TestWhatIsNotHeardIsStoredAllTheSame(t *testing.T) {
	bus := streamtest.Bus(t, embedded.Options{})
	s := &session{bus: bus, ledger: ledger.New(bus.Log(), time.Now)}
	if err := bus.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	late, err := hearAll(t.Context(), s, []outcome{{Command: "c1"}, {Command: "c2"}}, 20*time.Millisecond)
	if late != nil || !errors.Is(err, stream.ErrUnavailable) || exitCode(err) != exitUnavailable ||
		!strings.Contains(err.Error(), "2 commands stored") {
		t.Errorf("%v, %v", late, err)
	}
}
