package ingest

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Delivery is one HTTP request of a source, its body read whole.
type Delivery struct {
	Received time.Time
	Method   string
	URL      *url.URL
	Header   http.Header
	Body     []byte // as received: what a signature covers
}

// Verifier proves that a delivery is its sender's.
type Verifier interface {
	// Verify checks the raw bytes. Its error says in a word why not, for the log; the sender is told nothing.
	Verify(d Delivery) (Verified, error)
	// Glance refuses by the headers alone what Verify would refuse for a missing signature, so that no body is read
	// of a stranger who does not even claim to be the sender.
	Glance(h http.Header) error
}

// Verified is what a good signature proves.
type Verified struct {
	Key     int      // index of the secret that signed: tells when a rotation is over
	Headers []string // lower-case names of the headers that the signature covers
}

// covers reports whether the signature covers a header; name is lower-case.
func (v Verified) covers(name string) bool {
	for _, h := range v.Headers {
		if h == name {
			return true
		}
	}
	return false
}

// Why a delivery was not believed. The words stand in logs.
var (
	errNoSignature  = errors.New("signature header missing or given twice")
	errNoTimestamp  = errors.New("timestamp header missing, given twice or malformed")
	errNoID         = errors.New("id header missing, given twice or malformed")
	errNoPart       = errors.New("signed header missing or given twice")
	errStale        = errors.New("timestamp outside the tolerance")
	errBadSignature = errors.New("signature does not match")
)

// single gives the value of a header that must be there exactly once. Of two, this side and a proxy could each believe
// another one.
func single(h http.Header, name string) (string, bool) {
	v := h.Values(name)
	if len(v) != 1 || v[0] == "" {
		return "", false
	}
	return v[0], true
}

// seconds reads Unix seconds: 1 to 12 digits and nothing else, so that there is one spelling of a time.
func seconds(s string) (time.Time, bool) {
	if s == "" || len(s) > 12 || strings.Trim(s, "0123456789") != "" {
		return time.Time{}, false
	}
	var n int64
	for _, c := range s {
		n = n*10 + int64(c-'0')
	}
	return time.Unix(n, 0), true
}

// within reports whether t is at most tolerance away from now, either way.
func within(now, t time.Time, tolerance time.Duration) bool {
	return now.Sub(t).Abs() <= tolerance
}
