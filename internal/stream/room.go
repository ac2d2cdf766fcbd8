package stream

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// room remembers which writes the broker refused for want of room, so that a process can say so before somebody asks why
// everything stands still. Each sort of write has a stream of its own, with a bound of its own.
type room struct {
	mu   sync.Mutex
	full map[Op]refused
}

// refused is the newest write of its sort, which found no room.
type refused struct {
	err error
	at  time.Time
}

// note keeps what became of a write.
func (r *room) note(op Op, err error, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err == nil:
		delete(r.full, op)
	case full(err):
		if r.full == nil {
			r.full = map[Op]refused{}
		}
		r.full[op] = refused{err: err, at: now}
	}
}

// err says that there is no room. It is forgotten after as long as senders are told to wait: whoever is asked nothing
// while it is not ready would never learn that there is room again.
func (r *room) err(now time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for op, last := range r.full {
		if now.Sub(last.at) < retryFull {
			return &unavailable{op: "publish " + string(op), retry: retryFull,
				err: fmt.Errorf("full: give the servers' store or the stream more room, or remove what fills it: %w", last.err)}
		}
	}
	return nil
}

// full reports whether the server refused a write because there is no room for it.
func full(err error) bool {
	var api *jetstream.APIError
	if !errors.As(err, &api) {
		return false
	}
	return api.ErrorCode == codeStoreFailed || api.ErrorCode == codeNoResources || api.ErrorCode == codeStorageFull
}
