package e2e_test

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"keyturn/internal/actions"
	"keyturn/internal/stream"
	"keyturn/internal/worker"
)

// host is one worker with its own connection to the broker and its own way to the providers, as if it were a process
// of its own.
type host struct {
	*world
	bus  *stream.Bus
	stop func()

	fuse   atomic.Int64  // it dies at this write from now on; 0 = never
	gone   atomic.Bool   // it died: nothing that is left of it gets any further
	died   chan struct{} // closed then
	mute   atomic.Bool   // it cannot renew a lease any more, and does not know
	leases atomic.Int64  // how often it took or renewed one
	forget atomic.Bool   // the answer to its next renewal is lost
	told   func(v visit, op stream.Op, subject string)
	delay  func(v visit, what string, req *http.Request) (*http.Response, error) // nil result = no delay
}

// employ starts a worker. It works until it is stopped or dies.
func (w *world) employ(name string, limits actions.Limits, change ...func(*host)) *host {
	w.t.Helper()
	h := &host{world: w, died: make(chan struct{})}
	for _, c := range change {
		c(h)
	}
	h.bus = w.connect(h.fault, stream.Boot{})
	books, err := worker.Playbooks(w.books.Playbooks)
	w.must(err)
	one, err := worker.New(worker.Options{
		Bus: h.bus, Name: name, Version: "test", Keyer: w.keyer, Connections: w.books.Connections, Playbooks: books,
		Log: slog.New(slog.DiscardHandler), Transport: h, Limits: limits,
	})
	w.must(err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- one.Run(ctx) }()
	h.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil && !h.gone.Load() {
			w.t.Error(err)
		}
	})
	w.t.Cleanup(h.stop)
	return h
}

// fault strikes the writes of the worker as a whole, and then those of the cases that it works on.
func (h *host) fault(ctx context.Context, op stream.Op, subject string, persisted bool) error {
	if op == stream.OpLease {
		return h.lease(persisted)
	}
	v, ok := visitOf(ctx)
	if ok && persisted {
		v.trial.wrote(v, op, subject) // also what a dead worker wrote with its last breath
		if h.told != nil {
			h.told(v, op, subject)
		}
	}
	if err := h.breathe(ok); err != nil || !ok {
		return err
	}
	if h.fuse.Add(-1) == 0 {
		h.gone.Store(true)
		close(h.died)
		panic(death{})
	}
	return v.trial.hit(v, string(op)+" "+subject, persisted)
}

// lease counts the leases that were taken, and strikes them.
func (h *host) lease(persisted bool) error {
	if h.gone.Load() || h.mute.Load() || persisted && h.forget.Swap(false) {
		return errBroken
	}
	if persisted {
		h.leases.Add(1)
	}
	return nil
}

// breathe lets nothing of a dead worker get any further. What runs beside its messages is told of an error, which its
// end is to it.
func (h *host) breathe(message bool) error {
	switch {
	case !h.gone.Load():
		return nil
	case message:
		panic(death{})
	}
	return errBroken
}

// RoundTrip implements http.RoundTripper: the way to the providers, on which every call may be struck. Tokens are
// fetched for everybody, beside whoever needed one first: that call is nobody's.
func (h *host) RoundTrip(req *http.Request) (*http.Response, error) {
	v, ok := visitOf(req.Context())
	if strings.HasSuffix(req.URL.Path, "/token") || strings.HasSuffix(req.URL.Path, "/service_token") {
		ok = false
	}
	if err := h.breathe(ok); err != nil {
		return nil, err
	}
	way := h.sb.Transport()
	if !ok {
		return way.RoundTrip(req)
	}
	what := req.Method + " " + req.URL.Path
	if err := v.trial.hit(v, what, false); err != nil {
		return nil, err
	}
	if h.delay != nil {
		if res, err := h.delay(v, what, req); res != nil || err != nil {
			return res, err
		}
	}
	res, err := way.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if err := v.trial.hit(v, what, true); err != nil {
		return nil, err
	}
	return res, nil
}
