package apiclient

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"keyturn/internal/secret"
)

// How long one call may take, from the first byte sent to the last byte read. A call whose repeat would do it twice
// must be over before a worker that lost its lease stops (six seconds).
const (
	DefaultTimeout = 20 * time.Second
	OnceTimeout    = 5 * time.Second
)

// Authorizer puts a connection's credential on its requests.
type Authorizer interface {
	// Authorize sets the credential's headers. It may fetch a token first. Its error says whose fault it is:
	// Denied when the credential was refused.
	Authorize(ctx context.Context, req *http.Request) error
	// Refused takes a request that was answered 401 and the reply's header, and reports whether another try with
	// another credential makes sense. A fixed key never does.
	Refused(req *http.Request, reply http.Header) bool
}

// Client sends the calls of one connection. The functions are what its provider knows: they are set once and make it
// the client of that provider. It is a small value: a copy with another Gate shares tokens, connections and probes.
type Client struct {
	Base      *url.URL          // where every path begins; calls go to its scheme and host and nowhere else
	Transport http.RoundTripper // used directly: no redirect is ever followed, no cookie kept
	Auth      Authorizer        // nil = none
	Gate      Gate              // nil = never held back
	UserAgent string            // "keyturn/1.2.3"
	Timeout   time.Duration     // of one call; 0 = DefaultTimeout

	// RequestID lists the headers that may hold the provider's id of the call, best first.
	RequestID []string
	// Bucket names the rate bucket that a call spends, for the Gate.
	Bucket func(q Request) string
	// Budget reads what a reply says of its bucket. Wait is set on 429 and on 503 with Retry-After.
	Budget func(r Response) Budget
	// Classify says what a reply means; nil = it worked. A refused credential and a forbidden target are both Denied
	// here: Do asks the probe which of the two it was.
	Classify func(q Request, r Response, b Budget) *Error
	// Stale reports whether a 401 speaks of the token; nil = always.
	Stale func(r Response) bool
	// Probe gives the harmless read that tells a refused credential from a forbidden target of q, under the same
	// scope; false when q is such a read itself.
	Probe func(q Request) (Request, bool)
	// Probes are all that Probe gives, one for each part of the rights; nil = there is but one.
	Probes []Request
	// Needs names the right that a call needs, as the vendor does; empty = nobody knows. nil = nobody ever does.
	Needs func(q Request) string
	// Lacks reports whether the credential surely has not got a right; nil = nobody knows.
	Lacks func(right string) bool
	// Verdicts remembers what probes said; shared by all copies. nil = no probing.
	Verdicts *Verdicts
}

// Do sends one call, once, and says what the reply means. Every error is an *Error except that of a context or gate,
// which it wraps. It never sleeps and never retries, with the one exception that a call which was refused (401, 403) is
// sent once more: with a fresh token, and when the probe shows that the credential works. The provider did nothing the
// first time, and no action may die of one stray answer, nor of a credential that was no good for a moment.
func (c *Client) Do(ctx context.Context, q Request) (Response, error) {
	r, refused, err := c.once(ctx, q)
	if refused {
		r, _, err = c.once(ctx, q)
	}
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Cause != Denied || r.Status == 0 {
		return r, err // without a reply the token itself was refused, and there is nothing to ask
	}
	judged := c.judge(ctx, q, e)
	if CauseOf(judged) != Permanent || r.Status == http.StatusUnauthorized && !c.stale(r) {
		return r, judged
	}
	again, _, err := c.once(ctx, q)
	if CauseOf(err) == Denied {
		return again, judged
	}
	return again, err
}

// Check makes harmless reads, to see whether the credential works: it does if one of Probes is answered. It gives Denied when
// the credential is refused, or what kept it from knowing.
func (c *Client) Check(ctx context.Context) error {
	var first error
	for _, q := range c.Probes {
		_, err := c.Do(ctx, q)
		if err == nil {
			return nil
		}
		if first == nil {
			first = err
		}
		if CauseOf(err) != Denied || !IsStatus(err, http.StatusForbidden) {
			return err
		}
	}
	return first
}

// TokenHeld gives until when no call goes because the token endpoint of the credential asked to be left alone (Tokens.Held);
// the zero time while calls go, and always for a key that is none of its tokens.
func (c *Client) TokenHeld() time.Time {
	if t, ok := c.Auth.(*Tokens); ok {
		return t.Held()
	}
	return time.Time{}
}

// Renew fetches another token where the one in hand lacks a scope, unless one was asked for less than age ago (Tokens.Renew).
func (c *Client) Renew(ctx context.Context, age time.Duration) {
	if t, ok := c.Auth.(*Tokens); ok {
		t.Renew(ctx, age)
	}
}

// once sends the call once. refused says that the token was refused and that another one can be had.
func (c *Client) once(ctx context.Context, q Request) (r Response, refused bool, err error) {
	req, err := c.build(q)
	if err != nil {
		return r, false, &Error{Op: q.Op, Cause: Permanent, Err: err}
	}
	budget := Budget{Limit: -1, Remaining: -1}
	if c.Gate != nil {
		bucket := c.Bucket(q)
		if err := c.Gate.Admit(ctx, bucket); err != nil {
			return r, false, inOp(q.Op, err)
		}
		defer func() { // also when no call came of it: what was admitted must come back
			budget.Failed = err != nil && CauseOf(err) == Transient && !errors.Is(ctx.Err(), context.Canceled)
			c.Gate.Learn(bucket, budget)
		}()
	}
	if c.Auth != nil {
		if err := c.Auth.Authorize(ctx, req); err != nil {
			return r, false, inOp(q.Op, err)
		}
	}
	r, err = c.exchange(ctx, q, req)
	c.watched(ctx, q, r)
	if r.Status != 0 && c.Budget != nil {
		budget = c.Budget(r)
	}
	if err != nil {
		return r, false, err
	}
	if e := c.Classify(q, r, budget); e != nil {
		return r, c.stale(r) && c.Auth.Refused(req, r.Header), e
	}
	return r, false, nil
}

// stale reports whether the reply refuses the token, and not the one who holds it.
func (c *Client) stale(r Response) bool {
	return r.Status == http.StatusUnauthorized && c.Auth != nil && (c.Stale == nil || c.Stale(r))
}

// exchange sends req and reads the reply within the call's time. A reply that came but could not be read to its end
// has its status set beside the error: it still teaches the budget.
func (c *Client) exchange(ctx context.Context, q Request, req *http.Request) (Response, error) {
	limit := c.Timeout
	if limit == 0 {
		limit = DefaultTimeout
	}
	if q.Once {
		limit = min(limit, OnceTimeout)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	res, err := c.Transport.RoundTrip(req.WithContext(ctx))
	if err != nil {
		return Response{}, &Error{Op: q.Op, Cause: Transient, Err: secret.Unquoted(err)}
	}
	defer res.Body.Close()
	r := Response{Status: res.StatusCode, Header: res.Header, RequestID: requestID(res.Header, c.RequestID)}
	r.Header.Del("Set-Cookie") // a session of the provider's front door is nobody's business
	r.body, err = readBody(res)
	if err == nil && r.OK() && !r.Empty() && r.HTML() {
		err = errors.New("an HTML page in place of a reply")
	}
	if err != nil {
		return r, &Error{Op: q.Op, Status: r.Status, Cause: Transient, RequestID: r.RequestID, Err: secret.Unquoted(err)}
	}
	return r, nil
}

// inOp names the operation in an error of the gate or the credential, without hiding its cause.
func inOp(op string, err error) error {
	if e, ok := errors.AsType[*Error](err); ok {
		if e.Op == "" {
			named := *e
			named.Op = op
			return &named
		}
		return err
	}
	return &Error{Op: op, Cause: CauseOf(err), Err: err}
}
