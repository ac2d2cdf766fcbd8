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

// drive posts as fast as the answers come, over so many connections, for the time given. Every answer but 202 is an
// error: a rate with refusals in it says nothing. Each connection is one goroutine that writes and reads: what the load
// costs, the intake on the same cores has not.
func drive(ctx context.Context, url string, conns int, duration time.Duration) (load, error) {
	var mu sync.Mutex
	var l load
	var errs []error
	var group sync.WaitGroup
	began := time.Now()
	for sender := range conns {
		group.Go(func() {
			waits, err := send(ctx, url, sender, began.Add(duration))
			mu.Lock()
			defer mu.Unlock()
			l.waits = append(l.waits, waits...)
			errs = append(errs, err)
		})
	}
	group.Wait()
	l.took = time.Since(began)
	slices.Sort(l.waits)
	return l, errors.Join(errs...)
}

// padding makes an event about 1 KiB large.
var padding = strings.Repeat("x", 640)

// send posts over one connection until the time is over, and gives how long each answer took.
func send(ctx context.Context, url string, sender int, until time.Time) ([]time.Duration, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	answers := bufio.NewReader(conn)
	var waits []time.Duration
	for n := 0; time.Now().Before(until); n++ {
		req, err := request(ctx, url, fmt.Sprintf("%d-%d", sender, n))
		if err != nil {
			return waits, err
		}
		sent := time.Now()
		if err := post(conn, answers, req); err != nil {
			return waits, err
		}
		waits = append(waits, time.Since(sent))
	}
	return waits, nil
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

// post writes a request and reads its answer.
func post(conn net.Conn, answers *bufio.Reader, req *http.Request) error {
	if err := req.Write(conn); err != nil {
		return err
	}
	resp, err := http.ReadResponse(answers, req)
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
