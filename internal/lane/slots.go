package lane

import (
	"context"
	"sync"

	"keyturn/internal/events"
)

// urgentSlots are the places that only urgent actions take: a burst of others never fills them.
const urgentSlots = 2

// slots are the places of a lane. Whoever waits for one is served by class, the most urgent first.
type slots struct {
	mu      sync.Mutex
	free    int // places for everyone
	urgent  int // places for urgent actions alone
	waiting map[events.Class][]chan bool
}

// newSlots makes n places, and those for urgent actions.
func newSlots(n int) *slots {
	return &slots{free: max(n, 1), urgent: urgentSlots, waiting: map[events.Class][]chan bool{}}
}

// take waits for a place until ctx ends. The place is given back by calling what it returns, once.
func (s *slots) take(ctx context.Context, c events.Class) (release func(), err error) {
	s.mu.Lock()
	mine := make(chan bool, 1) // gets the kind of place: true = one for urgent actions
	s.waiting[c] = append(s.waiting[c], mine)
	s.serve()
	s.mu.Unlock()
	select {
	case reserved := <-mine:
		return func() { s.give(reserved) }, nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case reserved := <-mine: // it came together with the end
		s.put(reserved)
	default:
		s.leave(c, mine)
	}
	return nil, ctx.Err()
}

// give takes a place back.
func (s *slots) give(reserved bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(reserved)
}

// put frees a place and serves the next. The caller holds mu.
func (s *slots) put(reserved bool) {
	if reserved {
		s.urgent++
	} else {
		s.free++
	}
	s.serve()
}

// serve hands out what is free. The caller holds mu.
func (s *slots) serve() {
	for _, c := range events.Classes() {
		for len(s.waiting[c]) > 0 {
			reserved := false
			switch {
			case c == events.Urgent && s.urgent > 0:
				s.urgent--
				reserved = true
			case s.free > 0:
				s.free--
			default:
				return
			}
			s.waiting[c][0] <- reserved
			s.waiting[c] = s.waiting[c][1:]
		}
	}
}

// leave stops waiting. The caller holds mu.
func (s *slots) leave(c events.Class, mine chan bool) {
	for i, w := range s.waiting[c] {
		if w == mine {
			s.waiting[c] = append(s.waiting[c][:i:i], s.waiting[c][i+1:]...)
			return
		}
	}
}
