package apiclient

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"keyturn/internal/secret"
)

// TokenTimeout is how long fetching a token may take, all its steps together.
const TokenTimeout = 15 * time.Second

// earlyRetry is how long a failed early refresh is left alone: the token in hand is still good.
const earlyRetry = 5 * time.Second

// heldAtMost is how long a token endpoint that asks to be left alone is obeyed: nothing of its connection goes meanwhile, the
// urgent neither, and a wrong time must not last for an hour.
const heldAtMost = 5 * time.Minute

// Token is an access token.
type Token struct {
	Scheme  string // "Bearer" or "DPoP": what stands before it in Authorization
	Value   secret.Value
	Expires time.Time     // by the local clock; zero = nobody said
	Early   time.Duration // how long before Expires another one is fetched
	Part    bool          // it lacks a scope that was asked for
}

// Tokens is the Authorizer of a connection whose token is fetched: one token for all its calls, fetched once at a
// time, refreshed early in the background, and thrown away when the provider refuses it. Share it by pointer.
type Tokens struct {
	// Fetch gets a new token. Its error is an *Error: Denied when the credential was refused, Later, or Transient.
	Fetch func(ctx context.Context) (Token, error)
	// Prove adds a proof of possession to a request that carries a DPoP token (RFC 9449); nil = there are none.
	Prove func(req *http.Request, token Token) error
	// Nonce takes a reply that may hold a DPoP nonce for the next proofs; nil = nobody wants it.
	Nonce func(reply http.Header)
	Now   func() time.Time

	mu      sync.Mutex
	token   Token
	asked   time.Time // when the last fetch began
	renewAt time.Time // when the next early refresh may begin; zero = never
	held    *Error    // what the token endpoint said when it asked to be left alone
	heldTo  time.Time
	flight  flight[Token]
}

// Authorize sets the token, and its proof where it needs one. It waits for a fetch only when no good token is there.
func (t *Tokens) Authorize(ctx context.Context, req *http.Request) error {
	token, err := t.get(ctx)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", token.Scheme+" "+token.Value.Reveal())
	if token.Scheme == "DPoP" && t.Prove != nil {
		return t.Prove(req, token)
	}
	return nil
}

// Refused throws the token away that req carried, unless another one has taken its place already.
func (t *Tokens) Refused(req *http.Request, reply http.Header) bool {
	if t.Nonce != nil {
		t.Nonce(reply)
	}
	_, used, _ := strings.Cut(req.Header.Get("Authorization"), " ")
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.token.Value.Equal(secret.New(used)) {
		t.token = Token{}
	}
	return true
}

// Discard throws the current token away: the next call fetches one. For rights that only a new token carries.
func (t *Tokens) Discard() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.token = Token{}
}

// Renew fetches another token where the one in hand lacks a scope, which somebody may have granted since, unless one was
// asked for less than age ago. The one in hand is kept when none comes: what it may do it does.
func (t *Tokens) Renew(ctx context.Context, age time.Duration) {
	t.mu.Lock()
	now := t.Now()
	due := t.token.Part && t.good(now) && now.Sub(t.asked) >= age && !now.Before(t.heldTo)
	t.mu.Unlock()
	if due {
		_, _ = t.flight.do(ctx, TokenTimeout, t.fetch) // nobody's call failed: the next that needs a token says what is wrong
	}
}

// get gives the token in hand while it is good. In its last minutes another one is fetched beside it, and nobody
// waits for that.
func (t *Tokens) get(ctx context.Context) (Token, error) {
	t.mu.Lock()
	now, token, renew := t.Now(), t.token, false
	good := t.good(now)
	held := now.Before(t.heldTo)
	if good && !held && !t.renewAt.IsZero() && !now.Before(t.renewAt) {
		t.renewAt, renew = now.Add(earlyRetry), true
	}
	var told Error
	if held { // told again, it is the rest of the time that is left
		told = *t.held
		told.RetryAfter = t.heldTo.Sub(now)
	}
	t.mu.Unlock()
	switch {
	case renew:
		t.flight.begin(ctx, TokenTimeout, t.fetch)
		return token, nil
	case good:
		return token, nil
	case held:
		return Token{}, &told
	}
	return t.flight.do(ctx, TokenTimeout, t.fetch)
}

// good reports whether the token in hand is good.
func (t *Tokens) good(now time.Time) bool {
	return !t.token.Value.IsZero() && (t.token.Expires.IsZero() || now.Before(t.token.Expires))
}

// Held gives until when no call goes, by Now, because the token endpoint asked to be left alone and there is no good token
// in hand; the zero time while calls go.
func (t *Tokens) Held() time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now := t.Now(); t.good(now) || !now.Before(t.heldTo) {
		return time.Time{}
	}
	return t.heldTo
}

// fetch gets a token and keeps it.
func (t *Tokens) fetch(ctx context.Context) (Token, error) {
	t.mu.Lock()
	t.asked = t.Now()
	t.mu.Unlock()
	token, err := t.Fetch(ctx)
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		if e, ok := errors.AsType[*Error](err); ok && e.Cause == Later && e.RetryAfter > 0 {
			held := *e
			held.RetryAfter = min(e.RetryAfter, heldAtMost)
			t.held, t.heldTo, err = &held, t.Now().Add(held.RetryAfter), &held
		}
		return Token{}, err
	}
	t.token, t.held, t.heldTo, t.renewAt = token, nil, time.Time{}, time.Time{}
	if !token.Expires.IsZero() {
		// A token that lives for a minute must not be renewed with every call.
		t.renewAt = token.Expires.Add(-min(token.Early, token.Expires.Sub(t.Now())/2))
	}
	return token, nil
}

// FixedKey is the Authorizer of a key that never changes: Authorization: <Scheme> <Value>.
type FixedKey struct {
	Scheme string
	Value  secret.Value
}

// Authorize sets the key.
func (k FixedKey) Authorize(_ context.Context, req *http.Request) error {
	req.Header.Set("Authorization", k.Scheme+" "+k.Value.Reveal())
	return nil
}

// Refused is always false: there is no other key.
func (k FixedKey) Refused(*http.Request, http.Header) bool { return false }
