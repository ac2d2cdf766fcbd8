package intake

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"keyturn/internal/ingest"
)

// load is what one run measured.
type load struct {
	took  time.Duration
	waits []time.Duration // of every 202, sorted
}

// rate is the 202s a second.
func (l load) rate() float64 { return float64(len(l.waits)) / l.took.Seconds() }

// quantile of the waits.
func (l load) quantile(q float64) time.Duration {
	if len(l.waits) == 0 {
		return 0
	}
	return l.waits[int(q*float64(len(l.waits)-1))]
}

// How many deliveries are signed and written out before the time runs, of all connections and of one: more than any
// machine takes in a second. What the load costs, the intake on the same cores has not.
const (
	readyInAll = 10_000
	readyEach  = 3_000
)

// drive posts as fast as the answers come, over so many connections, for the time given. Every answer but 202 is an
// error: a rate with refusals in it says nothing. Each connection is one goroutine that writes and reads.
func drive(ctx context.Context, url string, conns int, duration time.Duration) (load, error) {
	senders := make([]*sender, conns)
	for i := range senders {
		var err error
		if senders[i], err = newSender(ctx, url, i, int(duration.Seconds()*min(readyEach, readyInAll/float64(conns)))); err != nil {
			return load{}, err
		}
		defer senders[i].conn.Close()
	}
	errs := make([]error, conns)
	var group sync.WaitGroup
	began := time.Now()
	for i, s := range senders {
		group.Go(func() { errs[i] = s.send(ctx, began.Add(duration)) })
	}
	group.Wait()
	l := load{took: time.Since(began)}
	for _, s := range senders {
		l.waits = append(l.waits, s.waits...)
	}
	slices.Sort(l.waits)
	return l, errors.Join(errs...)
}

// padding makes an event about 1 KiB large.
var padding = strings.Repeat("x", 640)

// sender is one connection.
type sender struct {
	url     string
	name    int
	conn    net.Conn
	answers *bufio.Reader
	ready   [][]byte        // deliveries as they go over the wire
	waits   []time.Duration // how long each answer took
}

// newSender connects, and makes so many deliveries ready.
func newSender(ctx context.Context, url string, name, ready int) (*sender, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		return nil, err
	}
	s := &sender{url: url, name: name, conn: conn, answers: bufio.NewReader(conn), ready: make([][]byte, ready)}
	for n := range s.ready {
		if s.ready[n], err = s.delivery(ctx, n); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	return s, nil
}

// send posts until the time is over.
func (s *sender) send(ctx context.Context, until time.Time) error {
	for n := 0; time.Now().Before(until); n++ {
		var wire []byte
		if n < len(s.ready) {
			wire = s.ready[n]
		} else {
			var err error
			if wire, err = s.delivery(ctx, n); err != nil {
				return err
			}
		}
		sent := time.Now()
		if err := s.post(wire); err != nil {
			return err
		}
		s.waits = append(s.waits, time.Since(sent))
	}
	return nil
}

// delivery is that of the nth event, signed, as it goes over the wire.
func (s *sender) delivery(ctx context.Context, n int) ([]byte, error) {
	req, err := request(ctx, s.url, fmt.Sprintf("%d-%d", s.name, n))
	if err != nil {
		return nil, err
	}
	var wire bytes.Buffer
	err = req.Write(&wire)
	return wire.Bytes(), err
}

// post writes a delivery and reads its answer.
func (s *sender) post(wire []byte) error {
	if _, err := s.conn.Write(wire); err != nil {
		return err
	}
	resp, err := http.ReadResponse(s.answers, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	if resp.StatusCode != http.StatusAccepted {
		return fmt.Errorf("answered %s", resp.Status)
	}
	return nil
}

// request is the delivery of one event of its own, signed.
func request(ctx context.Context, url, id string) (*http.Request, error) {
	body := fmt.Appendf(nil, `{"specversion":"1.0","id":%q,"source":"https://bench.acme.example","type":"dev.keyturn.user.terminated.v1",`+
		`"time":"2026-01-31T17:00:00Z","data":{"user":{"email":"%s@acme.example"},"note":%q}}`, id, id, padding)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/hooks/bench", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/cloudevents+json")
	return req, ingest.Sign(source(), req, body, id, time.Now())
}
