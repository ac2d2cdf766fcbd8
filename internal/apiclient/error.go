// Package apiclient is what the clients of all providers share: one Do that sends one HTTP request, the typed Error
// that a provider's classify.go makes of the reply, the Gate that spends the connection's budget, and the token sources.
//
// A client never sleeps and never retries: it reports what the provider said, and the lane decides. The one exception
// is a call that was refused: it is sent once more, with a fresh token, and with a credential that is seen to work, for the
// provider did nothing the first time. It knows nobody of ours but package secret.
package apiclient

import (
	"errors"
	"fmt"
	"time"
)

// Cause says what a failed call means for the one who made it. It is decided once per provider, in its classify.go,
// and read once, in actions/decide.go.
type Cause uint8

const (
	// Transient is the zero value: an error that nobody classified is tried again, within the action's time limit.
	Transient Cause = iota
	// Later: the provider said to wait (429, its own "slow down", 503 with Retry-After). Never an attempt.
	Later
	// Permanent: the same call can never succeed.
	Permanent
	// AlreadyDone: the provider says that there is nothing to do (404 on a delete). The read-back decides.
	AlreadyDone
	// Denied: the credential is the fault, not the action.
	Denied
)

// String gives the word used in the ledger, logs and metrics.
func (c Cause) String() string {
	switch c {
	case Later:
		return "later"
	case Permanent:
		return "permanent"
	case AlreadyDone:
		return "already_done"
	case Denied:
		return "denied"
	default:
		return "transient"
	}
}

// Error is a failed call. It never holds a request or response body of a secret-bearing endpoint.
type Error struct {
	Op         string        // the operation, in the provider's own words: "okta.getUser"
	Status     int           // HTTP status; 0 when there was no reply
	Code       string        // the provider's own error code, when it gave one: "E0000007"
	Cause      Cause         // what it means
	RetryAfter time.Duration // for Later: how long the provider wants to be left alone; 0 when it did not say
	RequestID  string        // the provider's id of the call, for its support
	// Needs is the right that a forbidden call needs, as the vendor names it; empty = nobody knows. Beside Denied it says that
	// the credential lacks this right alone: calls that need another one work.
	Needs string
	Err   error // what lies beneath: a transport error, or a short safe text
}

// Error prints `op: status code: cause: what lies beneath, it needs a right (request id)`.
func (e *Error) Error() string {
	s := e.Op
	if e.Status != 0 {
		s += fmt.Sprintf(": %d", e.Status)
	}
	if e.Code != "" {
		s += " " + e.Code
	}
	s += ": " + e.Cause.String()
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	if e.Needs != "" {
		s += ", it needs " + e.Needs
	}
	if e.RequestID != "" {
		s += " (request " + e.RequestID + ")"
	}
	return s
}

// Unwrap gives what lies beneath.
func (e *Error) Unwrap() error { return e.Err }

// CauseOf reads the cause of any error: one that is not an Error is Transient, and Transient is bounded in time.
func CauseOf(err error) Cause {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Cause
	}
	return Transient
}

// IsStatus reports whether err is an Error with that HTTP status.
func IsStatus(err error, status int) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Status == status
}
