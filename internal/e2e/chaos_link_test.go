//go:build !race

package e2e

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// direction is that of the bytes of a link, as seen from whoever connects.
type direction int

const (
	there direction = iota
	back
)

// link is the one way from one part to another: a proxy that passes TCP connections on. It can be cut, which ends
// every connection and refuses new ones; or stalled, so that bytes of a direction stand still and nobody is told; and
// it heals. Whatever stood still then goes on.
type link struct {
	name, target string
	ln           net.Listener

	mu      sync.Mutex
	down    bool
	ended   bool
	stalled [2]chan struct{} // by direction; nil = bytes pass; closed when they pass again
	conns   map[net.Conn]bool
}

// newLink makes a link to an address. It lives as long as the test.
func newLink(t *testing.T, name, target string) *link {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &link{name: name, target: target, ln: ln, conns: map[net.Conn]bool{}}
	var serving sync.WaitGroup
	serving.Go(func() { l.serve(&serving) })
	t.Cleanup(func() {
		_ = ln.Close()
		l.mu.Lock()
		l.ended = true
		l.mu.Unlock()
		l.cut()
		l.pass()
		serving.Wait()
	})
	return l
}

// at is where the link begins.
func (l *link) at() string { return l.ln.Addr().String() }

func (l *link) serve(serving *sync.WaitGroup) {
	for {
		in, err := l.ln.Accept()
		if err != nil {
			return
		}
		serving.Go(func() { l.join(in) })
	}
}

// join passes one connection on, until one of its ends or the link is gone.
func (l *link) join(in net.Conn) {
	out, err := net.DialTimeout("tcp", l.target, 5*time.Second)
	if err != nil {
		reset(in)
		return
	}
	l.mu.Lock()
	if l.down || l.ended {
		l.mu.Unlock()
		reset(in)
		reset(out)
		return
	}
	l.conns[in], l.conns[out] = true, true
	l.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { l.pump(there, out, in) })
	both.Go(func() { l.pump(back, in, out) })
	both.Wait()
	l.mu.Lock()
	delete(l.conns, in)
	delete(l.conns, out)
	l.mu.Unlock()
	_, _ = in.Close(), out.Close()
}

// pump copies one direction. An end of the stream passes on as one, but stands still like any byte.
func (l *link) pump(d direction, to, from net.Conn) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		l.wait(d)
		if n > 0 {
			if _, werr := to.Write(buf[:n]); werr != nil {
				err = werr
			}
		}
		if err == io.EOF {
			if half, ok := to.(*net.TCPConn); ok && half.CloseWrite() == nil {
				return
			}
		}
		if err != nil {
			reset(to)
			reset(from)
			return
		}
	}
}

// wait returns when bytes of the direction pass.
func (l *link) wait(d direction) {
	l.mu.Lock()
	gate := l.stalled[d]
	l.mu.Unlock()
	if gate != nil {
		<-gate
	}
}

// reset ends a connection at once, and tells the other end so.
func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // it may be closed already
	}
	_ = c.Close()
}

// cut ends every connection, and refuses new ones until the link heals.
func (l *link) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = true
	for c := range l.conns {
		reset(c)
	}
}

// stall lets bytes of these directions stand still.
func (l *link) stall(which ...direction) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, d := range which {
		if l.stalled[d] == nil {
			l.stalled[d] = make(chan struct{})
		}
	}
}

// heal undoes cut and stall.
func (l *link) heal() {
	l.mu.Lock()
	l.down = false
	l.mu.Unlock()
	l.pass()
}

// pass lets all bytes go on.
func (l *link) pass() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for d, gate := range l.stalled {
		if gate != nil {
			close(gate)
			l.stalled[d] = nil
		}
	}
}

// busy reports whether connections go over the link.
func (l *link) busy() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.conns) > 0
}
