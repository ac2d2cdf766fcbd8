package apiclient

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"
)

// How long a probe's answer serves other failures: a thousand forbidden targets must not become a thousand probes. A
// credential can be revoked at any moment, and nothing may be given up for that: so "it works" is good for a moment
// only, and never answers a 401.
const (
	refusedAge = 10 * time.Second
	fineAge    = time.Second
)

// askWithin bounds a probe. Half of it may go by before the gate: the call that is judged may have been the last of its
// window, and a probe that is given up before the next one (Okta: a minute) would be so each time the call comes again.
const askWithin = 3 * time.Minute

// Verdicts remembers what a connection's probes said. Make it with NewVerdicts; share it by pointer.
type Verdicts struct {
	now func() time.Time
	mu  sync.Mutex
	by  map[string]*verdict // by operation of the probe: a handful
}

type verdict struct {
	flight flight[struct{}]
	at     time.Time
	err    error
}

// NewVerdicts makes an empty memory that reads time from now.
func NewVerdicts(now func() time.Time) *Verdicts {
	return &Verdicts{now: now, by: map[string]*verdict{}}
}

// judge tells a refused credential from a forbidden target. e is Denied, which each of them looks like.
func (c *Client) judge(ctx context.Context, q Request, e *Error) error {
	if c.Probe == nil || c.Verdicts == nil {
		return e
	}
	probe, ok := c.Probe(q)
	if !ok {
		return e
	}
	judged := *e
	if e.Status == http.StatusForbidden && c.Needs != nil {
		judged.Needs = c.Needs(q)
	}
	if judged.Needs != "" && c.Lacks != nil && c.Lacks(judged.Needs) {
		return &judged
	}
	err := c.Verdicts.ask(ctx, c, probe, e.Status == http.StatusUnauthorized)
	switch cause := CauseOf(err); {
	case err == nil:
		judged.Cause = Permanent
	case cause == Transient, cause == Later:
		// Nobody knows yet: the action comes back, and asks again then.
		judged.Cause = cause
		if p, ok := errors.AsType[*Error](err); ok {
			judged.RetryAfter = p.RetryAfter
		}
	case judged.Needs != "":
		return c.narrow(ctx, probe, &judged)
	default:
		judged.Cause = Denied
	}
	return &judged
}

// narrow tells a credential that lacks one right from one that is refused: another right's probe is answered. judged is the
// error of a call whose own probe was refused too.
func (c *Client) narrow(ctx context.Context, refused Request, judged *Error) error {
	for _, other := range c.Probes {
		if other.Op == refused.Op {
			continue
		}
		switch err := c.Verdicts.ask(ctx, c, other, false); CauseOf(err) {
		case Denied, Permanent:
		default:
			if err == nil {
				return judged
			}
			judged.Cause = CauseOf(err) // nobody knows yet
			if p, ok := errors.AsType[*Error](err); ok {
				judged.RetryAfter = p.RetryAfter
			}
			return judged
		}
	}
	judged.Needs = ""
	return judged
}

// ask gives the probe's answer, a recent one if there is one that will do. Callers at the same time share one call.
func (v *Verdicts) ask(ctx context.Context, c *Client, probe Request, anew bool) error {
	v.mu.Lock()
	known := v.by[probe.Op]
	if known == nil {
		known = &verdict{}
		v.by[probe.Op] = known
	}
	age, err := v.now().Sub(known.at), known.err
	v.mu.Unlock()
	if err != nil && age < refusedAge || err == nil && age < fineAge && !anew {
		return err
	}
	_, err = known.flight.do(ctx, askWithin, func(ctx context.Context) (struct{}, error) {
		_, err := c.Do(ctx, probe)
		v.mu.Lock()
		defer v.mu.Unlock()
		if cause := CauseOf(err); err == nil || cause == Denied || cause == Permanent {
			known.at, known.err = v.now(), err
		}
		return struct{}{}, err
	})
	return err
}
