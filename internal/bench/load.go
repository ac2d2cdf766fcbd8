package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
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
// error: a rate with refusals in it says nothing.
func drive(ctx context.Context, url string, conns int, duration time.Duration) (load, error) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: conns, MaxConnsPerHost: conns}}
	defer client.CloseIdleConnections()
	var mu sync.Mutex
	var l load
	var errs []error
	var group sync.WaitGroup
	began := time.Now()
	for sender := range conns {
		group.Go(func() {
			var waits []time.Duration
			var err error
			for n := 0; err == nil && time.Since(began) < duration; n++ {
				sent := time.Now()
				err = post(ctx, client, url, fmt.Sprintf("%d-%d", sender, n))
				waits = append(waits, time.Since(sent))
			}
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

// post delivers one event of its own, signed.
func post(ctx context.Context, client *http.Client, url, id string) error {
	body := fmt.Appendf(nil, `{"specversion":"1.0","id":%q,"source":"https://bench.acme.example","type":"dev.keyturn.user.terminated.v1",`+
		`"time":"2026-01-31T17:00:00Z","data":{"user":{"email":"%s@acme.example"},"note":%q}}`, id, id, padding)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/hooks/bench", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/cloudevents+json")
	if err := ingest.Sign(source(), req, body, id, time.Now()); err != nil {
		return err
	}
	resp, err := client.Do(req)
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
