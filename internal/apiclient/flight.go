package apiclient

import (
	"context"
	"sync"
	"time"

	"keyturn/internal/shield"
)

// flight lets callers at the same time share one call. The call has a time of its own: it neither dies with the
// caller who began it nor holds anyone for longer.
type flight[T any] struct {
	mu  sync.Mutex
	now *landing[T]
}

type landing[T any] struct {
	done  chan struct{}
	value T
	err   error
	met   *shield.Panic // of fn
}

// do joins the call under way, or begins fn. A caller whose context ends leaves; the call goes on for the others. A panic
// of fn is one of every caller: their work meets the fault, and nobody else's.
func (f *flight[T]) do(ctx context.Context, limit time.Duration, fn func(context.Context) (T, error)) (T, error) {
	l := f.begin(ctx, limit, fn)
	select {
	case <-l.done:
		if l.met != nil {
			panic(l.met)
		}
		return l.value, l.err
	case <-ctx.Done():
		var zero T
		return zero, ctx.Err()
	}
}

// begin joins the call under way, or begins fn, and does not wait for it.
func (f *flight[T]) begin(ctx context.Context, limit time.Duration, fn func(context.Context) (T, error)) *landing[T] {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.now != nil {
		return f.now
	}
	l := &landing[T]{done: make(chan struct{})}
	f.now = l
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	go func() {
		defer cancel()
		l.met = shield.Run(func() { l.value, l.err = fn(ctx) })
		f.mu.Lock()
		f.now = nil
		f.mu.Unlock()
		close(l.done)
	}()
	return l
}
