package ledgertest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"keyturn/internal/ledger"
)

// Conform checks that a log keeps the promises of ledger.Log. Each subtest opens an empty log of its own.
func Conform(t *testing.T, open func(t *testing.T) ledger.Log) {
	t.Helper()
	t.Run("empty", func(t *testing.T) { conformEmpty(t, open(t)) })
	t.Run("swap", func(t *testing.T) { conformSwap(t, open(t)) })
	t.Run("range", func(t *testing.T) { conformRange(t, open(t)) })
	t.Run("race", func(t *testing.T) { conformRace(t, open(t)) })
	t.Run("ledger", func(t *testing.T) { conformLedger(t, open(t)) })
}

// conformEmpty: a subject without records says so, and so does a range over nothing.
func conformEmpty(t *testing.T, log ledger.Log) {
	if _, _, err := log.Last(t.Context(), "ledger.c0.plan"); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("last of an empty subject: %v, want ErrNotFound", err)
	}
	if got := read(t, log, ">", ledger.From{}); len(got) != 0 {
		t.Errorf("range over an empty log gave %q", got)
	}
}

// conformSwap: a record is stored after the one that its writer knew, and after no other.
func conformSwap(t *testing.T, log ledger.Log) {
	ctx := t.Context()
	first, err := log.Append(ctx, "ledger.c1.plan", 0, []byte("one"))
	if err != nil || first == 0 {
		t.Fatalf("first append: sequence %d, %v", first, err)
	}
	if _, err := log.Append(ctx, "ledger.c1.plan", 0, []byte("again")); !errors.Is(err, ledger.ErrConflict) {
		t.Errorf("second first record: %v, want ErrConflict", err)
	}
	if _, err := log.Append(ctx, "ledger.c2.plan", first, []byte("stray")); !errors.Is(err, ledger.ErrConflict) {
		t.Errorf("record after another subject's: %v, want ErrConflict", err)
	}
	second, err := log.Append(ctx, "ledger.c1.plan", first, []byte("two"))
	if err != nil || second <= first {
		t.Fatalf("second append: sequence %d after %d, %v", second, first, err)
	}
	seq, data, err := log.Last(ctx, "ledger.c1.plan")
	if err != nil || seq != second || string(data) != "two" {
		t.Errorf("last = %d %q %v, want %d two", seq, data, err, second)
	}
}

// conformRange: the records of a filter come oldest first, each once, and an error of the reader ends it.
func conformRange(t *testing.T, log ledger.Log) {
	var seq uint64
	for i := range 5 {
		next, err := log.Append(t.Context(), "ledger.c3.a", seq, fmt.Appendf(nil, "a%d", i))
		if err != nil {
			t.Fatal(err)
		}
		seq = next
		if _, err := log.Append(t.Context(), fmt.Sprintf("person.k%d.c3", i), 0, []byte("p")); err != nil {
			t.Fatal(err)
		}
	}
	for filter, want := range map[string]string{
		"ledger.c3.>": "[a0 a1 a2 a3 a4]", "ledger.c3.a": "[a0 a1 a2 a3 a4]", "person.k2.>": "[p]",
		"ledger.c4.>": "[]", "person.>": "[p p p p p]",
	} {
		if got := fmt.Sprint(read(t, log, filter, ledger.From{})); got != want {
			t.Errorf("range %s = %s, want %s", filter, got, want)
		}
	}
	if got := read(t, log, ">", ledger.From{Time: time.Now().Add(time.Hour)}); len(got) != 0 {
		t.Errorf("range since the future gave %q", got)
	}
	for after, want := range map[uint64]string{0: "[a0 a1 a2 a3 a4]", 1: "[a1 a2 a3 a4]", seq - 1: "[a4]", seq: "[]", seq + 1: "[]", seq + 100: "[]"} {
		if got := fmt.Sprint(read(t, log, "ledger.c3.>", ledger.From{After: after})); got != want {
			t.Errorf("range behind %d = %s, want %s", after, got, want)
		}
	}
	stop := errors.New("enough")
	err := log.Range(t.Context(), ">", ledger.From{}, func(string, uint64, []byte) error { return stop })
	if !errors.Is(err, stop) {
		t.Errorf("range stopped by its reader: %v", err)
	}
}

// conformRace: of many writers that knew the same last record, exactly one wins each round.
func conformRace(t *testing.T, log ledger.Log) {
	const writers, rounds = 6, 10
	var after uint64
	for range rounds {
		won := make(chan uint64, writers)
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				seq, err := log.Append(context.WithoutCancel(t.Context()), "ledger.c5.plan", after, fmt.Appendf(nil, "by %d", w))
				if err == nil {
					won <- seq
				} else if !errors.Is(err, ledger.ErrConflict) {
					t.Errorf("append: %v", err)
				}
			})
		}
		wg.Wait()
		if len(won) != 1 {
			t.Fatalf("%d writers won a round, want 1", len(won))
		}
		after = <-won
	}
	if got := read(t, log, "ledger.c5.>", ledger.From{}); len(got) != rounds {
		t.Errorf("%d records after %d rounds", len(got), rounds)
	}
}

// conformLedger: a chain that was written through a Ledger verifies and reads back as it was written.
func conformLedger(t *testing.T, log ledger.Log) {
	l := ledger.New(log, nil)
	subject := ledger.ActionSubject("c6", "c6:p:s")
	var prev ledger.Record
	for i, s := range []ledger.State{ledger.Started, ledger.Waiting, ledger.Started, ledger.Verified} {
		rec, err := l.Append(t.Context(), prev, ledger.Record{Subject: subject, State: s, By: "w", Attempt: fmt.Sprint(i)})
		if err != nil {
			t.Fatal(err)
		}
		prev = rec
	}
	last, err := l.Last(t.Context(), subject)
	if err != nil || last.Hash != prev.Hash || last.Seq != prev.Seq {
		t.Errorf("last = %+v %v, want %+v", last, err, prev)
	}
	n, broken, err := l.Verify(t.Context(), ledger.Everything())
	if n != 4 || len(broken) != 0 || err != nil {
		t.Errorf("verify = %d %v %v, want 4 sound records", n, broken, err)
	}
}

// read collects the data that a range gives.
func read(t *testing.T, log ledger.Log, filter string, from ledger.From) []string {
	t.Helper()
	var got []string
	err := log.Range(t.Context(), filter, from, func(_ string, _ uint64, data []byte) error {
		got = append(got, string(data))
		return nil
	})
	if err != nil {
		t.Fatalf("range %s: %v", filter, err)
	}
	return got
}
