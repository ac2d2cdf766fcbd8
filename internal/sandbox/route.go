package sandbox

import (
	"net/http"
	"net/url"
	"strings"
)

// route is one operation of a vendor.
type route struct {
	vendor  *vendor
	method  string
	pattern string // full path with {names}, as the journal and the faults show it
	bucket  string
	needs   string // Okta scope without its org prefix; empty where no scope is asked for
	open    bool   // takes no credential (token endpoints)
	handle  func(c *call) reply

	segments []string
}

// vendor is what differs from provider to provider outside the operations.
type vendor struct {
	name   string
	prefix string
	// authenticate sets who calls, or returns the refusal.
	authenticate func(c *call) *reply
	// permit returns the refusal of a caller that is known but may not.
	permit func(c *call) *reply
	// rate writes the rate-limit headers in the vendor's spelling.
	rate func(h http.Header, w window, throttled bool)
	// failure is the vendor's own answer for a status.
	failure func(c *call, status int) reply
}

// router finds the route of a request. It never cleans a path or redirects: an
// empty segment, as an unresolved id leaves it, must be a 404 and not another
// operation.
type router struct {
	routes map[int][]*route // by number of segments
}

func newRouter(routes []*route) *router {
	rt := &router{routes: map[int][]*route{}}
	for _, r := range routes {
		r.segments = strings.Split(r.pattern, "/")
		rt.routes[len(r.segments)] = append(rt.routes[len(r.segments)], r)
	}
	return rt
}

// find returns the route and the values of its {names} in order. Without a
// route, known says whether another method has this path.
func (rt *router) find(method, escapedPath string) (found *route, params []string, known bool) {
	parts := strings.Split(escapedPath, "/")
	for _, r := range rt.routes[len(parts)] {
		values, ok := r.match(parts)
		if !ok {
			continue
		}
		known = true
		if r.method == method {
			return r, values, true
		}
	}
	return nil, nil, known
}

// match compares a split path with the route and returns the unescaped values
// of its {names}. No name takes an empty segment.
func (r *route) match(parts []string) ([]string, bool) {
	var values []string
	for i, seg := range r.segments {
		if !strings.HasPrefix(seg, "{") {
			if seg != parts[i] {
				return nil, false
			}
			continue
		}
		v, err := url.PathUnescape(parts[i])
		if err != nil || v == "" {
			return nil, false
		}
		values = append(values, v)
	}
	return values, true
}
