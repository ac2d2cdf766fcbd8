package actions

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"keyturn/internal/apiclient"
	"keyturn/internal/events"
)

// listing is something to read that takes a second, and shows how often it was read.
type listing struct {
	mu    sync.Mutex
	reads int
}

func (l *listing) read(ctx context.Context) (time.Time, error) {
	l.mu.Lock()
	l.reads++
	l.mu.Unlock()
	began := time.Now()
	select {
	case <-time.After(time.Second):
		return began, nil
	case <-ctx.Done():
		return time.Time{}, ctx.Err()
	}
}

func TestOneReadingServesAllThatWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := share{with: &Sweeps{}, class: events.Urgent}
		var l listing
		var wg sync.WaitGroup
		for i := range 40 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * 50 * time.Millisecond)
				came := time.Now()
				began, err := fresh(t.Context(), s, "a", l.read)
				if err != nil || began.Before(came) {
					t.Errorf("came at %v, was given a reading of %v: %v", came, began, err)
				}
			})
		}
		wg.Wait()
		if l.reads < 3 || l.reads > 4 {
			t.Errorf("40 callers in two seconds read %d times", l.reads)
		}
		if len(s.with.now) != 0 {
			t.Errorf("%d readings are remembered", len(s.with.now))
		}
	})
}

// TestReaderThatLeaves: one who read for others loses the lease, or dies; another reads.
func TestReaderThatLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := share{with: &Sweeps{}, class: events.Urgent}
		var l listing
		var wg sync.WaitGroup
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			if _, err := fresh(ctx, s, "a", l.read); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the one who left: %v", err)
			}
		})
		synctest.Wait()
		wg.Go(func() {
			defer func() { _ = recover() }()
			_, _ = fresh(t.Context(), s, "a", func(context.Context) (time.Time, error) { time.Sleep(time.Second); panic("died") })
		})
		synctest.Wait()
		for range 5 {
			wg.Go(func() {
				came := time.Now()
				if began, err := fresh(t.Context(), s, "a", l.read); err != nil || began.Before(came) {
					t.Errorf("%v %v", began, err)
				}
			})
		}
		impatient, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if _, err := fresh(impatient, s, "a", l.read); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("one who cannot wait: %v", err)
		}
		wg.Wait()
		if len(s.with.now) != 0 {
			t.Errorf("%d readings are remembered", len(s.with.now))
		}
	})
}

func TestFailedReadingFailsForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := share{with: &Sweeps{}, class: events.Urgent}
		bad := errors.New("throttled")
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				_, err := fresh(t.Context(), s, "a", func(context.Context) (int, error) { time.Sleep(time.Second); return 0, bad })
				if !errors.Is(err, bad) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	})
}

// TestReadingsRest: a reading is put off by ten times what the last one took, whoever comes meanwhile has part in it,
// and a wait for it is told.
func TestReadingsRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		idle, waited := 0, 0
		s := share{with: &Sweeps{}, class: events.Bulk, idle: func() (<-chan struct{}, func()) {
			change := func(by int) {
				mu.Lock()
				defer mu.Unlock()
				idle, waited = idle+by, max(waited, idle+by)
			}
			change(1)
			return nil, func() { change(-1) }
		}}
		var l listing
		var wg sync.WaitGroup
		for i := range 600 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * time.Second)
				came := time.Now()
				began, err := fresh(t.Context(), s, "a", l.read)
				if took := time.Since(came); err != nil || began.Before(came) || took > 13*time.Second {
					t.Errorf("came at %v, was given a reading of %v after %v: %v", came, began, took, err)
				}
			})
		}
		wg.Wait()
		if l.reads < 50 || l.reads > 56 {
			t.Errorf("600 callers in ten minutes read %d times", l.reads)
		}
		if idle != 0 || waited < 9 {
			t.Errorf("%d wait in the end, %d at most", idle, waited)
		}
	})
}

// TestAReadingRestsForWhatItTook, and not for the time in which its lane stood still.
func TestAReadingRestsForWhatItTook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var stood time.Duration
		s := share{with: &Sweeps{}, class: events.Normal, stood: func() time.Duration { return stood }}
		for range 2 {
			came := time.Now()
			_, err := fresh(t.Context(), s, "a", func(context.Context) (int, error) {
				time.Sleep(time.Minute) // behind an open breaker, and a second for the calls
				stood += 59 * time.Second
				return 0, nil
			})
			if took := time.Since(came); err != nil || took > 70*time.Second {
				t.Errorf("took %s: %v", took, err)
			}
		}
	})
}

// TestTheUrgentWaitForNobodysReading: neither for one that goes at the pace of bulk, nor for its rest.
func TestTheUrgentWaitForNobodysReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := &Sweeps{}
		var slow, quick listing
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() { _, _ = fresh(t.Context(), share{with: all, class: events.Bulk}, "a", slow.read) })
			synctest.Wait()
		}
		urgent := share{with: all, class: events.Urgent}
		for range 5 {
			came := time.Now()
			if _, err := fresh(t.Context(), urgent, "a", quick.read); err != nil || time.Since(came) != time.Second {
				t.Errorf("waited %v: %v", time.Since(came), err)
			}
		}
		wg.Wait()
		if slow.reads != 2 || quick.reads != 5 {
			t.Errorf("%d and %d readings", slow.reads, quick.reads)
		}
	})
}

// TestWhoRestsIsSentAway when the lane ends, without a fault of anybody's; whoever comes next may read.
func TestWhoRestsIsSentAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone := make(chan struct{})
		s := share{with: &Sweeps{}, class: events.Normal, idle: func() (<-chan struct{}, func()) { return gone, func() {} }}
		var l listing
		if _, err := fresh(t.Context(), s, "a", l.read); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				if _, err := fresh(t.Context(), s, "a", l.read); apiclient.CauseOf(err) != apiclient.Later {
					t.Errorf("sent away with %v", err)
				}
			})
		}
		synctest.Wait()
		began := time.Now()
		close(gone)
		wg.Wait()
		if time.Since(began) > 0 || l.reads != 1 || len(s.with.now) != 0 {
			t.Errorf("it took %s; %d readings, %d remembered", time.Since(began), l.reads, len(s.with.now))
		}
	})
}
