package config

import (
	"net"
	"net/url"
	"strings"
)

// url reads an address of a provider, without a slash at its end.
func (d *document) url(at path, s string) string {
	if !d.has(at) {
		return ""
	}
	if wrong := checkURL(s); wrong != "" {
		d.fault(at, "%s", wrong)
	}
	return strings.TrimRight(s, "/")
}

// checkURL says what is wrong with an address to which a credential is going to be sent. Plain http is for this
// machine alone.
func checkURL(s string) string {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "":
		return "is no address: write it as https://host/path"
	case u.User != nil:
		return "holds a user or a password: remove that, credentials belong under auth"
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return "has a query or a fragment: remove it"
	case u.Scheme == "https", u.Scheme == "http" && loopback(u.Hostname()):
		return ""
	case u.Scheme == "http":
		return "is plain http to another machine, which would show the credential on the wire: use https"
	}
	return "has a scheme that is not https: use https"
}

// loopback is true for addresses that never leave the machine.
func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
