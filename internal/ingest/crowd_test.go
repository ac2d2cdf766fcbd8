package ingest

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"keyturn/internal/crowd"
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
	s.http.ConnState = crowd.New(3, &lockedWriter{w: &told}).Follow
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
