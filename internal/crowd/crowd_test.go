package crowd

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"testing"
)

// A connection keeps its place while it works, loses it when it waits longest, and counts no more once it is gone.
func TestCrowdClosesWhoWaitsLongest(t *testing.T) {
	c := New(2, io.Discard)
	conns := make([]net.Conn, 4)
	for i := range conns {
		conns[i], _ = net.Pipe()
	}
	for i, step := range []struct {
		conn  net.Conn
		state http.ConnState
		over  net.Conn
	}{
		{conns[0], http.StateNew, nil},
		{conns[0], http.StateActive, nil},
		{conns[1], http.StateNew, nil},
		{conns[2], http.StateNew, conns[1]},
		{conns[1], http.StateActive, nil}, // what came of it just before it was closed
		{conns[1], http.StateIdle, nil},
		{conns[1], http.StateClosed, nil},
		{conns[2], http.StateActive, nil},
		{conns[3], http.StateNew, conns[3]}, // everybody else works
		{conns[3], http.StateClosed, nil},
		{conns[0], http.StateIdle, nil},
		{conns[3], http.StateNew, conns[0]},
		{conns[0], http.StateClosed, nil},
		{conns[2], http.StateClosed, nil},
		{conns[3], http.StateClosed, nil},
	} {
		if over := c.moved(step.conn, step.state); over != step.over {
			t.Errorf("step %d: closes %v, want %v", i, over, step.over)
		}
	}
	if len(c.open) != 0 || c.waiting.Len() != 0 {
		t.Errorf("%d open, %d waiting", len(c.open), c.waiting.Len())
	}
}

// A goodbye over TLS may wait for whoever reads nothing.
func TestBareConnection(t *testing.T) {
	raw, _ := net.Pipe()
	if bare(tls.Server(raw, &tls.Config{})) != raw || bare(raw) != raw {
		t.Error("not the connection below")
	}
}
