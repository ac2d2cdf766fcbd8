package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"keyturn/internal/ingest"
)

// sender delivers as real senders do: until it is told that the event is accepted.
type sender struct {
	counter // of requests
	url     string
	specs   map[string]ingest.SourceSpec

	mu    sync.Mutex
	cases map[string]map[string]bool // by event: every case that an answer named
}

// run sends what comes through the queue, so many at once. The returned function waits until all of it is accepted,
// after the queue was closed.
func (s *sender) run(t *testing.T, queue <-chan delivery, at int) (wait func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	var wg sync.WaitGroup
	for range at {
		wg.Go(func() {
			for d := range queue {
				if err := s.deliver(ctx, d); err != nil {
					t.Errorf("%s was never accepted: %v", d.event, err)
				}
			}
		})
	}
	return func() {
		wg.Wait()
		cancel()
	}
}

// deliver repeats a delivery until it is accepted.
func (s *sender) deliver(ctx context.Context, d delivery) error {
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for {
		s.tick()
		status, err := s.post(ctx, d)
		if err != nil || status == http.StatusAccepted {
			return err
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// post sends once. The error is a fault of the request, or an answer after which nobody would repeat it; the status is 0
// where nobody answered.
func (s *sender) post(ctx context.Context, d delivery) (status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/hooks/"+d.source, bytes.NewReader(d.body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/cloudevents+json")
	if err := ingest.Sign(s.specs[d.source], req, d.body, "msg_"+d.event, time.Now()); err != nil {
		return 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil // it is not there: it will be
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, nil // it died while it answered
	}
	return resp.StatusCode, s.note(d, resp.StatusCode, body)
}

// note keeps what an answer says. A sender that is told to come back does so; any other refusal is a fault here.
func (s *sender) note(d delivery, status int, body []byte) error {
	switch status {
	case http.StatusServiceUnavailable:
		return nil
	case http.StatusAccepted:
	default:
		return fmt.Errorf("status %d: %s", status, body)
	}
	var answer struct {
		Cases []string `json:"cases"`
	}
	if err := json.Unmarshal(body, &answer); err != nil || len(answer.Cases) != 1 {
		return fmt.Errorf("answer %q: %w", body, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cases[d.event] == nil {
		s.cases[d.event] = map[string]bool{}
	}
	s.cases[d.event][answer.Cases[0]] = true
	return nil
}
