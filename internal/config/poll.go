package config

import (
	"time"

	"keyturn/internal/secret"
)

// Poll says where a source's security event tokens can be fetched (RFC 8936), beside or in place of their being pushed.
type Poll struct {
	URL      string
	Token    secret.Value  // sent as a bearer token (RFC 6750)
	Interval time.Duration // how long nothing is asked after an answer without tokens, counted from the request
	Wait     time.Duration // how long the transmitter may hold a request until there is a token; 0 = it answers at once
}

// How an issuer is asked, unless the source says otherwise: what is fetched is often urgent. A request is held for less
// than the 30 s after which many proxies give up.
const (
	defaultPoll = 10 * time.Second
	minPoll     = time.Second
	defaultHeld = 25 * time.Second
	maxHeld     = 5 * time.Minute
	notHeld     = "none" // of wait: answers at once
)

// pollDoc is a Poll as the file spells it.
type pollDoc struct {
	URL      string `json:"url"`
	Token    string `json:"token"`
	Interval string `json:"interval"`
	Wait     string `json:"wait"`
}

func readPoll(d *document, at path, raw *pollDoc, v Verify) *Poll {
	if raw == nil {
		return nil
	}
	p := &Poll{URL: raw.URL, Token: d.secret(at.to("token"), raw.Token), Interval: d.duration(at.to("interval"), raw.Interval, defaultPoll)}
	if raw.Wait != notHeld {
		p.Wait = d.duration(at.to("wait"), raw.Wait, defaultHeld)
	}
	if raw.URL != "" && !fetchable(raw.URL) {
		d.fault(at.to("url"), "is no address that can be trusted: give one that begins with https://, without a user or a fragment")
	}
	if p.Interval < minPoll {
		d.fault(at.to("interval"), "is shorter than a second: give a span such as 10s, which is the default")
	}
	if raw.Wait != notHeld && (p.Wait < minPoll || p.Wait > maxHeld) {
		d.fault(at.to("wait"), "is not between 1s and 5m: give a span such as 25s, which is the default, or none for answers at once")
	}
	if v.Kind() != "" && !v.Uses("set_jws") {
		d.faultKey(at, "fetches security event tokens, which this source cannot verify: verify by set_jws, or remove it")
	}
	return p
}
