package stream

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// newest remembers what became of the newest write of each sort, so that a process can say that nothing is stored before
// somebody asks why: a cluster that is full or has lost its majority still answers whoever asks for its streams.
type newest struct {
	mu     sync.Mutex
	failed map[Op]failure
}

type failure struct {
	err error
	at  time.Time
}

// note keeps what became of a write. Whoever lost a compare-and-swap, or sent too much, was answered.
func (n *newest) note(op Op, err error, now time.Time) {
	if errors.Is(err, context.Canceled) {
		return // nobody waited for the answer
	}
	if err != nil {
		if err = refusal("publish "+string(op), err); conflict(err) {
			err = nil
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.failed, op)
	if err == nil || RetryAfter(err) == 0 {
		return
	}
	if n.failed == nil {
		n.failed = map[Op]failure{}
	}
	n.failed[op] = failure{err: err, at: now}
}

// err is why the newest write of some sort was not stored. It is forgotten after as long as senders are told to wait: whoever
// gets nothing to write while it is not ready would never learn that it could.
func (n *newest) err(now time.Time) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, f := range n.failed {
		if now.Sub(f.at) >= RetryAfter(f.err) {
			continue
		}
		if full(f.err) {
			return fmt.Errorf("full: give the servers' store or the stream more room, or remove what fills it: %w", f.err)
		}
		return f.err
	}
	return nil
}

// forget makes nothing of what failed so far.
func (n *newest) forget() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.failed)
}

// full reports whether the server refused a write because there is no room for it.
func full(err error) bool {
	var api *jetstream.APIError
	if !errors.As(err, &api) {
		return false
	}
	return api.ErrorCode == codeStoreFailed || api.ErrorCode == codeNoResources || api.ErrorCode == codeStorageFull
}
