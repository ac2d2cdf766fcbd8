package apiclient_test

import (
	"net/http"
	"testing"
	"time"

	"keyturn/internal/apiclient"
)

const date = "Fri, 21 Nov 2025 10:00:00 GMT" // 1763719200

func header(kv ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(kv); i += 2 {
		h.Add(kv[i], kv[i+1])
	}
	return h
}

func TestRetryAfter(t *testing.T) {
	tests := []struct {
		h    http.Header
		want time.Duration
	}{
		{header(), 0},
		{header("Retry-After", "7"), 7 * time.Second},
		{header("Retry-After", " 7 "), 7 * time.Second},
		{header("Retry-After", "0"), time.Second},
		{header("Retry-After", "-5"), 0},
		{header("Retry-After", "99999999999"), time.Hour},
		{header("Retry-After", "soon"), 0},
		{header("Retry-After", "Fri, 21 Nov 2025 10:00:30 GMT", "Date", date), 30 * time.Second},
		{header("Retry-After", "Fri, 21 Nov 2025 09:00:30 GMT", "Date", date), time.Second},
		{header("Retry-After", "Fri, 21 Nov 2098 10:00:30 GMT", "Date", date), time.Hour},
		{header("Retry-After", "Fri, 21 Nov 2025 10:00:30 GMT"), 0}, // no clock but ours
		{header("Retry-After", "Fri, 21 Nov 2025 10:00:30 GMT", "Date", "now"), 0},
	}
	for _, tt := range tests {
		if got := apiclient.RetryAfter(tt.h); got != tt.want {
			t.Errorf("RetryAfter(%v) = %v, want %v", tt.h, got, tt.want)
		}
	}
}

func TestUntil(t *testing.T) {
	tests := []struct {
		h    http.Header
		want time.Duration
		ok   bool
	}{
		{header("X-R", "1763719248", "Date", date), 48 * time.Second, true},
		{header("X-R", "1763719190", "Date", date), -10 * time.Second, true},
		{header("X-R", "9223372036854775807", "Date", date), time.Hour, true},
		{header("X-R", "1763719260", "X-R", "1763719208", "Date", date), 8 * time.Second, true},
		{header("X-R", "1763719260, 1763719208", "Date", date), 8 * time.Second, true},
		{header("X-R", "1763719248"), 0, false},
		{header("Date", date), 0, false},
		{header("X-R", "0", "Date", date), 0, false},
		{header("X-R", "x", "Date", date), 0, false},
	}
	for _, tt := range tests {
		if got, ok := apiclient.Until(tt.h, "X-R"); got != tt.want || ok != tt.ok {
			t.Errorf("Until(%v) = %v, %v, want %v", tt.h, got, ok, tt.want)
		}
	}
}

func TestCount(t *testing.T) {
	for v, want := range map[string]int{"": -1, "0": 0, "600": 600, "-1": -1, "x": -1, "99999999999": -1, "600, 50": 50} {
		h := http.Header{}
		if v != "" {
			h.Set("X-N", v)
		}
		if got := apiclient.Count(h, "X-N"); got != want {
			t.Errorf("Count(%q) = %d, want %d", v, got, want)
		}
	}
}

func FuzzWaits(f *testing.F) {
	f.Add("1763719248", date, "30")
	f.Add("-9223372036854775808", "Fri, 21 Nov 0001 10:00:00 GMT", "Fri, 21 Nov 9999 10:00:00 GMT")
	f.Fuzz(func(t *testing.T, reset, date, after string) {
		h := http.Header{"X-R": {reset}, "Date": {date}, "Retry-After": {after}}
		if d := apiclient.RetryAfter(h); d != 0 && (d < time.Second || d > time.Hour) {
			t.Errorf("RetryAfter = %v", d)
		}
		if d, ok := apiclient.Until(h, "X-R"); d < -time.Hour || d > time.Hour || !ok && d != 0 {
			t.Errorf("Until = %v", d)
		}
		if n := apiclient.Count(h, "X-R"); n < -1 {
			t.Errorf("Count = %d", n)
		}
	})
}
