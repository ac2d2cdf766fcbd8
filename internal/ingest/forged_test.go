package ingest

import (
	"context"
	"encoding/hex"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"keyturn/internal/config"
)

// TestAFloodOfForgeries: 9,000 forged deliveries at 10,000 a second, of a clock that a test moves, leave a few
// lines, exact counts and no memory behind, and a genuine delivery in the midst of them is logged.
func TestAFloodOfForgeries(t *testing.T) {
	c := newClock()
	f := open(t, Options{Now: c.now}, hrSpec(), setSpec(t))
	forged := httptest.NewRequest(http.MethodPost, "/hooks/hr-relay", nil)
	for _, name := range []string{"webhook-id", "webhook-timestamp"} {
		forged.Header.Set(name, "1")
	}
	forged.Header.Set("webhook-signature", "v1,AAAA")
	stray := httptest.NewRequest(http.MethodPost, "/hooks/made-up", nil)
	token := httptest.NewRequest(http.MethodPost, "/hooks/idp", nil)
	const rate, burst = 10_000, 3_000
	answer := func(r *http.Request, body string) {
		r.Body = io.NopCloser(strings.NewReader(body))
		f.handle.ServeHTTP(httptest.NewRecorder(), r)
	}
	flood := func() {
		for i := range burst {
			switch i % 10 {
			case 0:
				answer(stray, "{}")
			case 1:
				answer(token, "x.y.z")
			default:
				answer(forged, "{}")
			}
			c.pass(time.Second / rate)
		}
	}
	flood()
	before := heap()
	for range 2 {
		flood()
	}
	if grown := int64(heap()) - int64(before); grown > 256<<10 {
		t.Errorf("grew by %d bytes", grown)
	}
	c.pass(sampleEvery)
	for _, r := range []*http.Request{forged, stray, token} {
		answer(r, "{}")
	}
	genuine := f.request(hrSpec(), structured, "{}")
	if err := Sign(hrSpec(), genuine, []byte("[]"), "1", c.now()); err != nil {
		t.Fatal(err)
	}
	genuine.Header.Set("Content-Type", "application/cloudevents-batch+json")
	answer(genuine, "[]")

	lines := strings.Count(f.logs.String(), "\n")
	if want := 3*(sampleLines+1) + 1; lines != want || !strings.Contains(f.logs.String(), `"left_out":`) || !strings.Contains(f.logs.String(), `"status":202`) {
		t.Errorf("%d lines, want %d: %.2000s", lines, want, f.logs)
	}
	m := f.handle.metrics
	for source, n := range map[string]float64{"hr-relay": 7_201, unknownSource: 901, "idp": 901} {
		status := map[string]string{"hr-relay": "401", unknownSource: "404", "idp": "400"}[source]
		if got := testutil.ToFloat64(m.deliveries.WithLabelValues(source, status)); got != n {
			t.Errorf("%s: counted %v, want %v", source, got, n)
		}
		if left := testutil.ToFloat64(m.leftOut.WithLabelValues(source)); left != n-sampleLines-1 {
			t.Errorf("%s: %v lines left out of %v", source, left, n)
		}
	}
}

// heap is what is in use after a collection.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkVerify is what a signature of 4 KiB costs, good and bad.
func BenchmarkVerify(b *testing.B) {
	body := strings.Repeat("a note. ", 512)
	rotation := hmacSpec(HMACSpec{Secrets: canaries()})
	v1a := hrSpec()
	public, _ := ed25519Key(1)
	v1a.Verify.StandardWebhooks.PublicKeys = []string{hex.EncodeToString(public)}
	for _, c := range []struct {
		name string
		spec SourceSpec
		bad  string // the header to spoil, and with what
		with string
	}{
		{"standard_webhooks", hrSpec(), "webhook-signature", "v1,AAAA"},
		{"v1a", v1a, "webhook-signature", "v1a," + strings.Repeat("A", 85) + "A=="},
		{"hmac", siemSpec(), "X-Signature", "sha256=00"},
		{"hmac with two secrets", rotation, "X-Signature", "00"},
		{"header_token", tokenSource(tokenSpecs()["bearer"]), "Authorization", "Bearer x"},
		{"basic", tokenSource(tokenSpecs()["basic"]), "Authorization", "Basic eDp5"},
		{"all_of", tokenSource(VerifySpec{AllOf: []VerifySpec{tokenSpecs()["bearer"], siemSpec().Verify}}), "X-Signature", "sha256=00"},
	} {
		v, d := verifier(b, c.spec), attempt(b, c.spec, body, noon)
		b.Run(c.name+"/good", func(b *testing.B) { verifyLoop(b, v, d, true) })
		d.Header = d.Header.Clone()
		d.Header.Set(c.bad, c.with)
		b.Run(c.name+"/bad", func(b *testing.B) { verifyLoop(b, v, d, false) })
	}
	set, bearer := setSpec(b), setSpec(b)
	bearer.Verify = VerifySpec{OIDCBearer: &config.OIDCBearer{Issuer: sampleIssuer, Audience: []string{sampleAudience}, JWKS: set.Verify.SetJWS.JWKS, Algs: []string{"ES256"}}}
	for _, alg := range []string{"RS256", "ES256", "EdDSA"} {
		good := token(b, alg, alg, "secevent+jwt", signers()[signerOf()[alg]], setClaims(nil))
		b.Run("set_jws "+alg+"/good", func(b *testing.B) { verifyLoop(b, verifier(b, set), setDelivery(good), true) })
		b.Run("set_jws "+alg+"/bad", func(b *testing.B) { verifyLoop(b, verifier(b, set), setDelivery(good[:len(good)-8]+"AAAAAAAA"), false) })
	}
}

func verifyLoop(b *testing.B, v Verifier, d Delivery, good bool) {
	b.ReportAllocs()
	b.SetBytes(int64(len(d.Body)))
	for b.Loop() {
		if _, err := v.Verify(d); (err == nil) != good {
			b.Fatal(err)
		}
	}
}

// BenchmarkForged is what a forged delivery of 4 KiB costs over real handlers but without a network: the difference
// between the two is what verifying and answering costs above reading the body.
func BenchmarkForged(b *testing.B) {
	s, err := NewSource(siemSpec())
	if err != nil {
		b.Fatal(err)
	}
	h, err := NewHandler(Options{Sources: []*Source{s}, Publisher: discard{}, Log: slog.New(slog.NewJSONHandler(io.Discard, nil)), Metrics: prometheus.NewRegistry()})
	if err != nil {
		b.Fatal(err)
	}
	body := strings.Repeat("a note. ", 512)
	sample := httptest.NewRequest(http.MethodPost, "/hooks/siem", nil)
	sample.Header.Set("X-Signature", "sha256="+strings.Repeat("0", 64))
	sample.Header.Set("X-Timestamp", "1795176000")
	reading := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, done, err := h.bodies.read(w, r, MaxBody)
		done()
		if err != nil {
			b.Error(err)
		}
		w.WriteHeader(http.StatusUnauthorized)
	})
	for name, handler := range map[string]http.Handler{"reading": reading, "forged": h} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				req := sample.Clone(context.Background())
				req.Body = io.NopCloser(strings.NewReader(body))
				w := httptest.NewRecorder()
				handler.ServeHTTP(w, req)
				if w.Code != http.StatusUnauthorized {
					b.Fatal(w.Code)
				}
			}
		})
	}
}
