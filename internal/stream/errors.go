package stream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Errors that callers branch on.
var (
	// ErrUnavailable: the broker is away or full, or its disk could not be trusted. Nothing may be answered as stored;
	// the same publish may be repeated (RetryAfter).
	ErrUnavailable = errors.New("broker unavailable")
	// ErrTooLarge: the encoded event is over MaxEvent or over what the server takes. Repeating does not help.
	ErrTooLarge = errors.New("event too large")
	// ErrLeaseLost: the lease ended under its holder.
	ErrLeaseLost = errors.New("lease lost")
	// ErrNotFound: no such dead letter or key.
	ErrNotFound = errors.New("not found")
	// ErrConflict: another writer of the key came first.
	ErrConflict = errors.New("another write came first")
	// ErrTopology: streams are missing.
	ErrTopology = errors.New("streams missing")
)

// How long a sender should wait before it repeats.
const (
	retryAway = 5 * time.Second  // a reconnect takes a moment
	retryFull = 60 * time.Second // space comes back by age, or by a person
)

// Error codes of the server (nats-server, server/errors.json).
const (
	codeNoResources   jetstream.ErrorCode = 10023 // insufficient resources
	codeStorageFull   jetstream.ErrorCode = 10047 // insufficient storage resources available
	codeTooLarge      jetstream.ErrorCode = 10054 // message size exceeds maximum allowed
	codeNameInUse     jetstream.ErrorCode = 10058 // stream name already in use
	codeWrongSequence jetstream.ErrorCode = 10071 // wrong last sequence: N
	codeNoCluster     jetstream.ErrorCode = 10074 // replicas > 1 not supported in non-clustered mode
	codeStoreFailed   jetstream.ErrorCode = 10077 // "maximum bytes exceeded" under discard new
	codeWrongConstant jetstream.ErrorCode = 10164 // wrong last sequence, from a replicated stream
)

// unavailable is an ErrUnavailable with the wait that it suggests.
type unavailable struct {
	op    string
	retry time.Duration
	err   error
}

func (u *unavailable) Error() string             { return fmt.Sprintf("%s: %v: %v", u.op, ErrUnavailable, u.err) }
func (u *unavailable) Unwrap() []error           { return []error{ErrUnavailable, u.err} }
func (u *unavailable) RetryAfter() time.Duration { return u.retry }

// RetryAfter is how long to wait before a publish that gave err is repeated; zero when err is not an ErrUnavailable.
func RetryAfter(err error) time.Duration {
	var u *unavailable
	if errors.As(err, &u) {
		return u.retry
	}
	return 0
}

// refusal classifies the error of a publish, once: too large, or unavailable for a while. op is put before it.
func refusal(op string, err error) error {
	var api *jetstream.APIError
	code := jetstream.ErrorCode(0)
	if errors.As(err, &api) {
		code = api.ErrorCode
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, nats.ErrMaxPayload), code == codeTooLarge:
		return fmt.Errorf("%s: %w: %w", op, ErrTooLarge, err)
	case errors.Is(err, ErrUnavailable), errors.Is(err, ErrTooLarge):
		return err
	case full(err):
		return &unavailable{op: op, retry: retryFull, err: err}
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("%s: %w", op, err)
	}
	return &unavailable{op: op, retry: retryAway, err: err}
}

// conflict reports whether the server refused a compare-and-swap. A single server answers 10071 with the sequence, a
// replicated stream may answer 10164 without it.
func conflict(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && (api.ErrorCode == codeWrongSequence || api.ErrorCode == codeWrongConstant)
}

// IsTooLarge reports whether err says that a message is too large to be stored, now or ever.
func IsTooLarge(err error) bool { return errors.Is(err, ErrTooLarge) }
