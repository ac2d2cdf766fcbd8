// Package crowd bounds the open connections of an HTTP server. A process has one store of open files for its listeners, the
// broker's blocks and the calls to providers: whoever opens connections must not take those.
package crowd

import (
	"container/list"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
)

// Crowd bounds the open connections of a listener. What comes beyond the bound takes the place of the connection that has
// waited longest without a request: the next one of its owner begins anew.
type Crowd struct {
	most int
	told io.Writer // gets a line when one is closed

	mu      sync.Mutex
	open    map[net.Conn]*list.Element // nil = it is working
	waiting *list.List                 // those without a request, longest first
}

// New makes a crowd of at most so many connections. told gets a line when one is closed for another.
func New(most int, told io.Writer) *Crowd {
	return &Crowd{most: most, told: told, open: map[net.Conn]*list.Element{}, waiting: list.New()}
}

// Follow is the ConnState of a server.
func (c *Crowd) Follow(conn net.Conn, state http.ConnState) {
	if over := c.moved(conn, state); over != nil {
		_, _ = fmt.Fprintf(c.told, "more than %d connections: one that waited without a request is closed\n", c.most)
		_ = bare(over).Close()
	}
}

// moved notes a state, and gives the connection that has to go for it.
func (c *Crowd) moved(conn net.Conn, state http.ConnState) (over net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at, known := c.open[conn]
	if at != nil {
		c.waiting.Remove(at)
	}
	switch state {
	case http.StateClosed, http.StateHijacked:
		delete(c.open, conn)
		return nil
	case http.StateActive:
		if known { // else it has just been closed
			c.open[conn] = nil
		}
		return nil
	case http.StateIdle:
		if !known {
			return nil
		}
	}
	c.open[conn] = c.waiting.PushBack(conn)
	if len(c.open) <= c.most {
		return nil
	}
	over, _ = c.waiting.Remove(c.waiting.Front()).(net.Conn)
	delete(c.open, over)
	return over
}

// bare is the connection below TLS, which would wait to say goodbye.
func bare(conn net.Conn) net.Conn {
	if t, ok := conn.(interface{ NetConn() net.Conn }); ok {
		return t.NetConn()
	}
	return conn
}
