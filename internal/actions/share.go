package actions

import (
	"context"
	"errors"
	"sync"
	"time"

	"keyturn/internal/apiclient"
	"keyturn/internal/events"
)

// Sweeps share what the actions of a connection read of everybody: one reading, begun after the last of several
// callers came, serves all of them. Classes share nothing with each other, so that nobody who is urgent waits for a
// reading that goes at the pace of the rest. The zero value is ready; a nil one shares nothing. It is safe for
// concurrent use.
type Sweeps struct {
	mu    sync.Mutex
	now   map[string]*reading  // by what is read and for which class; only those that are wanted
	rests map[string]time.Time // until when a reading of a key is not repeated
}

const (
	// restTimes is how many times as long as the last reading took the next one of the same thing is put off, so that a
	// burst is proven by few of them: a tenth of the calls that could be made one after the other.
	restTimes = 10
	// restAtMost bounds that: nobody's proof waits longer for company.
	restAtMost = 2 * time.Minute
)

// share is how one action takes part in what others read. Its zero value shares nothing.
type share struct {
	with  *Sweeps
	class events.Class
	// idle is called before a wait for others, and over after it; gone, when closed, ends the wait. nil = nobody wants
	// to know.
	idle func() (gone <-chan struct{}, over func())
	// stood is how long the lane has stood still in all: a reading that waited for that did not take the longer for it. nil =
	// it never does.
	stood func() time.Duration
}

// reading is one reading of something, and the one after it.
type reading struct {
	led   bool          // somebody will read, or does
	begun bool          // it may have passed what a caller who comes now must see
	done  chan struct{} // closed when it is over
	value any
	err   error
	good  bool     // it came to an end; false = its reader left
	next  *reading // for those who came after this one began
}

// fresh gives what read reads, from a reading that began after the caller came: the caller's own, or another's. A
// reader reads in its own call; when it leaves before the end, one of the others reads.
func fresh[T any](ctx context.Context, s share, key string, read func(context.Context) (T, error)) (T, error) {
	if s.with == nil {
		return read(ctx)
	}
	key = string(s.class) + " " + key
	for {
		mine, leads, err := s.join(ctx, key)
		if err == nil && !leads {
			err = s.wait(ctx, mine)
		}
		if err != nil {
			var zero T
			return zero, err
		}
		if leads {
			return lead(ctx, s, key, mine, read)
		}
		if mine.good {
			v, _ := mine.value.(T)
			return v, mine.err
		}
	}
}

// join finds the reading for a caller who comes now, and says whether the caller is the one who reads.
func (s share) join(ctx context.Context, key string) (*reading, bool, error) {
	w := s.with
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.now == nil {
		w.now, w.rests = map[string]*reading{}, map[string]time.Time{}
	}
	mine := w.now[key]
	if mine == nil {
		mine = &reading{done: make(chan struct{})}
		w.now[key] = mine
	}
	if mine.begun {
		// It began before the caller came: it may have passed what the caller must see. The next one will not have.
		if mine.next == nil {
			mine.next = &reading{done: make(chan struct{})}
		}
		before := mine
		mine = mine.next
		w.mu.Unlock()
		err := s.wait(ctx, before)
		w.mu.Lock()
		if err != nil {
			return nil, false, err
		}
	}
	leads := !mine.led
	mine.led = true
	return mine, leads, nil
}

// errSentAway is the answer to a wait that the lane ended, because it stops or because an action of a more urgent class waits
// for the same target. No call was made, and nothing failed.
func errSentAway() error {
	return &apiclient.Error{Cause: apiclient.Later, RetryAfter: time.Second, Err: errors.New("sent away while others read")}
}

// wait waits for a reading to be over.
func (s share) wait(ctx context.Context, r *reading) error { return hold(ctx, s, r.done) }

// rest waits until the key may be read again; whoever comes meanwhile has part in the reading.
func (s share) rest(ctx context.Context, key string) error {
	s.with.mu.Lock()
	left := time.Until(s.with.rests[key])
	s.with.mu.Unlock()
	if left <= 0 || s.class == events.Urgent {
		return ctx.Err()
	}
	t := time.NewTimer(left)
	defer t.Stop()
	return hold(ctx, s, t.C)
}

// hold waits for until.
func hold[T any](ctx context.Context, s share, until <-chan T) error {
	var gone <-chan struct{}
	if s.idle != nil {
		sent, over := s.idle()
		defer over()
		gone = sent
	}
	select {
	case <-until:
		return nil
	case <-gone:
		return errSentAway()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// lead reads for all who wait for mine. It leaves the way free also when read panics.
func lead[T any](ctx context.Context, s share, key string, mine *reading, read func(context.Context) (T, error)) (v T, err error) {
	w := s.with
	var took func() time.Duration // since it began
	defer func() {
		w.mu.Lock()
		if w.now[key] = mine.next; mine.next == nil {
			delete(w.now, key)
		}
		delete(w.rests, key)
		if mine.good && s.class != events.Urgent {
			w.rests[key] = time.Now().Add(min(restTimes*took(), restAtMost))
		}
		w.mu.Unlock()
		close(mine.done)
	}()
	if err := s.rest(ctx, key); err != nil {
		return v, err
	}
	w.mu.Lock()
	mine.begun, took = true, s.watch()
	w.mu.Unlock()
	v, err = read(ctx)
	if ctx.Err() == nil {
		mine.value, mine.err, mine.good = v, err, true
	}
	return v, err
}

// watch is a stopwatch that stands while the lane does.
func (s share) watch() func() time.Duration {
	stood := s.stood
	if stood == nil {
		stood = func() time.Duration { return 0 }
	}
	began, before := time.Now(), stood()
	return func() time.Duration { return time.Since(began) - (stood() - before) }
}
