package apiclient

import (
	"net/http"
	"slices"
)

// Route puts calls into a rate bucket that the provider's client does not know of: an org may have others than those
// that its vendor publishes.
type Route struct {
	Method string   // empty = any
	Path   []string // elements of the path as the vendor writes it; "*" stands for any one, "**" at the end for all further ones
	Bucket string   // what the Gate is asked for
}

// Routes are tried in turn, and the first that fits a call counts.
type Routes []Route

// Or gives the Client.Bucket of a provider: the bucket of the first route that fits, or else what the client knows. base
// is what stands before the paths of its requests.
func (r Routes) Or(known func(Request) string, base ...string) func(Request) string {
	if len(r) == 0 {
		return known
	}
	return func(q Request) string {
		method, path := q.Method, slices.Concat(base, q.Path)
		if method == "" {
			method = http.MethodGet
		}
		for _, route := range r {
			if route.fits(method, path) {
				return route.Bucket
			}
		}
		return known(q)
	}
}

func (r Route) fits(method string, path []string) bool {
	if r.Method != "" && r.Method != method {
		return false
	}
	for i, element := range r.Path {
		switch {
		case element == "**":
			return true
		case i >= len(path), element != "*" && element != path[i]:
			return false
		}
	}
	return len(path) == len(r.Path)
}
