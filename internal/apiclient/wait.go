package apiclient

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxRetryAfter bounds what a Retry-After may ask for: a wrong date must not park a connection for years.
const maxRetryAfter = time.Hour

// Date reads the server's own clock from the reply. Every wait is measured against it: the local clock may be wrong,
// and then a limit would be met by its error, over and over.
func Date(h http.Header) (time.Time, bool) {
	t, err := http.ParseTime(h.Get("Date"))
	return t, err == nil
}

// Count reads a header that holds a number of calls; -1 when it is not there or is none. Of several lines the
// smallest counts: it is the one that will be hit.
func Count(h http.Header, name string) int {
	n, ok := smallest(h, name)
	if !ok || n < 0 || n > math.MaxInt32 {
		return -1
	}
	return int(n)
}

// Until reads a header that holds a Unix time in seconds, and gives how far it lies ahead of the server's clock,
// negative when the reply was under way too long, an hour at most either way. It is false when either is missing.
func Until(h http.Header, name string) (time.Duration, bool) {
	at, ok := smallest(h, name)
	if !ok || at <= 0 {
		return 0, false
	}
	date, ok := Date(h)
	if !ok {
		return 0, false
	}
	return time.Duration(min(max(at-date.Unix(), -3600), 3600)) * time.Second, true
}

// RetryAfter reads Retry-After in both of its forms, seconds and date (RFC 9110 section 10.2.3), clamped to
// 1 s..1 h. 0 = the reply does not say, or gives a date without saying what time it is.
func RetryAfter(h http.Header) time.Duration {
	v := strings.TrimSpace(h.Get("Retry-After"))
	if v == "" {
		return 0
	}
	if s, err := strconv.ParseInt(v, 10, 64); err == nil {
		if s < 0 {
			return 0
		}
		return Clamp(time.Duration(min(s, 3600))*time.Second, time.Second, maxRetryAfter)
	}
	at, err := http.ParseTime(v)
	date, ok := Date(h)
	if err != nil || !ok {
		return 0
	}
	return Clamp(at.Sub(date), time.Second, maxRetryAfter)
}

// Unsaid is how long to wait on a refusal for too many calls that does not say: 5 to 10 s, as the client of ASA's vendor
// does. At no wait at all the refused call would go again at once, and so would every one behind it.
func Unsaid(rand func() float64) time.Duration {
	return 5*time.Second + time.Duration(rand()*float64(5*time.Second))
}

// Clamp bounds d.
func Clamp(d, low, high time.Duration) time.Duration { return min(max(d, low), high) }

// smallest reads all lines of a header, also those that a proxy joined with commas.
func smallest(h http.Header, name string) (n int64, ok bool) {
	for _, line := range h.Values(name) {
		for _, v := range strings.Split(line, ",") {
			i, err := strconv.ParseInt(strings.TrimSpace(v), 10, 64)
			if err != nil {
				return 0, false
			}
			if !ok || i < n {
				n, ok = i, true
			}
		}
	}
	return n, ok
}
