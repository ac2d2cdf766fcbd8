package ingest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"), goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"))
}

func loopback(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func TestServeStopsInOrder(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	one, two := loopback(t), loopback(t)
	s := NewServer(ServerOptions{Log: quiet(), Drain: time.Millisecond, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-leave
		w.WriteHeader(http.StatusAccepted)
	})})
	if s.Ready(t.Context()) == nil {
		t.Error("ready before it serves")
	}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, one, two) }()

	answered := make(chan int, 1)
	go func() {
		resp, err := http.Post("http://"+two.Addr().String(), "", nil)
		if err != nil {
			t.Error(err)
			answered <- 0
			return
		}
		_ = resp.Body.Close()
		answered <- resp.StatusCode
	}()
	<-entered
	if err := s.Ready(t.Context()); err != nil {
		t.Error(err)
	}
	stop()
	until(t, "not ready", func() bool { return s.Ready(t.Context()) != nil })
	until(t, "no new connection", func() bool {
		c, err := net.Dial("tcp", one.Addr().String())
		if err == nil {
			_ = c.Close()
		}
		return err != nil
	})
	select {
	case err := <-served:
		t.Fatalf("stopped over a delivery under way: %v", err)
	default:
	}
	close(leave)
	if status := <-answered; status != http.StatusAccepted {
		t.Errorf("the delivery under way got %d", status)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// While it drains, the server says that it is not ready, and takes what still comes.
func TestServeDrains(t *testing.T) {
	l := loopback(t)
	s := NewServer(ServerOptions{Log: quiet(), Drain: time.Hour, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusAccepted)
	})})
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, l) }()
	until(t, "ready", func() bool { return s.Ready(t.Context()) == nil })
	stop()
	until(t, "not ready", func() bool { return s.Ready(t.Context()) != nil })
	resp, err := http.Post("http://"+l.Addr().String(), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		t.Errorf("%d", resp.StatusCode)
	}
	// Nothing is left to wait for once the listener is gone.
	_ = l.Close()
	if err := <-served; err == nil {
		t.Error("a listener that fails is no orderly stop")
	}
}

// until waits for a condition.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func TestServeReportsAListenerThatFails(t *testing.T) {
	one, two := loopback(t), loopback(t)
	s := NewServer(ServerOptions{Log: quiet(), Handler: http.NotFoundHandler()})
	served := make(chan error, 1)
	go func() { served <- s.Serve(t.Context(), one, two) }()
	until(t, "ready", func() bool { return s.Ready(t.Context()) == nil })
	_ = one.Close()
	if err := <-served; err == nil {
		t.Error("no error")
	}
	if c, err := net.Dial("tcp", two.Addr().String()); err == nil {
		_ = c.Close()
		t.Error("the other listener is open")
	}
}

func TestServerLimits(t *testing.T) {
	s := NewServer(ServerOptions{Log: quiet(), Handler: http.NotFoundHandler()}).http
	if s.ReadHeaderTimeout != 5*time.Second || s.ReadTimeout != 15*time.Second || s.IdleTimeout != time.Minute || s.MaxHeaderBytes != 32<<10 || s.WriteTimeout == 0 ||
		s.ConnState == nil || s.HTTP2.MaxConcurrentStreams != 16 {
		t.Errorf("%+v", s)
	}
}

// A body that its sender breaks off is not a delivery.
func TestBrokenOffBody(t *testing.T) {
	f := open(t, Options{}, hrSpec())
	c, err := net.Dial("tcp", f.url[len("http://"):])
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "POST /hooks/hr-relay HTTP/1.1\r\nHost: x\r\nwebhook-id: 1\r\nwebhook-timestamp: 1\r\nwebhook-signature: v1,x\r\nContent-Length: 100\r\n\r\nabc"); err != nil {
		t.Fatal(err)
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" {
		t.Errorf("%d %v", resp.StatusCode, resp.Header)
	}
}

// A body that is too long by its own word is refused before it has come: its sender is told, and not asked to send it again.
func TestTooLongABodyIsNotWaitedFor(t *testing.T) {
	f := open(t, Options{}, hrSpec())
	c, err := net.Dial("tcp", f.url[len("http://"):])
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(c, "POST /hooks/hr-relay HTTP/1.1\r\nHost: x\r\nwebhook-id: 1\r\nwebhook-timestamp: 1\r\nwebhook-signature: v1,x\r\nContent-Length: %d\r\n\r\nabc", MaxBody+1); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusRequestEntityTooLarge || !resp.Close {
		t.Errorf("%d %v", resp.StatusCode, resp.Header)
	}
}

// partly sends the header and a part of a body that then does not go on, to a running public listener.
func partly(t *testing.T, f *face, headers string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", f.url[len("http://"):])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if _, err := io.WriteString(c, "POST /hooks/hr-relay HTTP/1.1\r\nHost: x\r\n"+headers+"Content-Length: 100\r\n\r\nabc"); err != nil {
		t.Fatal(err)
	}
	return c
}

// Whoever sends slowly and has proven nothing keeps nobody else out.
func TestSlowBodiesKeepNobodyOut(t *testing.T) {
	f := open(t, Options{Concurrency: 1}, hrSpec())
	for range 20 {
		partly(t, f, "webhook-id: 1\r\nwebhook-timestamp: 1\r\nwebhook-signature: v1,x\r\n")
	}
	until(t, "the parts of the bodies", func() bool { return f.handle.bodies.held.Load() == 60 })
	if got := f.post(hrSpec(), structured, terminated("e1", "m@acme.example")); got.status != http.StatusAccepted {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// A request without a signature is answered before its body has come.
func TestNoSignatureIsNotWaitedFor(t *testing.T) {
	f := open(t, Options{}, hrSpec(), siemSpec())
	for _, headers := range []string{
		"", "webhook-id: 1\r\nwebhook-timestamp: 1\r\n", "webhook-id: 1\r\nwebhook-signature: v1,x\r\n",
		"webhook-timestamp: 1\r\nwebhook-signature: v1,x\r\n",
	} {
		c := partly(t, f, headers)
		if err := c.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("%q: %d", headers, resp.StatusCode)
		}
	}
	for _, missing := range []string{"X-Signature", "X-Timestamp"} {
		req := f.request(siemSpec(), structured, terminated("e1", "m@acme.example"))
		req.Header.Del(missing)
		if got := f.do(req); got.status != http.StatusUnauthorized || f.handle.bodies.held.Load() != 0 {
			t.Errorf("without %s: %d", missing, got.status)
		}
	}
}

func TestBodiesHaveABudget(t *testing.T) {
	f := open(t, Options{}, hrSpec())
	f.handle.bodies.most = 100
	got := f.post(hrSpec(), structured, terminated("e1", "m@acme.example"))
	if got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") != "1" {
		t.Errorf("%d %v", got.status, got.header)
	}
	until(t, "the bytes given back", func() bool { return f.handle.bodies.held.Load() == 0 })
}
