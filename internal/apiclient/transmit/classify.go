package transmit

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"keyturn/internal/apiclient"
)

// classify is the one place that says what a reply of Mosaic means. Only 400, 404 and 409 have a documented body; the
// others may come from the edge before it, as a page.
func classify(q apiclient.Request, r apiclient.Response, b apiclient.Budget) *apiclient.Error {
	if r.OK() {
		return nil
	}
	e := &apiclient.Error{Op: q.Op, Status: r.Status, Code: errorCode(r), RequestID: r.RequestID}
	switch e.Cause = cause(q, r.Status, b); {
	case e.Cause == apiclient.Later:
		e.RetryAfter = b.Wait
	case r.HTML() && r.Status >= 400 && r.Status < 500 && r.Status != http.StatusUnauthorized:
		// The edge answered. Its 404 must not pass for a proof that something is gone.
		e.Status, e.Cause, e.Err = 0, apiclient.Transient, errors.New("a page in place of a reply")
	}
	return e
}

// cause is the table: status to what it means.
func cause(q apiclient.Request, status int, b apiclient.Budget) apiclient.Cause {
	switch {
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable && b.Wait > 0:
		return apiclient.Later
	case status >= 500, status == http.StatusRequestTimeout, status < 400:
		return apiclient.Transient
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return apiclient.Denied // Do asks the probe whether it is the credential or the target
	case q.Method == http.MethodDelete && (status == http.StatusNotFound || status == http.StatusGone):
		return apiclient.AlreadyDone
	case q.Method == http.MethodPost && status == http.StatusConflict:
		return apiclient.AlreadyDone // an identifier is taken, perhaps by the client that we made: a look-up tells
	default:
		return apiclient.Permanent
	}
}

// errorCode reads ts_error_code, or error_code, which is a number. The message (a string, or a list of them) may
// repeat what was sent, and goes no further.
func errorCode(r apiclient.Response) string {
	var body struct {
		Named  any `json:"ts_error_code"`
		Number any `json:"error_code"`
	}
	if r.Decode(&body) != nil {
		return ""
	}
	if s, ok := body.Named.(string); ok && s != "" {
		return apiclient.Word(s)
	}
	if n, ok := body.Number.(float64); ok {
		b, _ := json.Marshal(n)
		return apiclient.Word(string(b))
	}
	return ""
}

// probe gives the harmless read that needs the token to be one of this application.
func probe(q apiclient.Request) (apiclient.Request, bool) {
	return probeRequest(), !strings.HasPrefix(q.Op, "transmit.probe")
}

func probeRequest() apiclient.Request {
	return apiclient.Request{Op: "transmit.probe", Path: []string{"v1", "clients"}}
}

// budget reads what there is: no rate header is documented, and Retry-After is hearsay.
func budget(rand func() float64) func(apiclient.Response) apiclient.Budget {
	return func(r apiclient.Response) apiclient.Budget {
		b := apiclient.Budget{Limit: -1, Remaining: -1}
		switch r.Status {
		case http.StatusTooManyRequests:
			b.Wait = cmp.Or(apiclient.RetryAfter(r.Header), apiclient.Unsaid(rand))
		case http.StatusServiceUnavailable:
			b.Wait = apiclient.RetryAfter(r.Header)
		}
		return b
	}
}
