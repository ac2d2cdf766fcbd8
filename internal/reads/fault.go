package reads

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"keyturn/internal/apiclient"
	"keyturn/internal/apiclient/okta"
)

// Code says what kind of fault kept a read from its answer, for programs.
type Code string

// The codes.
const (
	Invalid      Code = "invalid"       // the question is wrong
	NotFound     Code = "not_found"     // what was asked for is not there
	Denied       Code = "denied"        // the credential, or its rights, do not allow it
	NotAvailable Code = "not_available" // this tenant has no such feature
	Later        Code = "later"         // the budget is spent, or the provider wants to be left alone
	Unreachable  Code = "unreachable"   // the provider did not answer, or not as it should
	Failed       Code = "failed"        // something else
)

// Fault is why a read has no answer, or no more of it. It holds no secret.
type Fault struct {
	Code       Code
	Message    string
	Suggestion string // what a person can do about it; may be empty
	Err        error  // what the client said; nil when no call was made, or all worked
}

// Error gives the message. It may repeat what was asked for, and so name a person.
func (f *Fault) Error() string { return f.Message }

// Unwrap gives what the client said, which names nobody.
func (f *Fault) Unwrap() error { return f.Err }

// FaultOf puts the error of a client into a code, and says what to do about it. What a reply means was decided by the
// client; this only tells a person.
func FaultOf(err error) error {
	if f, ok := errors.AsType[*Fault](err); ok {
		return f
	}
	if errors.Is(err, context.Canceled) {
		return err // whoever ended it knows why
	}
	f := &Fault{Code: Failed, Message: err.Error(), Err: err}
	e, ok := errors.AsType[*apiclient.Error](err)
	switch {
	case !ok:
	case errors.Is(err, okta.ErrNoAuthServers):
		f.Code, f.Suggestion = NotAvailable, "the org has no API Access Management (E0000015): it has no custom authorization servers"
	case e.Cause == apiclient.Later:
		f.Code = Later
		f.Suggestion = fmt.Sprintf("ask again in %s; what waits in the lane goes on meanwhile", max(e.RetryAfter, time.Second).Round(time.Second))
	case e.Status == http.StatusUnauthorized, e.Status == http.StatusForbidden, e.Cause == apiclient.Denied:
		f.Code, f.Suggestion = Denied, "keyturn connection check says which of the credential's rights work"
	case e.Status == http.StatusNotFound:
		f.Code = NotFound
	case e.Cause == apiclient.Permanent && (e.Status == 0 || e.Status == http.StatusBadRequest):
		f.Code = Invalid
	case e.Cause == apiclient.Transient:
		f.Code, f.Suggestion = Unreachable, "ask again; keyturn connection check tries every operation"
	}
	return f
}
