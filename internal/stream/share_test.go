package stream

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// TestSharedReadsAreNeverOld: whoever asks while a read runs is answered by one that began later, all by the same one.
func TestSharedReadsAreNeverOld(t *testing.T) {
	var s shared
	var reads atomic.Uint64
	begun, go1 := make(chan struct{}), make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		if seq, _, err := s.share(t.Context(), "a", func() (uint64, []byte, error) {
			close(begun)
			<-go1
			return reads.Add(1), nil, nil
		}); seq != 1 || err != nil {
			t.Errorf("the first read: %d %v", seq, err)
		}
	})
	<-begun
	const more = 5
	asked := make(chan struct{}, more)
	for range more {
		group.Go(func() {
			asked <- struct{}{}
			seq, _, err := s.share(t.Context(), "a", func() (uint64, []byte, error) { return reads.Add(1), nil, nil })
			if seq < 2 || err != nil {
				t.Errorf("answered by read %d, %v", seq, err)
			}
		})
	}
	for range more {
		<-asked
	}
	if seq, _, _ := s.share(t.Context(), "b", func() (uint64, []byte, error) { return 7, nil, nil }); seq != 7 {
		t.Errorf("another subject waited: %d", seq)
	}
	close(go1)
	group.Wait()
	if n := reads.Load(); n > 1+more || len(s.turns) != 0 {
		t.Errorf("%d reads, %d subjects left", n, len(s.turns))
	}
}

// TestAReaderWhoGivesUpTakesNobodyAlong: those who waited for its answer read by themselves.
func TestAReaderWhoGivesUpTakesNobodyAlong(t *testing.T) {
	var s shared
	begun, end := make(chan struct{}), make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		_, _, _ = s.share(t.Context(), "a", func() (uint64, []byte, error) {
			close(begun)
			<-end
			return 1, nil, nil
		})
	})
	<-begun
	leaving, leave := context.WithCancel(t.Context())
	group.Go(func() {
		_, _, err := s.share(leaving, "a", func() (uint64, []byte, error) { return 0, nil, leaving.Err() })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("who left: %v", err)
		}
	})
	leave()
	group.Go(func() {
		seq, _, err := s.share(t.Context(), "a", func() (uint64, []byte, error) { return 2, nil, nil })
		if seq != 2 || err != nil {
			t.Errorf("who stayed: %d %v", seq, err)
		}
	})
	close(end)
	group.Wait()
}

// TestWhoGivesUpWhileAnotherReadsLeavesAtOnce: a read that hangs keeps nobody who was told to stop, nor those who wait with
// them.
func TestWhoGivesUpWhileAnotherReadsLeavesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s shared
		end := make(chan struct{})
		var hanging sync.WaitGroup
		hanging.Go(func() {
			_, _, _ = s.share(t.Context(), "a", func() (uint64, []byte, error) { <-end; return 1, nil, nil })
		})
		synctest.Wait()
		leaving, leave := context.WithCancel(t.Context())
		var rest sync.WaitGroup
		rest.Go(func() {
			if _, _, err := s.share(leaving, "a", func() (uint64, []byte, error) { return 0, nil, nil }); !errors.Is(err, context.Canceled) {
				t.Errorf("who left: %v", err)
			}
		})
		synctest.Wait()
		rest.Go(func() {
			if seq, _, err := s.share(t.Context(), "a", func() (uint64, []byte, error) { return 2, nil, nil }); seq != 2 || err != nil {
				t.Errorf("who stayed: %d %v", seq, err)
			}
		})
		synctest.Wait()
		leave()
		rest.Wait() // while the first one hangs
		close(end)
		hanging.Wait()
		if len(s.turns) != 0 {
			t.Errorf("%d subjects left", len(s.turns))
		}
	})
}
