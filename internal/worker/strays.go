package worker

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"keyturn/internal/admin"
	"keyturn/internal/stream"
)

// strayEvery is how often the worker looks for work that nobody does.
const strayEvery = time.Minute

// strays is what a worker knows of actions whose connection was taken out of the configuration.
type strays struct {
	look chan struct{} // asks for a look now
	mu   sync.Mutex
	list []stream.Stray
}

// ask has somebody look now.
func (s *strays) ask() {
	select {
	case s.look <- struct{}{}:
	default: // a look is due already
	}
}

// watchStrays looks for work that nobody does, now, every minute and whenever the configuration changed or a lane ended
// by that, until ctx ends. Each time that there is other work than before it says so.
func (w *Worker) watchStrays(ctx context.Context) {
	tick := time.NewTicker(strayEvery)
	defer tick.Stop()
	for {
		found, err := w.bus.Strays(ctx, w.fleet.names())
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			w.log.WarnContext(ctx, "work that nobody does not looked for", "error", err, "retry_in", strayEvery)
		default:
			w.noteStrays(ctx, found)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-w.strays.look:
		}
	}
}

// noteStrays keeps what was found, and says it when it is news.
func (w *Worker) noteStrays(ctx context.Context, found []stream.Stray) {
	w.strays.mu.Lock()
	before := w.strays.list
	w.strays.list = found
	w.strays.mu.Unlock()
	for _, s := range found {
		if !slices.Contains(before, s) {
			w.log.ErrorContext(ctx, "actions wait for a connection that is not configured: put it back in connections.yaml, "+
				"or cancel their cases", "connection", s.Connection, "waiting", s.Waiting)
		}
	}
}

// strayCheck is the strays' part of /readyz. They do not make the worker unready: everything else goes on.
func (w *Worker) strayCheck() admin.Check {
	return admin.Check{Name: "queues", Run: func(context.Context) error { return nil }, Notes: func() string {
		w.strays.mu.Lock()
		defer w.strays.mu.Unlock()
		if len(w.strays.list) == 0 {
			return "each has its lane"
		}
		var text []string
		for _, s := range w.strays.list {
			text = append(text, fmt.Sprintf("%d actions WAIT for %s, which is not in connections.yaml: put it back, or cancel their cases",
				s.Waiting, s.Connection))
		}
		return strings.Join(text, "; ")
	}}
}
