package apiclient

import (
	"context"
	"errors"
	"time"
)

// Budget is what one reply said of its bucket's rate limit.
type Budget struct {
	Limit     int           // calls a window; -1 when the reply did not say
	Remaining int           // calls left in the window; -1 when the reply did not say
	Reset     time.Duration // until the window ends, by the server's clock; 0 when the reply did not say
	Ends      time.Time     // when that is, by the server's clock: the same in all replies of one window; zero when the reply did not say
	Wait      time.Duration // on a reply that said "wait": how long; 0 otherwise
	Crowded   bool          // the concurrency limit was hit: fewer at a time, not fewer a minute (Okta: 429 with limit 0 and remaining 0)
	// Failed: nothing came of the call that says what the provider thinks of it (cause Transient: no reply, a 5xx, a
	// page). Do sets it; a call that its own caller took back has not failed.
	Failed bool
}

// ErrNoRoom lies beneath the error of a call that was not sent because its own time was too short to wait for the budget.
var ErrNoRoom = errors.New("no room for the call in its time")

// Gate spends the budget of a connection. The lane implements it, and it may block there: a client asks before each
// call and tells afterwards what the reply said. The zero client has no gate and is never held back.
type Gate interface {
	// Admit returns when a call in the bucket may be sent, or with an *Error of cause Later when the wait is longer
	// than is worth holding the action for, or than the context's time (ErrNoRoom), or with the context's error.
	Admit(ctx context.Context, bucket string) error
	// Learn is called once for each call that was admitted: with what its reply said, or with nothing (-1, -1, zeros,
	// and whether it failed) when there was none.
	Learn(bucket string, b Budget)
}
