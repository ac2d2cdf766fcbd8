package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"keyturn/internal/ingest"
	"keyturn/internal/secret"
	"keyturn/internal/stream"
	"keyturn/internal/stream/embedded"
)

// disk is the sync of a broker under group durability, in the test's hand.
type disk struct {
	began atomic.Int64
	gate  chan struct{} // a sync waits for it, when it is not nil
	fails atomic.Bool
}

var errDisk = errors.New("input/output error")

func (d *disk) sync() error {
	d.began.Add(1)
	if d.gate != nil {
		<-d.gate
	}
	if d.fails.Load() {
		return errDisk
	}
	return nil
}

// intake is a real intake over an embedded broker on that disk.
func intake(t *testing.T, d *disk, arm func()) (*httptest.Server, *embedded.Server, ingest.SourceSpec) {
	t.Helper()
	broker, err := embedded.Start(embedded.Options{Dir: t.TempDir(), Durability: stream.Group, Sync: d.sync, MaxStore: 1 << 28})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = broker.Close() })
	bus, err := stream.Connect(t.Context(), broker.Options())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = bus.Close(context.Background()) })
	if err := bus.CreateTopology(t.Context()); err != nil {
		t.Fatal(err)
	}
	arm()
	spec := ingest.SourceSpec{Name: "hr", Preset: "cloudevents", Verify: ingest.VerifySpec{HMAC: &ingest.HMACSpec{
		Signature: ingest.SignatureSpec{Header: "X-Signature"}, Secrets: []secret.Value{secret.New("sixteen bytes or more")},
	}}}
	source, err := ingest.NewSource(spec)
	if err != nil {
		t.Fatal(err)
	}
	h, err := ingest.NewHandler(ingest.Options{
		Sources: []*ingest.Source{source}, Publisher: bus, Log: slog.New(slog.DiscardHandler),
		Metrics: prometheus.NewRegistry(), TooLarge: stream.IsTooLarge,
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server, broker, spec
}

// deliver posts a termination, signed, and gives the answer's status and text.
func deliver(t *testing.T, url string, spec ingest.SourceSpec, id string) (int, string) {
	t.Helper()
	body := fmt.Appendf(nil, `{"specversion":"1.0","id":%q,"source":"https://hr.acme.example",`+
		`"type":"dev.keyturn.user.terminated.v1","data":{"user":{"email":"%s@acme.example"}}}`, id, id)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/hooks/hr", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/cloudevents+json")
	if err := ingest.Sign(spec, req, body, id, time.Now()); err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text)
}

// TestNo202BeforeItsBarrier: while the disk has not answered, nobody is answered; every delivery that waits is
// answered by a sync that began after it was stored.
func TestNo202BeforeItsBarrier(t *testing.T) {
	d := &disk{}
	server, _, spec := intake(t, d, func() { d.gate = make(chan struct{}) })
	before := d.began.Load()
	var answered atomic.Int64
	var posts sync.WaitGroup
	const deliveries = 8
	for i := range deliveries {
		posts.Go(func() {
			if status, text := deliver(t, server.URL, spec, fmt.Sprintf("leaver-%d", i)); status != http.StatusAccepted {
				t.Errorf("delivery %d: %d %s", i, status, text)
			}
			answered.Add(1)
		})
	}
	until(t, "a sync to begin", func() bool { return d.began.Load() > before })
	if n := answered.Load(); n != 0 {
		t.Fatalf("%d deliveries were answered before any sync had ended", n)
	}
	// The first sync may serve those that were stored when it began, the second all of them: no more are needed, and
	// fewer cannot have been enough for whoever came later.
	d.gate <- struct{}{}
	close(d.gate)
	posts.Wait()
	if n := d.began.Load() - before; n < 1 || n > deliveries {
		t.Errorf("%d syncs for %d deliveries", n, deliveries)
	}
}

// TestABarrierErrorStopsAll2xx: once the disk failed, nothing is answered as stored any more, also when the disk says
// later that it is well; the broker tells the process to end, and the store asks for a check before it starts again.
func TestABarrierErrorStopsAll2xx(t *testing.T) {
	d := &disk{}
	server, broker, spec := intake(t, d, func() {})
	if status, text := deliver(t, server.URL, spec, "before"); status != http.StatusAccepted {
		t.Fatalf("before the failure: %d %s", status, text)
	}
	d.fails.Store(true)
	if status, _ := deliver(t, server.URL, spec, "during"); status != http.StatusServiceUnavailable {
		t.Fatalf("while the disk fails: answered %d", status)
	}
	select {
	case <-broker.Failed():
	default:
		t.Error("the broker does not tell the process that its disk failed")
	}
	d.fails.Store(false)
	for _, id := range []string{"after", "before"} {
		if status, _ := deliver(t, server.URL, spec, id); status != http.StatusServiceUnavailable {
			t.Errorf("%s, after the disk recovered by itself: answered %d", id, status)
		}
	}
}

// until looks until a condition holds, and gives up at a deadline.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	deadline := time.After(20 * time.Second)
	for !holds() {
		select {
		case <-look.C:
		case <-deadline:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}
