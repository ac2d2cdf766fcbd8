package size

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// poster sends events to a served process over kept connections.
type poster struct {
	client http.Client
	url    string
}

func newPoster(url string, connections int) *poster {
	return &poster{url: url + "/hooks/" + sourceName, client: http.Client{
		Transport: &http.Transport{MaxIdleConns: connections, MaxIdleConnsPerHost: connections, MaxConnsPerHost: connections},
	}}
}

// post sends one event about a user, and wants a 202.
func (p *poster) post(ctx context.Context, kind, user string) error {
	body := fmt.Appendf(nil, `{"specversion":"1.0","id":%q,"source":"https://hr.acme.example","type":"dev.keyturn.%s.v1",`+
		`"time":%q,"data":{"user":{"okta_id":%q,"login":"%s@acme.example"}}}`, user, kind, time.Now().UTC().Format(time.RFC3339), user, user)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	mac := hmac.New(sha256.New, []byte(sourceSecret))
	_, _ = mac.Write(body)
	req.Header.Set("Content-Type", "application/cloudevents+json")
	req.Header.Set("X-Signature", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	res, err := p.client.Do(req)
	if err != nil {
		return err
	}
	said, _ := io.ReadAll(io.LimitReader(res.Body, 1<<10))
	_ = res.Body.Close()
	if res.StatusCode != http.StatusAccepted {
		return fmt.Errorf("answered %s: %s", res.Status, said)
	}
	return nil
}

// flood posts over so many connections, as fast as they are answered, and gives the 202s a second.
func flood(ctx context.Context, url, prefix string, connections int, duration time.Duration) (float64, error) {
	p := newPoster(url, connections)
	defer p.client.CloseIdleConnections()
	var group sync.WaitGroup
	var done atomic.Int64
	var once sync.Once
	var failed error
	began := time.Now()
	for c := range connections {
		group.Go(func() {
			for n := 0; time.Since(began) < duration; n++ {
				// No playbook asks for anything then: the planner has the same to do with and without a queue.
				if err := p.post(ctx, "user.rehired", fmt.Sprintf("00u%s%03d%07d", prefix, c, n)); err != nil {
					once.Do(func() { failed = err })
					return
				}
				done.Add(1)
			}
		})
	}
	group.Wait()
	return float64(done.Load()) / time.Since(began).Seconds(), failed
}
