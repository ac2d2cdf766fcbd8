package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"keyturn/internal/config"
	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/planner"
	"keyturn/internal/sandbox"
)

func keyer(t *testing.T, key string) events.Keyer {
	t.Helper()
	k, err := events.NewKeyer([]byte(key))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestAnotherKeyIsRefused: a worker with another deployment key ends at once, with what to do, and has changed nothing;
// the next one with the key of the ledger works. An operator's tool, which only reads, hears the same.
func TestAnotherKeyIsRefused(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	right, wrong := keyer(t, "sample deployment key of acme.example"), keyer(t, "another deployment key of acme.example")
	set, err := Playbooks(config.Playbooks{})
	if err != nil {
		t.Fatal(err)
	}
	run := func(k events.Keyer, lost string) (*Worker, func() error) {
		w, err := New(Options{Bus: s.bus(), Name: "w", Keyer: k, LostKey: lost, Playbooks: set, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- w.Run(ctx) }()
		return w, func() error {
			for deadline := time.Now().Add(10 * time.Second); !w.begun.Load() && time.Now().Before(deadline); {
				select {
				case err := <-done:
					stop()
					return err
				case <-time.After(time.Millisecond):
				}
			}
			stop()
			return <-done
		}
	}
	for range 2 {
		if _, end := run(right, ""); end() != nil {
			t.Fatal("the key of the ledger is refused")
		}
		w, end := run(wrong, wrong.Key("keyturn deployment key"))
		if err := end(); !errors.Is(err, planner.ErrKey) || !strings.Contains(err.Error(), "KEYTURN_DEPLOYMENT_KEY") || w.begun.Load() {
			t.Fatalf("another key: %v", err)
		}
	}
	l := ledger.New(s.tool.Log(), time.Now)
	if err := planner.CheckKey(t.Context(), l, right); err != nil {
		t.Error(err)
	}
	if err := planner.CheckKey(t.Context(), l, wrong); !errors.Is(err, planner.ErrKey) {
		t.Errorf("%v", err)
	}
}

// TestALostKeyIsReplaced by who names the proof of the lost one, and by nobody twice.
func TestALostKeyIsReplaced(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	if err := s.tool.CreateTopology(t.Context()); err != nil {
		t.Fatal(err)
	}
	l := ledger.New(s.tool.Log(), time.Now)
	lost, next := keyer(t, "sample deployment key of acme.example"), keyer(t, "another deployment key of acme.example")
	if err := planner.ClaimKey(t.Context(), l, lost, "w", ""); err != nil {
		t.Fatal(err)
	}
	refused := planner.ClaimKey(t.Context(), l, next, "w", "")
	_, proof, _ := strings.Cut(refused.Error(), "KEYTURN_LOST_KEY=")
	proof, _, _ = strings.Cut(proof, " ")
	for range 2 { // the setting may stay
		if err := planner.ClaimKey(t.Context(), l, next, "w", proof); err != nil {
			t.Fatal(err)
		}
	}
	if err := planner.ClaimKey(t.Context(), l, lost, "w", proof); !errors.Is(err, planner.ErrKey) {
		t.Errorf("a worker that was not told: %v", err)
	}
}

// TestOneKeyIsClaimed: of many workers that start at once over a ledger that does not tell of its key, with two keys, those
// of one key go on and those of the other do not.
func TestOneKeyIsClaimed(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	if err := s.tool.CreateTopology(t.Context()); err != nil {
		t.Fatal(err)
	}
	l := ledger.New(s.tool.Log(), time.Now)
	var all sync.WaitGroup
	var mu sync.Mutex
	took := map[int]int{}
	for n := range 16 {
		k := keyer(t, fmt.Sprintf("deployment key %d of acme.example", n%2))
		all.Go(func() {
			err := planner.ClaimKey(t.Context(), l, k, fmt.Sprint("w", n), "")
			if err != nil && !errors.Is(err, planner.ErrKey) {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				took[n%2]++
			}
		})
	}
	all.Wait()
	if len(took) != 1 || took[0]+took[1] != 8 {
		t.Errorf("taken: %v", took)
	}
}
