package ingest

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Whoever opens connections and says nothing keeps nobody out, and takes no more than the bound.
func TestACrowdMakesRoomForWhoComes(t *testing.T) {
	working, leave := make(chan struct{}), make(chan struct{})
	s := NewServer(ServerOptions{Log: quiet(), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			close(working)
			<-leave
		}
		w.WriteHeader(http.StatusAccepted)
	})})
	var told bytes.Buffer
	s.http.ConnState = newCrowd(3, &lockedWriter{w: &told}).follow
	l := loopback(t)
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, l) }()

	slow := make(chan int, 1)
	go func() { slow <- status(t, "http://"+l.Addr().String()+"/slow") }()
	<-working
	var silent []net.Conn
	for range 8 {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		silent = append(silent, c)
	}
	for _, c := range silent[:6] {
		_ = c.SetReadDeadline(time.Now().Add(4 * time.Second)) // less than the time that a header has
		if _, err := c.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("one of those that waited longest: %v, want it closed", err)
		}
	}
	if got := status(t, "http://"+l.Addr().String()+"/"); got != http.StatusAccepted {
		t.Errorf("who comes beside them got %d", got)
	}
	close(leave)
	if got := <-slow; got != http.StatusAccepted {
		t.Errorf("the request that was under way got %d", got)
	}
	for _, c := range silent { // an orderly stop waits for those that may still send
		_ = c.Close()
	}
	stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
	if got := told.String(); !strings.Contains(got, "more than 3 connections") {
		t.Errorf("told %q", got)
	}
}

// status is what a request over a connection of its own is answered.
func status(t *testing.T, url string) int {
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := c.Post(url, "", nil)
	if err != nil {
		t.Error(err)
		return 0
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// A connection keeps its place while it works, loses it when it waits longest, and counts no more once it is gone.
func TestCrowdClosesWhoWaitsLongest(t *testing.T) {
	c := newCrowd(2, io.Discard)
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
