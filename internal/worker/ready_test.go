package worker

import (
	"context"
	"io"
	"log/slog"
	"testing"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/sandbox"
)

// TestReadyWhenItWorks: streams that are there already do not make a worker ready; its own beginning does.
func TestReadyWhenItWorks(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	if err := s.tool.CreateTopology(t.Context()); err != nil {
		t.Fatal(err)
	}
	keyer, err := events.NewKeyer([]byte("sample deployment key of acme.example"))
	if err != nil {
		t.Fatal(err)
	}
	w, err := New(Options{Bus: s.bus(), Name: "w1", Keyer: keyer, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	ready := func() (err error) {
		for _, c := range w.Checks() {
			if c.Name == "worker" {
				return c.Run(t.Context())
			}
		}
		t.Fatal("no check says whether the worker works")
		return nil
	}
	if ready() == nil {
		t.Error("it is ready before it runs")
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for deadline := time.Now().Add(30 * time.Second); ready() != nil; <-look.C {
		if time.Now().After(deadline) {
			t.Fatal(ready())
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
