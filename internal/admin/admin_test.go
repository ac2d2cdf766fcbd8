package admin_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"keyturn/internal/admin"
)

// TestReady: what is wrong here keeps a process from being ready; what is wrong elsewhere is shown.
func TestReady(t *testing.T) {
	wrong := func(context.Context) error { return errors.New("the provider is away") }
	for _, c := range []struct {
		check  admin.Check
		status int
		line   string
	}{
		{admin.Check{Name: "lane", Run: wrong}, http.StatusServiceUnavailable, "fail lane: the provider is away"},
		{admin.Check{Name: "lane", Run: wrong, Elsewhere: true}, http.StatusOK, "warn lane: the provider is away"},
		{admin.Check{Name: "lane", Run: func(context.Context) error { return nil }, Elsewhere: true}, http.StatusOK, "ok   lane"},
	} {
		answer := httptest.NewRecorder()
		checks := func() []admin.Check { return []admin.Check{c.check} }
		admin.Handler(admin.NewRegistry(), checks).ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/readyz?verbose", nil))
		if answer.Code != c.status || !strings.Contains(answer.Body.String(), c.line) {
			t.Errorf("%d %q, want %d %q", answer.Code, answer.Body, c.status, c.line)
		}
	}
}

// TestSilentConnectionsMakeRoom: whoever opens connections and says nothing keeps no probe out, and takes no more than the
// bound of the files that the process may open.
func TestSilentConnectionsMakeRoom(t *testing.T) {
	const most = 64
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() {
		served <- admin.Serve(ctx, l, admin.Handler(admin.NewRegistry(), func() []admin.Check { return nil }))
	}()
	var silent []net.Conn
	for range most + 1 {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		silent = append(silent, c)
	}
	_ = silent[0].SetReadDeadline(time.Now().Add(4 * time.Second)) // less than the time that a header has
	if _, err := silent[0].Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("who waited longest: %v, want it closed", err)
	}
	resp, err := http.Get("http://" + l.Addr().String() + "/livez")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("a probe beside them: %s", resp.Status)
	}
	stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
}
