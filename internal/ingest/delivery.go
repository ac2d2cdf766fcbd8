package ingest

import (
	"crypto/tls"
	"encoding/json"
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
	Body     []byte               // as received: what a signature covers
	Remote   string               // who connected, as net/http says it: host:port
	TLS      *tls.ConnectionState // nil without TLS

	trace *trace // nil unless somebody wants to be told
}

// Verifier proves that a delivery is its sender's.
type Verifier interface {
	// Verify checks the raw bytes. Its error says in a word why not, for the log; the sender is told nothing.
	Verify(d Delivery) (Verified, error)
	// Glance refuses by all but the body what Verify would refuse for a missing signature, so that no body is read
	// of a stranger who does not even claim to be the sender.
	// The delivery's body is still empty.
	Glance(d Delivery) error
}

// Verified is what a good proof says.
type Verified struct {
	Key     int             // index of the secret that signed: tells when a rotation is over
	Headers []string        // lower-case names of the headers that the signature covers
	Whole   bool            // nothing is signed, but whoever sent this knows a secret: headers are worth as much as the body
	Issuer  string          // who signed the token; empty when there was none
	Claims  json.RawMessage // of the token
	Body    []byte          // what is mapped in place of the delivery's body: the claims of a security event token
	Pending *Pending        // what is still to be proven by the items of the body
}

// Settled reports whether nothing is left to be proven. Whoever maps a delivery must not go on before it is.
func (v Verified) Settled() bool { return v.Pending == nil || v.Pending.met }

// covers reports whether a header is proven to be the sender's; name is lower-case.
func (v Verified) covers(name string) bool {
	if v.Whole {
		return true
	}
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
	errNoToken      = errors.New("token missing or given twice")
	errBadToken     = errors.New("token does not match")
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
	n, ok := digits(s, 12)
	return time.Unix(n, 0), ok
}

// digits reads a number of at most n digits.
func digits(s string, n int) (int64, bool) {
	if s == "" || len(s) > n || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	var v int64
	for _, c := range s {
		v = v*10 + int64(c-'0')
	}
	return v, true
}

// within reports whether t is at most tolerance away from now, either way.
func within(now, t time.Time, tolerance time.Duration) bool {
	return now.Sub(t).Abs() <= tolerance
}
