package sandbox

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"
)

// Server is a sandbox that listens.
type Server struct {
	*Sandbox
	// URL is the origin: "http://127.0.0.1:" and a port.
	URL string

	http *http.Server
	done chan struct{}
}

// Start makes a sandbox and lets it listen on a free port of the loopback
// interface.
func Start(opt Options) (*Server, error) { return New(opt).Listen("") }

// Listen serves the sandbox at an address of the loopback interface; empty is
// 127.0.0.1 with a free port. Any other interface is an error: the sandbox's
// credentials are no secrets.
func (sb *Sandbox) Listen(addr string) (*Server, error) {
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("sandbox listen %s: %w", addr, err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, fmt.Errorf("sandbox listen %s: not a loopback address", addr)
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("sandbox listen: %w", err)
	}
	s := &Server{
		Sandbox: sb,
		URL:     "http://" + ln.Addr().String(),
		http:    &http.Server{Handler: sb, ReadHeaderTimeout: 10 * time.Second},
		done:    make(chan struct{}),
	}
	go func() {
		defer close(s.done)
		_ = s.http.Serve(ln) // always ErrServerClosed or the listener's end
	}()
	return s, nil
}

// Close ends the listener and every connection; calls in flight are cut.
func (s *Server) Close() error {
	err := s.http.Close()
	<-s.done
	return err
}

// Shutdown ends the listener and waits for the calls in flight.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	<-s.done
	return err
}

// OktaURL is the base URL of the Okta org below an origin.
func OktaURL(origin string) string { return origin + "/okta" }

// ASAURL is the base URL of ASA below an origin, without /v1.
func ASAURL(origin string) string { return origin + "/asa" }

// MosaicURL is the base URL of Mosaic below an origin, with the service id cis
// and without /v1.
func MosaicURL(origin string) string { return origin + "/mosaic/cis" }

// MosaicTokenURL is Mosaic's token endpoint below an origin.
func MosaicTokenURL(origin string) string { return origin + "/mosaic/oidc/token" }
