package ingest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"keyturn/internal/crowd"
)

// Limits of the public server. A body of MaxBody at 100 KB/s fits into readTimeout.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 15 * time.Second
	writeTimeout      = 30 * time.Second // counts from the header on: reading, publishing and answering
	idleTimeout       = 60 * time.Second
	maxHeaderBytes    = 32 << 10
	shutdownLimit     = 20 * time.Second // more than a delivery may take after its header

	maxConnections = 2048 // at once: half of the 4096 open files that a system gives at the least
	maxStreams     = 16   // requests at once on one connection of HTTP/2, each of which costs memory before it proves anything
)

// ServerOptions of a Server. Handler and Log are needed.
type ServerOptions struct {
	Handler http.Handler
	Log     *slog.Logger
	TLS     *tls.Config // nil = a proxy before the listener brings TLS
	// Drain is how long the server goes on answering after it has said that it is not ready any more: at least the
	// period of the readiness probe, so that no balancer still sends here. Zero for a process that stands alone.
	Drain time.Duration
}

// Server is the public listener's server.
type Server struct {
	http  *http.Server
	drain time.Duration
	log   *slog.Logger
	tls   bool // asked once: net/http makes a configuration of its own while it serves
	ready atomic.Bool
}

// NewServer makes a server with the limits of a public listener.
func NewServer(o ServerOptions) *Server {
	told := &complaints{log: o.Log}
	return &Server{
		drain: o.Drain,
		log:   o.Log,
		tls:   o.TLS != nil,
		http: &http.Server{
			Handler:           o.Handler,
			TLSConfig:         o.TLS,
			ReadHeaderTimeout: readHeaderTimeout,
			ReadTimeout:       readTimeout,
			WriteTimeout:      writeTimeout,
			IdleTimeout:       idleTimeout,
			MaxHeaderBytes:    maxHeaderBytes,
			HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: maxStreams},
			ConnState:         crowd.New(maxConnections, told).Follow,
			ErrorLog:          log.New(told, "", 0),
		},
	}
}

// errNotServing is what Ready says before the listeners are served and while they are drained.
var errNotServing = errors.New("public listener is not serving")

// complaints are what net/http has to say about connections, such as a handshake that failed: whoever can reach the
// listener can cause them, so that only some are logged, and the rest counted.
type complaints struct {
	log     *slog.Logger
	sampler sampler
}

// Write logs one complaint, or leaves it out.
func (c *complaints) Write(line []byte) (int, error) {
	if ok, leftOut := c.sampler.take(time.Now()); ok {
		c.log.Warn("public listener", "error", strings.TrimSuffix(string(line), "\n"), "left_out", leftOut)
	}
	return len(line), nil
}

// Ready tells whether the server wants new deliveries: a check for /readyz.
func (s *Server) Ready(context.Context) error {
	if !s.ready.Load() {
		return errNotServing
	}
	return nil
}

// wait goes on serving for the drain, or until a listener fails. A second signal needs nothing here: it ends the process.
func (s *Server) wait(failed <-chan error) error {
	if s.drain <= 0 {
		return nil
	}
	over := time.NewTimer(s.drain)
	defer over.Stop()
	select {
	case <-over.C:
		return nil
	case err := <-failed:
		return fmt.Errorf("serve public listener: %w", err)
	}
}

// serve answers on one listener, with TLS where it is configured.
func (s *Server) serve(l net.Listener) error {
	if s.tls {
		return s.http.ServeTLS(l, "", "")
	}
	return s.http.Serve(l)
}

// Serve answers on the listeners until ctx ends, then stops in order: not ready, wait Drain, take no new connection,
// let every delivery under way be answered. The caller closes the publisher after Serve has returned, not before. The
// error is nil after an orderly stop.
func (s *Server) Serve(ctx context.Context, listeners ...net.Listener) error {
	failed := make(chan error, len(listeners))
	for _, l := range listeners {
		go func() { failed <- s.serve(l) }()
	}
	s.ready.Store(true)
	var err error
	select {
	case err = <-failed:
		err = fmt.Errorf("serve public listener: %w", err)
	case <-ctx.Done():
	}
	s.ready.Store(false)
	if err == nil {
		err = s.wait(failed)
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownLimit)
	defer cancel()
	if e := s.http.Shutdown(stop); e != nil {
		// Whoever is cut off got no answer, and repeats.
		_ = s.http.Close()
		err = errors.Join(err, fmt.Errorf("stop public listener: %w", e))
	}
	return err
}
