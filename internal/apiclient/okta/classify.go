package okta

import (
	"cmp"
	"errors"
	"net/http"
	"strings"
	"time"

	"keyturn/internal/apiclient"
)

// ErrNoAuthServers lies beneath the error of a read below /authorizationServers in an org without API Access
// Management (401 E0000015): it has no custom authorization servers, and so nothing on them. It is no fault of the
// credential, and no reason to fetch another token.
var ErrNoAuthServers = errors.New("no custom authorization servers in this org")

// meaning says in our words what an error code stands for (vendor page error-codes). Only the code may drive control
// flow; the summary that comes with it is for people, may change, and may name a person.
var meaning = map[string]string{
	"E0000001": "not possible in the state it is in, or not valid",
	"E0000003": "malformed body",
	"E0000004": "authentication failed",
	"E0000005": "invalid session",
	"E0000006": "no permission",
	"E0000007": "not found",
	"E0000008": "no such path",
	"E0000009": "internal error",
	"E0000010": "read-only mode",
	"E0000011": "invalid token",
	"E0000015": "feature not enabled",
	"E0000022": "method not allowed",
	"E0000028": "parameter missing",
	"E0000031": "invalid cursor or search",
	"E0000038": "not allowed in the status it is in",
	"E0000047": "rate limit",
	"E0000067": "gateway timeout",
	"E0000112": "user is still being activated",
	"E0000153": "gone",
	"E0000156": "gone",
	"E0000195": "conflict",
	"E0000215": "endpoint is gone",
	"E0000239": "policies are being reconciled",
}

// classify is the one place that says what a reply of Okta means.
func classify(q apiclient.Request, r apiclient.Response, b apiclient.Budget) *apiclient.Error {
	if r.OK() {
		return unsaid(q, r)
	}
	code := errorCode(r)
	e := &apiclient.Error{Op: q.Op, Status: r.Status, Code: code, RequestID: r.RequestID}
	if text := meaning[code]; text != "" {
		e.Err = errors.New(text)
	}
	e.Cause = cause(q, r.Status, code, b)
	switch {
	case code == "E0000015" && strings.HasPrefix(q.Op, probeOp):
		return nil // the credential is known, and the org has no such feature
	case e.Cause == apiclient.Later:
		e.RetryAfter = b.Wait
	case foreign(r.Status, code, r):
		// Somebody between us and Okta answered. Its 404 must not pass for a proof that something is gone.
		e.Status, e.Cause, e.Err = 0, apiclient.Transient, errors.New("the reply is not Okta's")
	case code == "E0000015" && !q.Mutates() && authServerPath(q):
		e.Cause, e.Err = apiclient.Permanent, ErrNoAuthServers
	}
	return e
}

// unsaid refuses the 2xx of a change whose body says otherwise, or is nobody's: what cannot be read back, such as sessions,
// has no other proof than its reply.
func unsaid(q apiclient.Request, r apiclient.Response) *apiclient.Error {
	if !q.Mutates() || r.Empty() {
		return nil
	}
	var body any
	if err := r.Decode(&body); err != nil {
		return r.Unreadable(q.Op, err)
	}
	code := errorCode(r)
	if code == "" {
		return nil
	}
	e := r.Unreadable(q.Op, errors.New("an error object in a reply that says it worked"))
	e.Code = code
	return e
}

// cause is the table: status and code to what they mean.
func cause(q apiclient.Request, status int, code string, b apiclient.Budget) apiclient.Cause {
	switch {
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable && b.Wait > 0:
		return apiclient.Later
	case status >= 500, status == http.StatusRequestTimeout, status == http.StatusLocked, status < 400,
		status == http.StatusConflict && (code == "E0000112" || code == "E0000195"):
		return apiclient.Transient
	case q.Mutates() && done(status, code):
		return apiclient.AlreadyDone
	case status == http.StatusUnauthorized, status == http.StatusForbidden && code != "E0000038":
		return apiclient.Denied // Do asks the probe whether it is the credential or the target
	default:
		return apiclient.Permanent
	}
}

// done lists what a change is answered with when its target is gone or in the wanted state already. None of it is
// proof: a wrong id reads the same.
func done(status int, code string) bool {
	switch status {
	case http.StatusNotFound:
		return code == "E0000007"
	case http.StatusBadRequest:
		return code == "E0000001" // suspend of a user who is not active
	case http.StatusForbidden:
		return code == "E0000038"
	case http.StatusGone:
		return code == "E0000153" || code == "E0000156"
	}
	return false
}

// foreign reports whether a 4xx comes from somebody else: Okta always sends its error object with a 404 or 410, and
// never a page.
func foreign(status int, code string, r apiclient.Response) bool {
	if status < 400 || status >= 500 || status == http.StatusUnauthorized || code != "" {
		return false
	}
	return r.HTML() || status == http.StatusNotFound || status == http.StatusGone
}

// errorCode reads errorCode from Okta's error object, if the reply is one: E and seven digits.
func errorCode(r apiclient.Response) string {
	var body struct {
		ErrorCode string `json:"errorCode"`
	}
	if r.Decode(&body) != nil || len(body.ErrorCode) != 8 || body.ErrorCode[0] != 'E' {
		return ""
	}
	if strings.Trim(body.ErrorCode[1:], "0123456789") != "" {
		return ""
	}
	return body.ErrorCode
}

// stale reports whether a 401 speaks of the token: every one but E0000015, which no other token would change.
func stale(r apiclient.Response) bool { return errorCode(r) != "E0000015" }

func authServerPath(q apiclient.Request) bool {
	return len(q.Path) > 2 && q.Path[2] == "authorizationServers"
}

// probeOp begins the names of the probes.
const probeOp = "okta.probe"

// probe gives the harmless read under the scope of q: a service app may have one scope and lack the other.
func probe(q apiclient.Request) (apiclient.Request, bool) {
	switch {
	case strings.HasPrefix(q.Op, probeOp):
		return apiclient.Request{}, false
	case authServerPath(q):
		return authServersProbe(), true
	default:
		return usersProbe(), true
	}
}

func usersProbe() apiclient.Request {
	return apiclient.Request{Op: probeOp + "Users", Path: path("users"), Query: map[string][]string{"limit": {"1"}}}
}

func authServersProbe() apiclient.Request {
	return apiclient.Request{Op: probeOp + "AuthServers", Path: path("authorizationServers"), Query: map[string][]string{"limit": {"1"}}}
}

// needs names the scope of a call; a role that may do the same is needed beside it (vendor page
// implement-oauth-for-okta-serviceapp).
func needs(q apiclient.Request) string {
	verb := ".read"
	if q.Mutates() {
		verb = ".manage"
	}
	switch {
	case len(q.Path) < 3:
		return ""
	case q.Path[2] == "iam", len(q.Path) > 4 && q.Path[2] == "users" && q.Path[4] == "roles":
		return "okta.roles" + verb
	case q.Path[2] == "users", q.Path[2] == "authorizationServers":
		return "okta." + q.Path[2] + verb
	}
	return ""
}

// bucket names the rate bucket of a call: sub-resources of a user count into one, a user read by id or login into
// one of its own, the rest of what is called here into that of /api/v1 (vendor page rate-limits, and counters seen
// in the vendor's recordings).
func bucket(q apiclient.Request) string {
	switch {
	case len(q.Path) < 3 || q.Path[2] != "users":
		return "/api/v1"
	case len(q.Path) == 4 && !q.Mutates():
		return "/api/v1/users/{id}"
	default:
		return "/api/v1/users"
	}
}

// Waits that Okta leaves to the caller. The window is normally one minute (vendor page rate-limits).
const (
	minWait = time.Second
	maxWait = 90 * time.Second
)

// budget reads X-Rate-Limit-Limit, -Remaining and -Reset (UTC epoch seconds), which come with every reply (vendor
// page rl2-monitor). Okta's replies have no Retry-After, but what stands before it may send one.
func budget(rand func() float64) func(apiclient.Response) apiclient.Budget {
	return func(r apiclient.Response) apiclient.Budget {
		b := apiclient.Budget{
			Limit:     apiclient.Count(r.Header, "X-Rate-Limit-Limit"),
			Remaining: apiclient.Count(r.Header, "X-Rate-Limit-Remaining"),
		}
		until, known := apiclient.Until(r.Header, "X-Rate-Limit-Reset")
		if known {
			until = min(until, maxWait) // a reset that is further away is wrong, and would be obeyed to its end
			date, _ := apiclient.Date(r.Header)
			b.Reset, b.Ends = max(until, 0), date.Add(until)
		}
		jitter := time.Duration(rand() * float64(time.Second))
		switch {
		case r.Status == http.StatusTooManyRequests && b.Limit == 0 && b.Remaining == 0:
			// The concurrency limit: reset is only a suggestion then, a short wait and fewer at a time help.
			b.Crowded, b.Wait = true, time.Second+2*jitter
		case r.Status == http.StatusTooManyRequests && known:
			b.Wait = apiclient.Clamp(until+time.Second, minWait, maxWait) + jitter
		case r.Status == http.StatusTooManyRequests:
			b.Wait = cmp.Or(apiclient.RetryAfter(r.Header), apiclient.Unsaid(rand))
		case r.Status == http.StatusServiceUnavailable:
			b.Wait = apiclient.RetryAfter(r.Header)
		}
		return b
	}
}
