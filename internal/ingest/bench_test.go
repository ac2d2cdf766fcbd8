package ingest

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func benchHandler(b *testing.B) *Handler {
	s, err := NewSource(hrSpec())
	if err != nil {
		b.Fatal(err)
	}
	h, err := NewHandler(Options{Sources: []*Source{s}, Publisher: discard{}, Log: slog.New(slog.NewJSONHandler(io.Discard, nil)), Metrics: prometheus.NewRegistry()})
	if err != nil {
		b.Fatal(err)
	}
	return h
}

// BenchmarkDelivery is everything that a delivery of 4 KiB costs but the network and the broker.
func BenchmarkDelivery(b *testing.B) { benchmark(b, "", http.StatusAccepted) }

// BenchmarkBadSignature is what a stranger can make us spend on 4 KiB.
func BenchmarkBadSignature(b *testing.B) { benchmark(b, "v1,AAAA", http.StatusUnauthorized) }

func benchmark(b *testing.B, signature string, want int) {
	h := benchHandler(b)
	body := strings.Replace(terminated("e1", "m@acme.example"), `"data":{`, `"data":{"note":"`+strings.Repeat("a note ", 540)+`",`, 1)
	sample := httptest.NewRequest(http.MethodPost, "/hooks/hr-relay", nil)
	if err := Sign(hrSpec(), sample, []byte(body), "msg-1", time.Now()); err != nil {
		b.Fatal(err)
	}
	sample.Header.Set("Content-Type", structured)
	if signature != "" {
		sample.Header.Set("webhook-signature", signature)
	}
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		req := sample.Clone(context.Background())
		req.ContentLength = int64(len(body))
		req.Body = io.NopCloser(strings.NewReader(body))
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		if w.Code != want {
			b.Fatalf("%d %s", w.Code, w.Body)
		}
	}
}
