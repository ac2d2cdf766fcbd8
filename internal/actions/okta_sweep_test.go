package actions

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
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
		var s Sweeps
		var l listing
		var wg sync.WaitGroup
		for i := range 40 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * 50 * time.Millisecond)
				came := time.Now()
				began, err := fresh(t.Context(), &s, "a", l.read)
				if err != nil || began.Before(came) {
					t.Errorf("came at %v, was given a reading of %v: %v", came, began, err)
				}
			})
		}
		wg.Wait()
		if l.reads < 3 || l.reads > 4 {
			t.Errorf("40 callers in two seconds read %d times", l.reads)
		}
		if len(s.now) != 0 {
			t.Errorf("%d readings are remembered", len(s.now))
		}
	})
}

// TestReaderThatLeaves: one who read for others loses the lease, or dies; another reads.
func TestReaderThatLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s Sweeps
		var l listing
		var wg sync.WaitGroup
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			if _, err := fresh(ctx, &s, "a", l.read); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the one who left: %v", err)
			}
		})
		synctest.Wait()
		wg.Go(func() {
			defer func() { _ = recover() }()
			_, _ = fresh(t.Context(), &s, "a", func(context.Context) (time.Time, error) { time.Sleep(time.Second); panic("died") })
		})
		synctest.Wait()
		for range 5 {
			wg.Go(func() {
				came := time.Now()
				if began, err := fresh(t.Context(), &s, "a", l.read); err != nil || began.Before(came) {
					t.Errorf("%v %v", began, err)
				}
			})
		}
		impatient, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if _, err := fresh(impatient, &s, "a", l.read); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("one who cannot wait: %v", err)
		}
		wg.Wait()
		if len(s.now) != 0 {
			t.Errorf("%d readings are remembered", len(s.now))
		}
	})
}

func TestFailedReadingFailsForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s Sweeps
		bad := errors.New("throttled")
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				_, err := fresh(t.Context(), &s, "a", func(context.Context) (int, error) { time.Sleep(time.Second); return 0, bad })
				if !errors.Is(err, bad) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	})
}
