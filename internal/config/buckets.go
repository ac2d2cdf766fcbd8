package config

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Bucket is one of the provider's rate limits, and which calls it counts.
type Bucket struct {
	Name   string
	Calls  []Call        // that count here and nowhere else; none = those that the client of the provider knows
	Limit  int           // calls a window, beside what replies tell; 0 = what replies tell
	Window time.Duration // how long that window is; 0 without Limit
}

// Call is a pattern of calls, as "GET /api/v1/users/*/clients": the path as docs/PROVIDERS.md lists it, in which * stands
// for one element and ** at the end for all further ones.
type Call struct {
	Method string // empty = any
	Path   []string
}

// Windows that can be counted: shorter than a second and a bit two of them cannot be told apart, longer than an hour
// nothing waits for one.
const (
	windowLeast = 2 * time.Second
	windowMost  = time.Hour
)

// bucketNames are labels of metrics and words of `keyturn lanes`.
var bucketNames = regexp.MustCompile(`^[A-Za-z0-9/{}._-]{1,64}$`)

// readBuckets reads the buckets of a connection, and reports what would have no effect.
func readBuckets(d *document, at path, provider string) []Bucket {
	var list []Bucket
	var earlier []Call
	for _, name := range d.keys(at...) {
		here := at.to(name)
		var raw struct {
			Calls  []string `json:"calls"`
			Limit  int      `json:"limit"`
			Window string   `json:"window"`
		}
		d.decode(here, &raw)
		if !bucketNames.MatchString(name) { // not in the schema, whose validator mistakes the place of a deep name
			d.faultKey(here, "the name does not fit: use 1 to 64 letters, digits and / { } . _ -, as the provider calls it: /api/v1/users")
		}
		b := Bucket{Name: name, Limit: raw.Limit, Window: d.duration(here.to("window"), raw.Window, 0)}
		for i, text := range raw.Calls {
			there := here.to("calls", strconv.Itoa(i))
			if d.bad[d.spell(there)] {
				continue
			}
			call := parseCall(text)
			checkCall(d, there, provider, call, earlier)
			earlier, b.Calls = append(earlier, call), append(b.Calls, call)
		}
		checkBucket(d, here, provider, b)
		list = append(list, b)
	}
	return list
}

// checkBucket reports a bucket that is half said, or says nothing.
func checkBucket(d *document, at path, provider string, b Bucket) {
	limited, windowed := d.has(at.to("limit")), d.has(at.to("window"))
	known := bucketsOf(provider)
	switch {
	case limited && !windowed:
		d.fault(at.to("limit"), "is a number of calls in no time: give window beside it, such as 1m")
	case windowed && !limited:
		d.fault(at.to("window"), "has no effect without limit: give how many calls a window holds")
	case windowed && b.Window > 0 && (b.Window < windowLeast || b.Window > windowMost):
		d.fault(at.to("window"), "is no window that can be kept: give 2s to 1h")
	}
	switch {
	case d.has(at.to("calls")) || known == nil:
	case !slices.Contains(known, b.Name):
		d.faultKey(at, "is no bucket that provider %s is known to have, %s: list under calls what it counts", provider, alternatives(known))
	case !limited && !windowed:
		d.faultKey(at, "has no effect: give limit and window, or calls")
	}
}

// checkCall reports a pattern that no call comes to.
func checkCall(d *document, at path, provider string, c Call, earlier []Call) {
	operations := operationsOf(provider)
	if operations == nil {
		return // the schema has said so
	}
	fits := slices.DeleteFunc(slices.Clone(operations), func(o Call) bool { return !c.meets(o) })
	taken := func(o Call) bool {
		return slices.ContainsFunc(earlier, func(e Call) bool { return e.covers(o) || e.covers(c) })
	}
	switch {
	case len(fits) == 0:
		d.fault(at, "is no call that Keyturn makes at provider %s: docs/PROVIDERS.md lists them", provider)
	case !slices.ContainsFunc(fits, func(o Call) bool { return !taken(o) }):
		d.fault(at, "counts nothing: all its calls are counted above already")
	}
}

// parseCall reads the notation of a Call, which the schema has checked.
func parseCall(text string) Call {
	method, rest, ok := strings.Cut(text, " ")
	if !ok {
		method, rest = "", text
	}
	return Call{Method: method, Path: strings.Split(strings.TrimPrefix(rest, "/"), "/")}
}

// meets reports whether a call of o, in which * stands for what varies, can be one of c.
func (c Call) meets(o Call) bool {
	return c.fits(o, func(mine, its string) bool { return mine == "*" || its == "*" || mine == its })
}

// covers reports whether every call of o is one of c.
func (c Call) covers(o Call) bool {
	return c.fits(o, func(mine, its string) bool { return mine == "*" && its != "**" || mine == its })
}

func (c Call) fits(o Call, element func(mine, its string) bool) bool {
	if c.Method != "" && c.Method != o.Method {
		return false
	}
	for i, mine := range c.Path {
		switch {
		case mine == "**":
			return true
		case i >= len(o.Path), !element(mine, o.Path[i]):
			return false
		}
	}
	return len(c.Path) == len(o.Path)
}

// bucketsOf are the buckets that a provider's client knows of; nil for no provider.
func bucketsOf(provider string) []string {
	switch provider {
	case ProviderOkta:
		return []string{"/api/v1", "/api/v1/users", "/api/v1/users/{id}"}
	case ProviderASA:
		return []string{"/v1"}
	case ProviderTransmit:
		return []string{"/v1/clients"}
	}
	return nil
}

// operationsOf are the calls that count in buckets: those of docs/PROVIDERS.md but for the ones that get tokens, with *
// for what varies. nil for no provider.
func operationsOf(provider string) []Call {
	var list []Call
	for _, text := range callsOf(provider) {
		method, rest, _ := strings.Cut(text, " ")
		for _, m := range strings.Split(method, ",") {
			list = append(list, parseCall(m+" "+rest))
		}
	}
	return list
}

func callsOf(provider string) []string {
	const servers = "/api/v1/authorizationServers"
	switch provider {
	case ProviderOkta:
		return []string{
			"GET " + servers, "GET " + servers + "/*/clients", "GET,DELETE " + servers + "/*/clients/*/tokens",
			"GET,DELETE " + servers + "/*/clients/*/tokens/*",
			"GET /api/v1/users", "GET /api/v1/users/*", "DELETE /api/v1/users/*/sessions",
			"GET /api/v1/users/*/clients", "GET,DELETE /api/v1/users/*/clients/*/tokens",
			"GET,DELETE /api/v1/users/*/clients/*/tokens/*", "GET,DELETE /api/v1/users/*/clients/*/grants",
			"GET,DELETE /api/v1/users/*/grants", "GET /api/v1/users/*/roles", "GET /api/v1/iam/assignees/users",
			"POST /api/v1/users/*/lifecycle/suspend",
			"POST /api/v1/users/*/lifecycle/unsuspend", "POST /api/v1/users/*/lifecycle/deactivate",
		}
	case ProviderASA:
		return []string{
			"GET /v1/teams/*/clients", "GET,PUT,DELETE /v1/teams/*/clients/*", "GET /v1/teams/*/users", "GET /v1/teams/*/users/*",
		}
	case ProviderTransmit:
		return []string{"GET,POST,DELETE /v1/clients", "GET,PUT,DELETE /v1/clients/*", "PUT /v1/clients/*/resources"}
	}
	return nil
}
