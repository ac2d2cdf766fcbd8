// Package shield keeps a fault of Keyturn's own from ending the process. A panic in one piece of work, which some input
// meets again at each start, becomes an error: that piece ends, is told of with the stack, and everything else goes on.
//
// It is a leaf. Whoever starts work beside others (a goroutine, a handler) runs it through here; what is to become of
// the piece of work is for them to say.
package shield

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"runtime/debug"
	"time"
)

// Panic is the error of work that met a fault of ours. It holds the place of the fault, and nothing of the data.
type Panic struct {
	Said  string // what the runtime says of it; of any other panic its type alone, as it may hold what it was about
	Stack string
}

// Error says what happened, in one line.
func (p *Panic) Error() string {
	return "a fault of Keyturn, whose stack is in the log (PANIC): " + p.Said
}

// Tell writes the panic to the log for a person: what says which work met it, and what becomes of that.
func (p *Panic) Tell(ctx context.Context, log *slog.Logger, what string, args ...any) {
	args = append(args, "panic", p.Said, "stack", p.Stack)
	log.ErrorContext(ctx, "PANIC: "+what+". Report the stack, and install a version that mends it", args...)
}

// Run runs f, and gives its panic; nil when there was none. One that came through Run before, in another goroutine, is
// given as it is. http.ErrAbortHandler is no fault and goes on: it asks the server to answer nothing.
func Run(f func()) (met *Panic) {
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		if v == http.ErrAbortHandler { //nolint:errorlint // as net/http compares it
			panic(v)
		}
		if p, ok := v.(*Panic); ok {
			met = p
			return
		}
		met = &Panic{Said: fmt.Sprintf("%T", v), Stack: string(debug.Stack())}
		if fault, ok := v.(runtime.Error); ok {
			met.Said = fault.Error()
		}
	}()
	f()
	return nil
}

// again is how long work that never ends rests after a panic.
const again = time.Minute

// Keep runs f, which ends with ctx, and begins it anew a minute after each panic.
func Keep(ctx context.Context, log *slog.Logger, what string, f func(context.Context)) {
	for {
		met := Run(func() { f(ctx) })
		if met == nil {
			return
		}
		met.Tell(ctx, log, what+" meets a fault of Keyturn; it begins anew in a minute, and all else goes on")
		t := time.NewTimer(again)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return
		}
	}
}
