// Package admin serves what operators and their monitoring ask of a running process, on a listener of its own that is
// never the public one: /livez, /readyz (with ?verbose) and /metrics.
//
// Live means that the process runs. Ready means that it can do its job now: every check passes, but
// those of what others must mend. Neither answer holds a secret or a person's data.
package admin

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"keyturn/internal/crowd"
)

// checkTimeout bounds one round of readiness checks, below the usual probe time-out of 10 s.
const checkTimeout = 3 * time.Second

// Bounds of the listener: monitoring, probes and a few people.
const (
	maxConnections = 64
	writeTimeout   = 30 * time.Second // of one answer: who reads none of it lets go of its connection
)

// Check is one thing that must hold for the process to be ready.
type Check struct {
	Name string
	// Run returns nil when it holds, or says what is wrong and what to do.
	Run func(ctx context.Context) error
	// Elsewhere is set where what fails is for others to mend, such as a provider that is away: it is shown, and the
	// process is ready all the same. Whoever is taken from behind a load balancer for it accepts no event meanwhile.
	Elsewhere bool
	// Notes are shown by /readyz?verbose whether it holds or not: the durability mode, the leases held.
	Notes func() string
}

// NewRegistry makes a metrics registry that already has the process's and the Go runtime's own figures.
func NewRegistry() *prometheus.Registry {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return reg
}

// Handler serves the three paths. checks gives what must hold at the moment: it is asked each time.
func Handler(reg *prometheus.Registry, checks func() []Check) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) { ready(w, r, checks()) })
	mux.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))
	return mux
}

// ready runs the checks in order and answers 200 when all hold, else 503. The verbose form names each.
func ready(w http.ResponseWriter, r *http.Request, checks []Check) {
	ctx, cancel := context.WithTimeout(r.Context(), checkTimeout)
	defer cancel()
	status, text := http.StatusOK, ""
	for _, c := range checks {
		line := "ok   " + c.Name
		switch err := c.Run(ctx); {
		case err != nil && c.Elsewhere:
			line = fmt.Sprintf("warn %s: %v", c.Name, err)
		case err != nil:
			status, line = http.StatusServiceUnavailable, fmt.Sprintf("fail %s: %v", c.Name, err)
		}
		if c.Notes != nil {
			line += " (" + c.Notes() + ")"
		}
		text += line + "\n"
	}
	w.WriteHeader(status)
	if _, verbose := r.URL.Query()["verbose"]; verbose {
		_, _ = fmt.Fprint(w, text)
		return
	}
	_, _ = fmt.Fprintln(w, map[bool]string{true: "ready", false: "not ready: ask /readyz?verbose"}[status == http.StatusOK])
}

// Serve answers on l until ctx ends. Beyond maxConnections who has waited longest without a request makes room.
func Serve(ctx context.Context, l net.Listener, h http.Handler) error {
	srv := &http.Server{
		Handler: h, ReadHeaderTimeout: 5 * time.Second, WriteTimeout: writeTimeout,
		ConnState:   crowd.New(maxConnections, io.Discard).Follow, // nobody is told: an idle connection is opened again
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stop()
	if err := srv.Serve(l); err != nil && ctx.Err() == nil {
		return fmt.Errorf("admin listener %s: %w", l.Addr(), err)
	}
	return nil
}
