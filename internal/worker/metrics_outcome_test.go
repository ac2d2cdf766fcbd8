package worker

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"keyturn/internal/config"
	"keyturn/internal/ledger"
	"keyturn/internal/outcome"
	"keyturn/internal/sandbox"
	"keyturn/internal/secret"
)

// TestMetricsOfTelling: how far the relay of outcomes and the web hook are behind, whose receiver takes nothing for a while.
func TestMetricsOfTelling(t *testing.T) {
	t.Parallel() // it waits for a receiver to be tried again
	s := newSite(t, sandbox.Options{})
	reg := prometheus.NewRegistry()
	var w *Worker
	s.work("worker-1", s.connections()[:1], nil, func(made *Worker) {
		w = made
		w.gauges = &gauges{worker: w}
		reg.MustRegister(w.gauges)
	})
	s.check("okta-prod") // the streams are there
	const relay, hook = "keyturn_consumer_lag{consumer=outcomes,state=waiting,stream=LEDGER}", "keyturn_consumer_lag{consumer=hook,state=in_hand,stream=OUTCOMES}"
	until := func(what string, ok func(map[string]float64) bool) {
		t.Helper()
		look := time.NewTicker(10 * time.Millisecond)
		defer look.Stop()
		for deadline := time.Now().Add(20 * time.Second); ; <-look.C {
			if err := w.gauges.ask(t.Context()); err != nil {
				t.Fatal(err)
			}
			got := samples(t, reg)
			if ok(got) {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: %v", what, got)
			}
		}
	}
	until("nobody tells anything", func(got map[string]float64) bool {
		_, relays := got[relay]
		_, hooks := got[hook]
		return !relays && !hooks
	})

	var takes atomic.Bool
	to := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		if !takes.Load() {
			rw.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(to.Close)
	bus := s.bus()
	teller, err := outcome.New(bus, ledger.New(bus.Log(), time.Now), config.Outcome{URL: to.URL, Secret: secret.New("whsec_YSBzZWNyZXQgb2YgdGhlIHNhbXBsZXMu")})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var telling sync.WaitGroup
	telling.Go(func() { _ = teller.Run(ctx) })
	t.Cleanup(func() { stop(); telling.Wait() })
	still := func(got map[string]float64) bool {
		behind, relays := got[relay]
		posts, hooks := got[hook]
		return relays && hooks && behind == 0 && posts == 0
	}
	until("there is nothing to tell", still)
	if _, err := w.runner.Ledger.Append(t.Context(), ledger.Record{}, ledger.Record{Subject: ledger.LifecycleSubject("case1"), State: ledger.Open}); err != nil {
		t.Fatal(err)
	}
	until("the receiver takes nothing", func(got map[string]float64) bool { return got[relay] == 0 && got[hook] == 1 })
	takes.Store(true)
	until("all is told", still)
	stop()
	telling.Wait()
	if _, err := w.runner.Ledger.Append(t.Context(), ledger.Record{}, ledger.Record{Subject: ledger.LifecycleSubject("case2"), State: ledger.Open}); err != nil {
		t.Fatal(err)
	}
	until("nobody relays", func(got map[string]float64) bool { return got[relay] == 1 && got[hook] == 0 })
}
