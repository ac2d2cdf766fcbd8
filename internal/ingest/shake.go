package ingest

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"unicode"

	"keyturn/internal/config"
	"keyturn/internal/mapping"
)

// Bounds of a handshake by somebody who has proven nothing.
const (
	maxShake = 2 << 10 // bytes of a body
	maxEcho  = 1 << 10 // bytes that are given back
)

// handshakes are what a sender asks before it sends, or between its deliveries. None of them makes an event, and none
// of them makes a later delivery more credible.
type handshakes struct {
	headers  []config.HeaderEcho
	queries  []string // parameters that are given back
	origins  []string // nil = no CloudEvents web hook
	ssf      bool
	ssfState string               // that a verification event must bring, if it brings one; empty = any
	pings    []*mapping.Condition // of verified deliveries
	strays   []*mapping.Condition // of deliveries that prove nothing
	captures []capture
}

type capture struct {
	when  *mapping.Condition
	token *mapping.Condition
}

// newHandshakes compiles what a sender may ask; secret is what of a request carries a secret, as mapping.Coverage has it.
func newHandshakes(list []config.Handshake, secret []string) (handshakes, config.Faults) {
	var h handshakes
	var faults config.Faults
	condition := func(x config.Expr) *mapping.Condition {
		c, found := mapping.NewCondition(x, secret)
		faults = append(faults, found...)
		return c
	}
	for _, one := range list {
		switch {
		case one.HeaderEcho != nil:
			h.headers = append(h.headers, *one.HeaderEcho)
		case one.QueryEcho != "":
			h.queries = append(h.queries, one.QueryEcho)
		case len(one.Origins) > 0:
			h.origins = append(h.origins, one.Origins...)
		case one.SSFVerification:
			h.ssf, h.ssfState = true, one.SSFState
		case one.Ping != nil && one.Ping.Unverified != "":
			h.strays = append(h.strays, condition(one.Ping.When))
		case one.Ping != nil:
			h.pings = append(h.pings, condition(one.Ping.When))
		case one.Capture != nil:
			h.captures = append(h.captures, capture{when: condition(one.Capture.When), token: condition(one.Capture.Token)})
		}
	}
	return h, faults
}

// echo answers what only asks whether somebody is there. ok is false when it is no such request.
func (h handshakes) echo(r *http.Request) (a answer, ok bool) {
	switch r.Method {
	case http.MethodOptions:
		return h.grant(r)
	case http.MethodGet:
		for _, e := range h.headers {
			if value, one := single(r.Header, e.Header); one && echoable(value) {
				return answer{status: http.StatusOK, body: map[string]string{e.Key: value}}, true
			}
		}
	case http.MethodPost:
	default:
		return answer{}, false
	}
	for _, name := range h.queries {
		if list := r.URL.Query()[name]; len(list) == 1 && list[0] != "" && echoable(list[0]) {
			return answer{status: http.StatusOK, body: plainText{list[0], "text/plain; charset=utf-8"}}, true
		}
	}
	return answer{}, false
}

// echoable bounds what is given back to a stranger.
func echoable(s string) bool {
	return len(s) <= maxEcho && !strings.ContainsFunc(s, unicode.IsControl)
}

// grant answers the OPTIONS request of a CloudEvents web hook (HTTP 1.1 Web Hooks for Event Delivery 1.0.2, section 4).
// It is the absence of the headers that refuses. A callback URL is never called: it would be a stranger who chooses
// where this side sends requests to.
func (h handshakes) grant(r *http.Request) (answer, bool) {
	if h.origins == nil {
		return answer{}, false
	}
	a := answer{status: http.StatusOK, body: nothing{}}.with("Allow", http.MethodPost)
	origin, one := single(r.Header, "WebHook-Request-Origin")
	if !one || !slices.Contains(h.origins, origin) {
		return a, true
	}
	a = a.with("WebHook-Allowed-Origin", origin)
	if r.Header.Get("WebHook-Request-Rate") != "" {
		a = a.with("WebHook-Allowed-Rate", "*")
	}
	return a, true
}

// foreign reports a delivery of an origin that was not granted.
func (h handshakes) foreign(r *http.Request) bool {
	origins := r.Header.Values("WebHook-Request-Origin")
	return h.origins != nil && slices.ContainsFunc(origins, func(o string) bool { return !slices.Contains(h.origins, o) })
}

// errForeign refuses an origin.
var errForeign = errors.New("origin is not configured")

// conditions are all that are evaluated.
func (h handshakes) conditions() []*mapping.Condition {
	list := append(slices.Clone(h.pings), h.strays...)
	for _, c := range h.captures {
		list = append(list, c.when, c.token)
	}
	return list
}

// mayShake reports whether a request without a proof may be a handshake. Its body is bounded, also where its length is
// not announced (a chunked one, HTTP/2): whoever sends it is a stranger. A token is looked for only while somebody waits
// for one.
func (h *Handler) mayShake(s *Source, r *http.Request) bool {
	awaited := len(s.shakes.strays) > 0 || len(s.shakes.captures) > 0 && h.captures.waiting(s.name)
	return s.mapping != nil && awaited && r.ContentLength != 0 && r.ContentLength <= maxShake
}

// stray takes what is known to come without a proof. What fails to be looked at is none of it.
func (h *Handler) stray(s *Source, d Delivery) bool {
	if s.mapping == nil || len(s.shakes.strays)+len(s.shakes.captures) == 0 || len(d.Body) > maxShake {
		return false
	}
	in, err := s.input(d, Verified{})
	if err != nil {
		return false
	}
	for _, c := range s.shakes.strays {
		if ok, err := c.Holds(in); ok && err == nil {
			return true
		}
	}
	_, kept := h.handed(s, in)
	return kept
}

// errUnawaited refuses a token that nobody waits for.
var errUnawaited = errors.New("hands over a token that nobody waits for")

// handed looks for a token that is handed over: is tells that there is one, kept that the operator who waits for it gets
// it. It is nowhere else, whether the delivery that brings it is signed or not. What fails to be looked at is none.
func (h *Handler) handed(s *Source, in mapping.Input) (is, kept bool) {
	for _, c := range s.shakes.captures {
		if ok, err := c.when.Holds(in); !ok || err != nil {
			continue
		}
		is = true
		if token, err := c.token.Text(in); err == nil && h.captures.put(s.name, token) {
			return true, true
		}
	}
	return is, false
}

// hands reports whether a delivery hands over a token.
func (s *Source) hands(in mapping.Input) bool {
	return slices.ContainsFunc(s.shakes.captures, func(c capture) bool {
		ok, err := c.when.Holds(in)
		return ok && err == nil
	})
}

// errState refuses a verification event that answers another request than the operator's (SSF 1.0, section 8.1.4.2).
var errState = errors.New("the state of the verification event is not the one that was asked for")

// settled reports whether a verified delivery only tries the connection.
func (s *Source) settled(in mapping.Input, v Verified) (bool, error) {
	if s.shakes.ssf && v.Body != nil {
		if state, ok := ssfVerification(v.Body); ok {
			if s.shakes.ssfState != "" && state != "" && state != s.shakes.ssfState {
				return false, errState
			}
			return true, nil
		}
	}
	for _, c := range s.shakes.pings {
		if ok, err := c.Holds(in); ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}
