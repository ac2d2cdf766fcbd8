package stream_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"keyturn/internal/ledger"
	"keyturn/internal/stream"
	"keyturn/internal/stream/embedded"
)

func TestAppendComparesAndSwaps(t *testing.T) {
	log := connect(t, start(t, embedded.Options{})).Log()
	const subject = "ledger.case1.plan"
	if _, _, err := log.Last(t.Context(), subject); !errors.Is(err, ledger.ErrNotFound) {
		t.Fatal(err)
	}
	first, err := log.Append(t.Context(), subject, 0, []byte("a"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := log.Append(t.Context(), "ledger.case2.plan", 0, []byte("x")); err != nil {
		t.Fatal(err)
	}
	for _, after := range []uint64{0, first + 1, first + 100} {
		if _, err := log.Append(t.Context(), subject, after, []byte("b")); !errors.Is(err, ledger.ErrConflict) {
			t.Errorf("after %d: %v", after, err)
		}
	}
	second, err := log.Append(t.Context(), subject, first, []byte("b"))
	if err != nil || second <= first {
		t.Fatal(second, err)
	}
	seq, data, err := log.Last(t.Context(), subject)
	if err != nil || seq != second || string(data) != "b" {
		t.Errorf("last %d %q %v", seq, data, err)
	}
}

func TestOnlyOneOfManyAppendsWins(t *testing.T) {
	log := connect(t, start(t, embedded.Options{})).Log()
	var wins, conflicts atomic.Int32
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			switch _, err := log.Append(t.Context(), "person.key.order", 0, []byte("x")); {
			case err == nil:
				wins.Add(1)
			case errors.Is(err, ledger.ErrConflict):
				conflicts.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if wins.Load() != 1 || conflicts.Load() != 15 {
		t.Errorf("%d wins, %d conflicts", wins.Load(), conflicts.Load())
	}
}

func TestALostAcknowledgementOfARecordIsFoundOut(t *testing.T) {
	var lose atomic.Bool
	bus := connect(t, start(t, embedded.Options{}), func(o *stream.Options) {
		o.Fault = func(_ context.Context, op stream.Op, _ string, persisted bool) error {
			if op == stream.OpAppend && persisted && lose.Swap(false) {
				return errors.New("acknowledgement lost")
			}
			return nil
		}
	})
	l := ledger.New(bus.Log(), nil)
	rec := ledger.Record{Subject: ledger.PlanSubject("case1"), State: ledger.Planned, Attempt: "mine"}
	lose.Store(true)
	if _, err := l.Append(t.Context(), ledger.Record{}, rec); err == nil || errors.Is(err, ledger.ErrConflict) {
		t.Fatalf("got %v, want an unknown result", err)
	}
	if got, err := l.Append(t.Context(), ledger.Record{}, rec); err != nil || got.Seq == 0 {
		t.Errorf("my own record: %+v, %v", got, err)
	}
	rec.Attempt = "another's"
	if _, err := l.Append(t.Context(), ledger.Record{}, rec); !errors.Is(err, ledger.ErrConflict) {
		t.Errorf("another's record: %v", err)
	}
	if n, broken, err := l.Verify(t.Context(), ledger.Everything()); n != 1 || broken != nil || err != nil {
		t.Errorf("%d records, broken %v, %v", n, broken, err)
	}
}

func TestRangeGivesWhatMatchesInOrderUpToTheEndWhenItBegan(t *testing.T) {
	log := connect(t, start(t, embedded.Options{})).Log()
	all, middle := appendMany(t, log)
	if got := collect(t, log, "ledger.>", time.Time{}); !slices.Equal(got, all) {
		t.Errorf("all: %d records, want %d", len(got), len(all))
	}
	if got := collect(t, log, "ledger.case2.>", time.Time{}); len(got) != 100 || !slices.IsSorted(got) {
		t.Errorf("one case: %v", got)
	}
	if got := collect(t, log, "ledger.*.act7", time.Time{}); !slices.Equal(got, all[7:8]) {
		t.Errorf("one record: %v", got)
	}
	if got := collect(t, log, "person.>", time.Time{}); got != nil {
		t.Errorf("none: %v", got)
	}
	if got := collect(t, log, "ledger.*.act299", middle); !slices.Equal(got, all[299:]) {
		t.Errorf("one since: %v", got)
	}
	if got := collect(t, log, "ledger.>", middle); len(got) < 150 || !slices.Equal(got[:150], all[150:]) {
		t.Errorf("since the middle: %v", got)
	}
	if got := collect(t, log, "ledger.>", time.Now().Add(time.Minute)); got != nil {
		t.Errorf("since tomorrow: %v", got)
	}
}

func TestRangeEndsWithItsReaderOrItsContext(t *testing.T) {
	log := connect(t, start(t, embedded.Options{})).Log()
	appendMany(t, log)
	stop := errors.New("enough")
	for _, after := range []int{1, 200} { // read one by one, and in bulk
		n := 0
		err := log.Range(t.Context(), "ledger.>", ledger.From{}, func(string, uint64, []byte) error {
			if n++; n == after {
				return stop
			}
			return nil
		})
		if !errors.Is(err, stop) || n != after {
			t.Errorf("stopped after %d with %v, want %d", n, err, after)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := log.Range(ctx, "ledger.>", ledger.From{}, nil); err == nil {
		t.Error("a range whose context has ended")
	}
}

// appendMany writes 300 records of three cases, and gives their sequences and a time between the first and the second
// half.
func appendMany(t *testing.T, log ledger.Log) (all []uint64, middle time.Time) {
	t.Helper()
	for i := range 300 {
		if i == 150 {
			time.Sleep(2 * time.Millisecond)
			middle = time.Now()
		}
		seq, err := log.Append(t.Context(), fmt.Sprintf("ledger.case%d.act%d", i%3, i), 0, []byte(fmt.Sprint(i)))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, seq)
	}
	return all, middle
}

// collect gives the sequences of a range, and appends a record while it reads, which does not belong to it.
func collect(t *testing.T, log ledger.Log, filter string, since time.Time) (got []uint64) {
	t.Helper()
	err := log.Range(t.Context(), filter, ledger.From{Time: since}, func(_ string, seq uint64, _ []byte) error {
		got = append(got, seq)
		if len(got) > 1 {
			return nil
		}
		_, err := log.Append(t.Context(), fmt.Sprintf("ledger.case1.new%d", seq), 0, nil)
		return ignoreConflict(err)
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func ignoreConflict(err error) error {
	if errors.Is(err, ledger.ErrConflict) {
		return nil
	}
	return err
}
