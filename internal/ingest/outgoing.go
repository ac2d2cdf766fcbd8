package ingest

import (
	"crypto/tls"
	"net/http"
	"time"
)

// outgoing makes a client for an address of the configuration. It follows no redirect: where else the address leads was
// not configured. It keeps no connection: there is one request now and then.
func outgoing(timeout time.Duration) *http.Client {
	return &http.Client{
		Timeout: timeout,
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12},
			DisableKeepAlives: true, ResponseHeaderTimeout: timeout, MaxResponseHeaderBytes: maxHeaderBytes,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
