package transmit

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"net/http"
	"sync"
	"time"

	"keyturn/internal/apiclient"
)

// A role that is given to a client shows in new tokens after up to five minutes (vendor page client_access_tokens).
const (
	roleDelay  = 5 * time.Minute
	roleMemory = time.Hour        // after which a refusal is a new one
	tokenPause = 10 * time.Second // at least between two tokens that are given up for a role
)

// spread remembers, for each call, since when it is forbidden: while that may be a role on its way, the call waits, once.
// A call is an operation upon one target: that others of its operation work says nothing of it, and must not have it wait
// for ever.
type spread struct {
	now     func() time.Time
	seed    maphash.Seed
	mu      sync.Mutex
	calls   map[uint64]*forbidden // those of the last hour
	dropped time.Time             // when a token was last given up for a role: once serves all that wait
}

// forbidden is one call that was refused.
type forbidden struct {
	since   time.Time
	renewed time.Time // from when on tokens were fetched that carry every role given until since; zero = not yet
}

func newSpread(now func() time.Time) *spread {
	return &spread{now: now, seed: maphash.MakeSeed(), calls: map[uint64]*forbidden{}}
}

// judge turns the 403 of a call that began at began into Later, until one was made with a token in which the role would
// stand.
func (s *spread) judge(q apiclient.Request, began time.Time, err error, tokens *apiclient.Tokens) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil && len(s.calls) == 0 {
		return nil
	}
	call := s.call(q)
	if err == nil {
		delete(s.calls, call)
		return nil
	}
	e, ok := errors.AsType[*apiclient.Error](err)
	if !ok || e.Status != http.StatusForbidden || e.Cause != apiclient.Permanent {
		return err
	}
	wait := s.wait(call, began, tokens)
	if wait <= 0 {
		return err
	}
	later := *e
	later.Cause, later.RetryAfter = apiclient.Later, wait
	return &later
}

// wait is how long a call that was refused waits; 0 = the role is not on its way.
func (s *spread) wait(call uint64, began time.Time, tokens *apiclient.Tokens) time.Duration {
	now := s.now()
	maps.DeleteFunc(s.calls, func(_ uint64, f *forbidden) bool { return now.Sub(f.since) > roleMemory })
	f := s.calls[call]
	if f == nil {
		f = &forbidden{since: now}
		s.calls[call] = f
	}
	shows := f.since.Add(roleDelay)
	switch {
	case now.Before(shows):
		return shows.Sub(now)
	case f.renewed.IsZero() && s.dropped.Before(shows):
		if left := tokenPause - now.Sub(s.dropped); left > 0 {
			return left
		}
		s.dropped = now
		tokens.Discard()
		fallthrough
	case f.renewed.IsZero():
		f.renewed = s.dropped
	}
	if !began.After(f.renewed) {
		return time.Second // it may have carried the token before
	}
	return 0
}

// call tells calls apart: by what is asked for, and of whom. Creates have one path, and their bodies name no secret.
func (s *spread) call(q apiclient.Request) uint64 {
	body, _ := json.Marshal(q.JSON) // what cannot be sent is told apart by its path alone
	return maphash.String(s.seed, fmt.Sprint(q.Op, q.Path, string(body)))
}
