package lane

import (
	"context"
	"slices"
	"sync"

	"keyturn/internal/events"
)

// slots are the places in which a lane works: a fixed number for all, and some that only the urgent may take, so that
// a stolen laptop never waits for a leaver's last call. A place that comes free goes to the most urgent who waits, and
// among equals to the first.
type slots struct {
	mu      sync.Mutex
	free    int // places for all
	urgent  int // places for the urgent alone
	waiting map[events.Class][]chan *int
}

func newSlots(all, urgent int) *slots {
	return &slots{free: max(all, 1), urgent: max(urgent, 1), waiting: map[events.Class][]chan *int{}}
}

// take waits for a place. The caller gives it back by release.
func (s *slots) take(ctx context.Context, class events.Class) (release func(), err error) {
	s.mu.Lock()
	if from := s.open(class); from != nil {
		*from--
		s.mu.Unlock()
		return s.releaser(from), nil
	}
	turn := make(chan *int, 1)
	s.waiting[class] = append(s.waiting[class], turn)
	s.mu.Unlock()
	select {
	case from := <-turn:
		return s.releaser(from), nil
	case <-ctx.Done():
		return nil, s.leave(class, turn, ctx.Err())
	}
}

// open is a pool with a free place that the class may take.
func (s *slots) open(class events.Class) *int {
	switch {
	case s.free > 0:
		return &s.free
	case class == events.Urgent && s.urgent > 0:
		return &s.urgent
	}
	return nil
}

// leave ends a wait. A place that was handed over meanwhile goes to the next.
func (s *slots) leave(class events.Class, turn chan *int, err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting[class] = slices.DeleteFunc(s.waiting[class], func(c chan *int) bool { return c == turn })
	select {
	case from := <-turn:
		s.hand(from)
	default:
	}
	return err
}

// releaser gives the place back, once.
func (s *slots) releaser(from *int) func() {
	return sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.hand(from)
	})
}

// hand gives a free place to the most urgent who waits and may have it, or keeps it.
func (s *slots) hand(from *int) {
	for _, class := range events.Classes() {
		if from == &s.urgent && class != events.Urgent {
			break
		}
		if queue := s.waiting[class]; len(queue) > 0 {
			s.waiting[class] = queue[1:]
			queue[0] <- from
			return
		}
	}
	*from++
}
