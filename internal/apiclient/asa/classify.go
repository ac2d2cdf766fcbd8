package asa

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"time"

	"keyturn/internal/apiclient"
)

// classify is the one place that says what a reply of the API means. It goes by the status: which key of the error
// object carries the error's name is not documented, and differs between old and new endpoints.
func classify(q apiclient.Request, r apiclient.Response, b apiclient.Budget) *apiclient.Error {
	if r.OK() {
		return nil
	}
	code := errorName(r)
	e := &apiclient.Error{Op: q.Op, Status: r.Status, Code: code, RequestID: r.RequestID}
	switch e.Cause = cause(q, r.Status, code, b); {
	case e.Cause == apiclient.Later:
		e.RetryAfter = b.Wait
	case r.HTML() && r.Status >= 400 && r.Status < 500 && r.Status != http.StatusUnauthorized:
		// Somebody between us and the API answered. Its 404 must not pass for a proof that something is gone.
		e.Status, e.Cause, e.Err = 0, apiclient.Transient, errors.New("a page in place of a reply")
	}
	return e
}

// cause is the table: status and error name to what they mean.
func cause(q apiclient.Request, status int, code string, b apiclient.Budget) apiclient.Cause {
	switch {
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable && b.Wait > 0:
		return apiclient.Later
	case status >= 499, status == http.StatusRequestTimeout, status < 400: // 499 client_closed_connection
		return apiclient.Transient
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		// 401 is also authorization_error, no permission: Do asks the probe which it was.
		return apiclient.Denied
	case q.Method == http.MethodDelete && status == http.StatusNotFound && code != "resource_deprecated",
		q.Method == http.MethodDelete && status == http.StatusGone:
		return apiclient.AlreadyDone
	default:
		return apiclient.Permanent
	}
}

// errorName reads the error's name, such as resource_does_not_exist, from whichever key holds one.
func errorName(r apiclient.Response) string {
	var body struct {
		Error   any `json:"error"`
		Code    any `json:"code"`
		Type    any `json:"type"`
		Name    any `json:"name"`
		Message any `json:"message"`
	}
	if r.Decode(&body) != nil {
		return ""
	}
	name := ""
	for _, v := range []any{body.Error, body.Code, body.Type, body.Name, body.Message} {
		s, _ := v.(string)
		if !snakeCase(s) {
			s = ""
		}
		name = cmp.Or(name, s)
	}
	return name
}

// snakeCase reports whether s is a name of the API's kind, and not a text that may hold anything.
func snakeCase(s string) bool {
	if s == "" || len(s) > 40 {
		return false
	}
	for _, c := range s {
		if c != '_' && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

// probe gives the harmless read that needs a role like every other call's.
func probe(q apiclient.Request) (apiclient.Request, bool) {
	p := probeRequest()
	return p, q.Op != p.Op
}

func probeRequest() apiclient.Request {
	return apiclient.Request{Op: "asa.probe", Path: []string{"clients"}, Query: url.Values{"all": {"true"}, "count": {"1"}}}
}

// Waits of the vendor's own client: after Retry-At 0.1..3 s more, for many callers are given the same instant; 5..10 s
// when the reply names none. How long a window is nobody publishes; none is believed to be longer than maxWait.
const (
	minWait = time.Second
	maxWait = 90 * time.Second
)

// budget reads X-RateLimit-Limit, -Remaining, -Reset and, on 429, -Retry-At (Unix seconds; vendor page introduction).
// Okta's other APIs spell them X-Rate-Limit-….
func budget(rand func() float64) func(apiclient.Response) apiclient.Budget {
	between := func(low, high time.Duration) time.Duration {
		return low + time.Duration(rand()*float64(high-low))
	}
	return func(r apiclient.Response) apiclient.Budget {
		b := apiclient.Budget{
			Limit:     apiclient.Count(r.Header, "X-RateLimit-Limit"),
			Remaining: apiclient.Count(r.Header, "X-RateLimit-Remaining"),
		}
		if until, ok := apiclient.Until(r.Header, "X-RateLimit-Reset"); ok {
			until = min(until, maxWait) // a reset that is further away is wrong, and would be obeyed to its end
			date, _ := apiclient.Date(r.Header)
			b.Reset, b.Ends = max(until, 0), date.Add(until)
		}
		switch r.Status {
		case http.StatusServiceUnavailable:
			b.Wait = apiclient.RetryAfter(r.Header)
		case http.StatusTooManyRequests:
			if until, ok := apiclient.Until(r.Header, "X-RateLimit-Retry-At"); ok {
				b.Wait = apiclient.Clamp(until, minWait, maxWait) + between(100*time.Millisecond, 3*time.Second)
			} else {
				b.Wait = cmp.Or(apiclient.RetryAfter(r.Header), apiclient.Unsaid(rand))
			}
		}
		return b
	}
}
