package stream

import (
	"context"
	"sync"
)

// shared lets those who read the same subject at the same time share reads: one runs, and whoever asks meanwhile waits
// for the next one together. No answer is older than its question. The zero value is ready.
type shared struct {
	mu    sync.Mutex
	turns map[string]*turns // of the subjects that are read now
}

// turns are the reads of one subject.
type turns struct {
	running *turn
	next    *turn // nil = nobody waits
}

// turn is one read and its answer.
type turn struct {
	done chan struct{} // closed when the rest is set
	seq  uint64
	data []byte
	err  error
	cut  bool // the one who read gave up: its answer is nobody else's
}

// share gives the answer of a read of subj that began after the call. read runs in the goroutine of one of those who
// ask; what it returns is shared and must not be changed.
func (s *shared) share(ctx context.Context, subj string, read func() (uint64, []byte, error)) (uint64, []byte, error) {
	t, before, mine := s.join(subj)
	if !mine {
		select {
		case <-t.done:
		case <-ctx.Done():
			return 0, nil, ctx.Err()
		}
		if t.cut {
			return read()
		}
		return t.seq, t.data, t.err
	}
	if before != nil {
		select {
		case <-before.done:
		case <-ctx.Done():
			s.leave(subj, t)
			return 0, nil, ctx.Err()
		}
	}
	s.begin(subj, t)
	t.cut = true // unless it returns
	defer s.end(subj, t)
	t.seq, t.data, t.err = read()
	t.cut = ctx.Err() != nil
	return t.seq, t.data, t.err
}

// join gives the turn that the caller shares, and whether it is the caller who reads, after the turn before.
func (s *shared) join(subj string) (t, before *turn, mine bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.turns[subj]
	switch {
	case all == nil:
		if s.turns == nil {
			s.turns = map[string]*turns{}
		}
		t = &turn{done: make(chan struct{})}
		s.turns[subj] = &turns{running: t}
		return t, nil, true
	case all.next != nil:
		return all.next, nil, false
	}
	all.next = &turn{done: make(chan struct{})}
	return all.next, all.running, true
}

// begin makes a turn the one that runs: nobody joins it any more.
func (s *shared) begin(subj string, t *turn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if all := s.turns[subj]; all.next == t {
		all.running, all.next = t, nil
	}
}

// leave calls a turn off that did not begin: those who wait for it read by themselves.
func (s *shared) leave(subj string, t *turn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.cut = true
	close(t.done)
	all := s.turns[subj]
	all.next = nil
	select {
	case <-all.running.done: // its end found t, and left the rest to it
		delete(s.turns, subj)
	default:
	}
}

// end answers everybody who shares the turn.
func (s *shared) end(subj string, t *turn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(t.done)
	if all := s.turns[subj]; all.running == t && all.next == nil {
		delete(s.turns, subj)
	}
}
