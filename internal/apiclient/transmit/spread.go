package transmit

import (
	"errors"
	"net/http"
	"sync"
	"time"

	"keyturn/internal/apiclient"
)

// A role that is given to a client shows in new tokens after up to five minutes (vendor page client_access_tokens).
const (
	roleDelay  = 5 * time.Minute
	roleMemory = time.Hour // after which a refusal is a new one
)

// spread remembers, for each operation, since when it is forbidden: while that may be a role on its way, the calls
// wait, once.
type spread struct {
	now   func() time.Time
	mu    sync.Mutex
	since map[string]time.Time // by operation: a handful
}

func newSpread(now func() time.Time) *spread { return &spread{now: now, since: map[string]time.Time{}} }

// judge turns the first 403 of an operation into Later and discards the token, for only a new one carries the role.
func (s *spread) judge(op string, err error, tokens *apiclient.Tokens) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		delete(s.since, op)
		return nil
	}
	e, ok := errors.AsType[*apiclient.Error](err)
	if !ok || e.Status != http.StatusForbidden || e.Cause != apiclient.Permanent {
		return err
	}
	now, since := s.now(), s.since[op]
	if since.IsZero() || now.Sub(since) > roleMemory {
		s.since[op], since = now, now
		tokens.Discard()
	}
	wait := roleDelay - now.Sub(since)
	if wait <= 0 {
		return err
	}
	later := *e
	later.Cause, later.RetryAfter = apiclient.Later, wait
	return &later
}
