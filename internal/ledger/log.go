package ledger

import (
	"context"
	"errors"
	"time"
)

// Log stores records. Package stream implements it on the LEDGER stream.
type Log interface {
	// Append stores data as the newest record of the subject if the subject's last record is the one at sequence
	// after (0 = it has none), and returns its sequence. Another last record gives ErrConflict. Any other error means
	// that nobody knows whether it was stored.
	Append(ctx context.Context, subject string, after uint64, data []byte) (uint64, error)
	// Last reads the newest record of the subject from the leader; ErrNotFound when there is none.
	Last(ctx context.Context, subject string) (uint64, []byte, error)
	// Range hands every record whose subject matches the NATS filter, from some place on, to fn, oldest first, until fn
	// returns an error. It ends at the record that was the newest when it began.
	Range(ctx context.Context, filter string, from From, fn func(subject string, seq uint64, data []byte) error) error
}

// From is where a reading begins. The zero value is the first record; one field is set otherwise.
type From struct {
	Time  time.Time // with what was stored then or later, by the log's clock
	After uint64    // behind the record at that sequence
}

// Errors that callers branch on.
var (
	// ErrConflict: someone else appended first. Never act on it: read again and decide again.
	ErrConflict = errors.New("another record came first")
	// ErrNotFound: the subject has no record.
	ErrNotFound = errors.New("no record")
)
