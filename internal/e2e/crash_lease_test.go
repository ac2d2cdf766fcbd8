package e2e_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"keyturn/internal/actions"
	"keyturn/internal/stream"
)

// flight is how long a call takes after the new holder has begun: it may look meanwhile, but not yet conclude.
const flight = 1500 * time.Millisecond

// limbo holds one call of each case between the old holder of the lane and the provider, until the new holder has
// begun the same action.
type limbo struct {
	mu     sync.Mutex
	choose map[*trial]point         // which call
	held   map[*trial]string        // whose call is on the way: what was worked off
	landed map[*trial]chan struct{} // closed when it may arrive
}

// delay holds the chosen call of a case. Its caller hears of the end of its context, as over a real connection, and
// the call arrives all the same.
func (l *limbo) delay(v visit, what string, req *http.Request) (*http.Response, error) {
	l.mu.Lock()
	p, ok := l.choose[v.trial]
	if !ok || p.name != v.where+": "+v.trial.say(what) || v.trial.times(p.name) != p.nth {
		l.mu.Unlock()
		return nil, nil
	}
	delete(l.choose, v.trial)
	l.held[v.trial] = v.where
	land := make(chan struct{})
	l.landed[v.trial] = land
	l.mu.Unlock()

	late := req.Clone(context.WithoutCancel(req.Context()))
	if req.GetBody != nil {
		late.Body, _ = req.GetBody()
	}
	answer := make(chan *http.Response, 1)
	go func() {
		<-land
		res, err := v.trial.sb.Transport().RoundTrip(late)
		if err != nil {
			v.trial.complain(err)
		}
		answer <- res
	}()
	select {
	case res := <-answer:
		return res, nil
	case <-req.Context().Done():
		return nil, io.ErrUnexpectedEOF
	}
}

// told lets a held call arrive when the new holder begins the action.
func (l *limbo) told(v visit, op stream.Op, subject string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if op != stream.OpAppend || l.held[v.trial] != v.where || !strings.Contains(subject, ":") {
		return
	}
	delete(l.held, v.trial)
	land := l.landed[v.trial]
	time.AfterFunc(flight, func() { close(land) })
}

// inTheAir counts the calls that are held.
func (l *limbo) inTheAir() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.held)
}

// TestCrashLease takes the leases from a worker in the middle of a call, one case for every call that there is. The
// worker goes on, and its call arrives when the next holder has begun.
func TestCrashLease(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	l := &limbo{choose: map[*trial]point{}, held: map[*trial]string{}, landed: map[*trial]chan struct{}{}}
	// The runner's own limits: a call that may not be repeated is over before the lease is another's.
	old := w.employ("old", actions.Limits{}, func(h *host) { h.delay = l.delay })
	w.held(t, old)
	seen := w.run(t, quiet(flows()[:2]), crowd)
	w.employ("new", actions.Limits{}, func(h *host) { h.told = l.told })
	old.forget.Store(true) // one renewal's answer is lost besides: it finds its own
	await(t, "a lost answer", func() bool { return !old.forget.Load() })

	begin := func(tr *trial, calls func(stop) bool) int {
		n := 0
		for _, p := range tr.seen() {
			if !calls(p) {
				continue
			}
			n++
			w.launchOne(t, tr.flow, func(tr *trial) {
				l.mu.Lock()
				defer l.mu.Unlock()
				l.choose[tr] = p.point
			})
		}
		return n
	}
	shared := func(p stop) bool { // one serves all
		return strings.Contains(p.name, "/authorizationServers") || strings.HasSuffix(p.name, "/users/me")
	}
	isCreate := func(p stop) bool { return strings.HasSuffix(p.name, "POST /mosaic/cis/v1/clients") }
	n := begin(seen[0], func(p stop) bool { return p.call() && !shared(p) }) +
		begin(seen[1], func(p stop) bool { return p.call() && !isCreate(p) })
	await(t, "calls in the air", func() bool { return l.inTheAir() == n })
	n += begin(seen[1], isCreate)
	await(t, "a create in the air", func() bool { return l.inTheAir() == n })
	old.mute.Store(true)
	w.finish(t)
	w.close(t)
	t.Logf("%d calls arrived behind the loss of their lease", n)
}
