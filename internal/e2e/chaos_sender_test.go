//go:build !race

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"keyturn/internal/ingest"
)

// courier delivers as real senders do: until it is told that the event is accepted, and now and then once or twice more.
// It goes from one intake to the next where it is not answered, as a balancer does.
type courier struct {
	urls    []string
	specs   map[string]ingest.SourceSpec
	client  http.Client
	lenient atomic.Bool // an intake's clock may be wrong: to it, good signatures are old

	queue   chan delivery
	working sync.WaitGroup
	open    atomic.Int64 // what was given and is not accepted yet

	mu       sync.Mutex
	cases    map[string]map[string]bool // by event: every case that an answer named
	answers  map[int]int                // by status; 0 = none
	requests int
}

// newCourier begins to deliver what is given to it, so many at once, until the test ends.
func newCourier(t *testing.T, s *site, seed uint64, at int) *courier {
	t.Helper()
	c := &courier{specs: signers(t, s.specs), queue: make(chan delivery, 1000), cases: map[string]map[string]bool{}, answers: map[int]int{}}
	c.client = http.Client{Timeout: 4 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: at}}
	for _, in := range s.intakes {
		c.urls = append(c.urls, "http://"+in.outer.at())
	}
	ctx, stop := context.WithCancel(context.Background())
	for i := range at {
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		c.working.Go(func() {
			for d := range c.queue {
				if err := c.deliver(ctx, rng, d); err != nil && ctx.Err() == nil {
					t.Errorf("%s: %v", d.event, err)
				}
				c.open.Add(-1)
			}
		})
	}
	t.Cleanup(func() {
		stop()
		close(c.queue)
		c.working.Wait()
		c.client.CloseIdleConnections()
	})
	return c
}

// give hands events over.
func (c *courier) give(list []delivery) {
	for _, d := range list {
		c.open.Add(1)
		c.queue <- d
	}
}

// accepted waits until everything that was given is accepted.
func (c *courier) accepted(t *testing.T) {
	t.Helper()
	await(t, 3*patience, "every event to be accepted", c.idle)
}

// idle reports whether everything that was given is accepted.
func (c *courier) idle() bool { return c.open.Load() == 0 }

// deliver repeats a delivery until it is accepted, and sometimes after that.
func (c *courier) deliver(ctx context.Context, rng *rand.Rand, d delivery) error {
	again := time.NewTicker(150 * time.Millisecond)
	defer again.Stop()
	more := max(0, rng.IntN(8)-5) // one in four comes again, half of these twice
	for at := rng.IntN(len(c.urls)); ; at++ {
		status, err := c.post(ctx, c.urls[at%len(c.urls)], d)
		if err != nil {
			return err
		}
		if status == http.StatusAccepted {
			if more--; more < 0 {
				return nil
			}
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// post sends once. The error is an answer that no sender should get; the status is 0 where nobody answered.
func (c *courier) post(ctx context.Context, url string, d delivery) (status int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/hooks/"+d.source, bytes.NewReader(d.body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/cloudevents+json")
	if err := ingest.Sign(c.specs[d.source], req, d.body, "msg_"+d.event, time.Now()); err != nil {
		return 0, err
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return 0, c.note(d, 0, nil)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, c.note(d, 0, nil)
	}
	return resp.StatusCode, c.note(d, resp.StatusCode, body)
}

// note keeps what an answer says.
func (c *courier) note(d delivery, status int, body []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests++
	c.answers[status]++
	switch {
	case status == 0, status == http.StatusServiceUnavailable, status == http.StatusUnauthorized && c.lenient.Load():
		return nil
	case status != http.StatusAccepted:
		return fmt.Errorf("answered %d: %s", status, body)
	}
	var answer struct {
		Cases []string `json:"cases"`
	}
	if err := json.Unmarshal(body, &answer); err != nil || len(answer.Cases) != 1 {
		return fmt.Errorf("answer %q: %w", body, err)
	}
	if c.cases[d.event] == nil {
		c.cases[d.event] = map[string]bool{}
	}
	c.cases[d.event][answer.Cases[0]] = true
	return nil
}

// of gives the cases that answers named for an event.
func (c *courier) of(event string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var ids []string
	for id := range c.cases[event] {
		ids = append(ids, id)
	}
	return ids
}

// figures are how much was sent: events that are accepted, requests, and answers by status.
func (c *courier) figures() (events, requests int, answers map[int]int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	answers = map[int]int{}
	for status, n := range c.answers {
		answers[status] = n
	}
	return len(c.cases), c.requests, answers
}
