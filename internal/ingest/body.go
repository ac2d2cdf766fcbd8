package ingest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// errCrowded says that more bodies are being read than there is room for.
var errCrowded = errors.New("too many bodies at once")

// budget bounds the memory of all bodies that are held at once. It counts bytes that came, not requests: whoever sends
// slowly takes nothing from the others.
type budget struct {
	held atomic.Int64
	most int64
}

// read reads the body whole, and stops the connection when it is over most bytes. Room is made for what the request
// announces, up to what a stranger may make us set aside for nothing, and what announces more than most is not waited for.
// done gives the bytes back, also after an error.
func (b *budget) read(w http.ResponseWriter, r *http.Request, most int64) (body []byte, done func(), err error) {
	if r.ContentLength > most {
		return nil, func() {}, &http.MaxBytesError{Limit: most}
	}
	var buffer bytes.Buffer
	buffer.Grow(int(min(max(r.ContentLength, 0), announcedBody)) + bytes.MinRead)
	from := &counted{from: http.MaxBytesReader(w, r.Body, most), budget: b}
	_, err = buffer.ReadFrom(from)
	return buffer.Bytes(), func() { b.held.Add(-from.taken) }, err
}

// counted is a body whose bytes count.
type counted struct {
	from   io.Reader
	budget *budget
	taken  int64
}

// Read reads, and fails with errCrowded once the budget is spent.
func (c *counted) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	c.taken += int64(n)
	if c.budget.held.Add(int64(n)) > c.budget.most {
		return n, errCrowded
	}
	return n, err
}

// A body is read into values that need up to twenty times its room, before a token within it can prove anything. Large ones
// are few at a time: as many as there are slots would take gigabytes.
const (
	heavyBody   = 64 << 10 // bytes from which on a body is large
	heavyPlaces = 8
	heavyWait   = 5 * time.Second // for a place
)

// place waits until a body of that size may be worked on. leave gives the place back; ok is false when none came free in
// time, or the sender has gone.
func (h *Handler) place(ctx context.Context, size int) (leave func(), ok bool) {
	if size < heavyBody {
		return func() {}, true
	}
	leave = func() { <-h.heavy }
	select {
	case h.heavy <- struct{}{}:
		return leave, true
	default:
	}
	late := time.NewTimer(heavyWait)
	defer late.Stop()
	select {
	case h.heavy <- struct{}{}:
		return leave, true
	case <-late.C:
	case <-ctx.Done():
	}
	return nil, false
}

// bodyFailed tells a body that is too large from one that did not come, which may come another time.
func bodyFailed(err error) answer {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return refuse(http.StatusRequestEntityTooLarge, fmt.Sprintf("a body is at most %d bytes: send fewer events at a time", MaxBody)).with("Connection", "close")
	}
	if errors.Is(err, errCrowded) {
		return unavailable(retryBusy).with("Connection", "close")
	}
	return unavailable(retryAfter)
}
