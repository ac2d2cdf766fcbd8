package apiclient

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"keyturn/internal/secret"
)

// assertionType is the client_assertion_type of a signed JWT (RFC 7523 section 2.2).
const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// ClientCredentials fetches access tokens by the client-credentials grant (RFC 6749 section 4.4), with a client
// secret in the form or with a signed assertion, and with DPoP when the server asks for it.
type ClientCredentials struct {
	Op       string // how its calls are named in errors: "okta.token"
	TokenURL *url.URL
	ClientID string
	Secret   secret.Value // client_secret; empty where Key signs instead
	Key      *SigningKey  // private_key_jwt; nil where Secret is used
	Scopes   []string
	Early    time.Duration         // how long before its end a token is renewed
	DPoP     *DPoP                 // nil = a server that demands DPoP cannot be used
	Budget   func(Response) Budget // how the provider's waits are read
	Wiring   Wiring                // filled

	granted atomic.Pointer[[]string] // of Scopes, those that the server gives; nil = all of them, as far as is known
	ahead   atomic.Int64             // how far the server's clock is ahead of ours, in nanoseconds
}

// clockSlack is how far the server's clock may seem to be off before it is followed: a Date has whole seconds, and a reply
// takes its time.
const clockSlack = 10 * time.Second

// Tokens makes the source that shares the tokens.
func (cc *ClientCredentials) Tokens() *Tokens {
	t := &Tokens{Fetch: cc.Fetch, Now: cc.Wiring.Now}
	if cc.DPoP != nil {
		cc.DPoP.now = cc.now
		t.Prove, t.Nonce = cc.DPoP.Prove, cc.DPoP.Learn
	}
	return t
}

// now is the time by the server's clock, as its newest reply told it. Assertions and proofs are judged by that clock: a
// machine whose own is minutes off would be refused like one with a wrong key, and hold its lane without being of any use.
func (cc *ClientCredentials) now() time.Time {
	return cc.Wiring.Now().Add(time.Duration(cc.ahead.Load()))
}

// learn follows the server's clock, and reports whether what was signed before the reply was dated by another.
func (cc *ClientCredentials) learn(r Response) bool {
	date, ok := Date(r.Header)
	if !ok {
		return false
	}
	ahead := date.Sub(cc.Wiring.Now())
	if ahead.Abs() < clockSlack {
		ahead = 0
	}
	before := time.Duration(cc.ahead.Swap(int64(ahead)))
	return (ahead - before).Abs() >= clockSlack
}

// grant is the reply of a token endpoint (RFC 6749 section 5.1).
type grant struct {
	AccessToken secret.Value `json:"access_token"`
	TokenType   string       `json:"token_type"`
	ExpiresIn   float64      `json:"expires_in"`
	Scope       string       `json:"scope"` // what it was granted for; need not be said where that is what was asked for
}

// Fetch gets one token. A server that demands DPoP says so in two steps, and each of them is a new call with a new
// assertion and a new proof: invalid_dpop_proof without one, then use_dpop_nonce (RFC 9449 section 8). A server that refuses
// what was dated by another clock than its own is asked once more, by its own.
func (cc *ClientCredentials) Fetch(ctx context.Context) (Token, error) {
	asked := cc.Wiring.Now()
	r, err := cc.ask(ctx, cc.Scopes)
	part := scopeRefused(err) && len(cc.Scopes) > 1
	if part {
		r, err = cc.askPart(ctx, err)
	}
	if err != nil {
		return Token{}, err // the token in hand has what it had
	}
	if !part {
		cc.granted.Store(nil)
	}
	var g grant
	if err := r.Decode(&g); err != nil {
		return Token{}, r.Unreadable(cc.Op, err)
	}
	part = cc.partOnly(g) || part
	scheme := "Bearer"
	if strings.EqualFold(g.TokenType, "DPoP") {
		scheme = "DPoP"
	} else if !strings.EqualFold(cmp.Or(g.TokenType, "Bearer"), "Bearer") {
		return Token{}, r.Unreadable(cc.Op, errors.New("unknown token type"))
	}
	if !HeaderSafe(g.AccessToken.Reveal()) {
		return Token{}, r.Unreadable(cc.Op, errors.New("no access token"))
	}
	token := Token{Scheme: scheme, Value: g.AccessToken, Early: cc.Early, Part: part}
	if g.ExpiresIn > 0 {
		life := time.Duration(min(g.ExpiresIn, 86400) * float64(time.Second))
		if part {
			life = min(life, partLife)
		}
		token.Expires = asked.Add(life)
	}
	return token, nil
}

// partLife is how long a token is used that lacks a scope, unless Tokens.Renew comes first: then all are asked for again, as
// somebody may have granted it.
const partLife = 5 * time.Minute

// scopeRefused reports whether the credential was taken, and a scope was not (RFC 6749 section 5.2).
func scopeRefused(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Cause == Denied && e.Code == "invalid_scope"
}

// partOnly reports whether a token has less than what was asked for, as its reply says, and remembers what it has.
func (cc *ClientCredentials) partOnly(g grant) bool {
	granted := strings.Fields(g.Scope)
	if len(granted) == 0 || !slices.ContainsFunc(cc.Scopes, func(s string) bool { return !slices.Contains(granted, s) }) {
		return false
	}
	cc.granted.Store(&granted)
	return true
}

// Lacks reports whether the tokens surely hold neither of two scopes.
func (cc *ClientCredentials) Lacks(scope, wider string) bool {
	scopes := cc.Scopes
	if granted := cc.granted.Load(); granted != nil {
		scopes = *granted
	}
	return !slices.Contains(scopes, scope) && !slices.Contains(scopes, wider)
}

// askPart gets a token with those of the scopes that are granted: one that is not must not take the others along. all is what
// was said of all of them, and no reply says which one it was.
func (cc *ClientCredentials) askPart(ctx context.Context, all error) (Response, error) {
	var granted []string
	for _, scope := range cc.Scopes {
		r, err := cc.ask(ctx, []string{scope})
		switch {
		case err == nil:
			granted = append(granted, scope)
		case !scopeRefused(err):
			return r, err
		}
	}
	if len(granted) == 0 {
		return Response{}, all
	}
	r, err := cc.ask(ctx, granted)
	if err == nil {
		cc.granted.Store(&granted)
	}
	return r, err
}

// ask gets a token with some scopes, in as many steps as it takes.
func (cc *ClientCredentials) ask(ctx context.Context, scopes []string) (Response, error) {
	r, err := cc.call(ctx, scopes)
	if cc.learn(r) && CauseOf(err) == Denied && cc.Key != nil {
		r, err = cc.call(ctx, scopes)
	}
	for step := 0; step < 2 && err != nil && cc.DPoP != nil && cc.DPoP.wanted(r, err); step++ {
		r, err = cc.call(ctx, scopes)
	}
	return r, err
}

// call asks the token endpoint once.
func (cc *ClientCredentials) call(ctx context.Context, scopes []string) (Response, error) {
	form := url.Values{"grant_type": {"client_credentials"}}
	if len(scopes) > 0 {
		form.Set("scope", strings.Join(scopes, " "))
	}
	if cc.Key != nil {
		// A clock that is ahead by less than clockSlack is not followed, and a server may refuse what was issued in its future.
		assertion, err := cc.Key.Assert(cc.ClientID, cc.TokenURL.String(), cc.now().Add(-clockSlack))
		if err != nil {
			return Response{}, &Error{Op: cc.Op, Cause: Denied, Err: err}
		}
		form.Set("client_assertion_type", assertionType)
		form.Set("client_assertion", assertion)
	} else {
		form.Set("client_id", cc.ClientID)
		form.Set("client_secret", cc.Secret.Reveal())
	}
	client := TokenEndpoint(cc.TokenURL, cc.Budget, cc.Wiring)
	if cc.DPoP != nil {
		client.Auth = cc.DPoP
	}
	return client.Do(ctx, Request{Op: cc.Op, Method: http.MethodPost, Form: form})
}

// TokenEndpoint makes the client of a token endpoint. A refusal there is always Denied: no action is at fault. It has
// no gate: one call an hour is no matter of pace, and a token is needed before the pace of anything can be known.
func TokenEndpoint(at *url.URL, budget func(Response) Budget, w Wiring) *Client {
	return &Client{
		Base: at, Transport: w.Transport, UserAgent: w.UserAgent(), Timeout: TokenTimeout / 2,
		RequestID: []string{"X-Okta-Request-Id", "X-Request-Id", "Cf-Ray"},
		Budget:    budget, Classify: classifyToken,
	}
}

// classifyToken reads OAuth's error object (RFC 6749 section 5.2), of which nothing but the code goes further.
func classifyToken(q Request, r Response, b Budget) *Error {
	if r.OK() {
		return nil
	}
	var body struct {
		Error     any    `json:"error"`
		ErrorCode string `json:"errorCode"`
	}
	_ = r.Decode(&body)
	code, _ := body.Error.(string)
	e := &Error{Op: q.Op, Status: r.Status, Code: Word(cmp.Or(code, body.ErrorCode)), RequestID: r.RequestID}
	switch {
	case r.Status == http.StatusTooManyRequests, r.Status == http.StatusServiceUnavailable && b.Wait > 0:
		e.Cause, e.RetryAfter = Later, b.Wait
	case r.Status >= 500, r.Status == http.StatusRequestTimeout, r.Status < 400, code == "temporarily_unavailable":
		e.Cause = Transient
	default:
		e.Cause, e.Err = Denied, errors.New("the token endpoint refuses the credential")
	}
	return e
}

// HeaderSafe reports whether s can stand in a header.
func HeaderSafe(s string) bool { return s != "" && Printable(s, len(s)) == s }

// newID gives 128 random bits, for a jti.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return fmt.Sprintf("%x", b)
}
