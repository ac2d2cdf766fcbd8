package apiclient

import (
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// Wiring is what the client of every provider is handed in the same form. The zero Wiring is right for production,
// but for Gate and Version.
type Wiring struct {
	Transport http.RoundTripper // nil = NewTransport()
	Gate      Gate              // nil = never held back
	Routes    Routes            // buckets that the client does not know of
	Version   string            // of Keyturn, for User-Agent; empty = "dev"
	Now       func() time.Time  // nil = time.Now
	Rand      func() float64    // for jitter, in [0, 1); nil = math/rand/v2
}

// Filled gives a copy in which nothing is nil but perhaps the Gate.
func (w Wiring) Filled() Wiring {
	if w.Transport == nil {
		w.Transport = NewTransport()
	}
	if w.Version == "" {
		w.Version = "dev"
	}
	if w.Now == nil {
		w.Now = time.Now
	}
	if w.Rand == nil {
		w.Rand = rand.Float64
	}
	return w
}

// UserAgent is what the clients call themselves. Okta wants one of its callers' own (vendor page core-okta-api).
func (w Wiring) UserAgent() string { return "keyturn/" + w.Version }

// NewTransport makes the transport of one connection: TLS 1.2 or better, HTTP/2 with pings (without them a dead
// connection can stall all calls for a quarter of an hour), and as many idle connections as a lane has calls in
// flight, where the default is two.
func NewTransport() *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
		TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:   5 * time.Second,
		ResponseHeaderTimeout: DefaultTimeout,
		ExpectContinueTimeout: time.Second,
		IdleConnTimeout:       90 * time.Second,
		MaxIdleConnsPerHost:   64,
		ForceAttemptHTTP2:     true,
		HTTP2:                 &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 5 * time.Second},
	}
}

// BaseURL reads the base of a connection: an absolute URL without user, query or fragment, and https, unless it is on
// this machine or an own transport carries it (a sandbox in the same process).
func BaseURL(s string, own bool) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil {
		return nil, errors.New("base URL does not read as a URL")
	}
	switch {
	case u.Host == "" || u.Opaque != "":
		return nil, fmt.Errorf("base URL %q is not absolute", s)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("base URL has a user, a query or a fragment")
	case u.Scheme == "https", u.Scheme == "http" && (own || loopback(u.Hostname())):
	default:
		return nil, fmt.Errorf("base URL %q is not https", s)
	}
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), strings.TrimRight(u.RawPath, "/")
	return u, nil
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}
