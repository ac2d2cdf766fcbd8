// Package okta is the client of one Okta org: the calls of the Okta Management API that Keyturn makes, one file per
// resource, each call named as the vendor names it.
//
// It says what a reply means in classify.go and nowhere else. It neither sleeps nor retries. Every user id it takes
// but GetUser's must be an id: only that call, and the lifecycle calls, take a login too, and a login can be given to
// somebody else between two calls.
package okta

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"time"

	"keyturn/internal/apiclient"
	"keyturn/internal/secret"
)

// Options says which org is called, and how. Either SSWS or ServiceApp is set.
type Options struct {
	BaseURL string // "https://acme.okta.com": the org's domain or a custom one, without /api/v1
	// SSWS is an API token. It has all rights of the admin who made it, and dies with that admin's account.
	SSWS secret.Value
	// ServiceApp is an API service app, which the vendor recommends.
	ServiceApp *ServiceApp
	apiclient.Wiring
}

// ServiceApp is the credential of an API service app: private_key_jwt is the only method that gets Okta's own scopes
// (vendor page implement-oauth-for-okta-serviceapp).
type ServiceApp struct {
	ClientID   string
	KeyID      string       // kid of the key at Okta; may be empty for a JWK that names it
	PrivateKey secret.Value // PEM or JWK, RSA or EC
	Algorithm  string       // RS256, RS384, RS512, ES256, ES384, ES512; empty = what fits the key
	Scopes     []string     // "okta.users.manage" …; each must be granted to the app, and an admin role beside it
}

// Client calls one org. Make it with New. It is cheap to copy: WithGate.
type Client struct {
	api   apiclient.Client
	owner *owner // of the credential; shared by all copies
}

// tokenEarly is how long before its end a service app's token is renewed. It lives an hour (vendor page
// implement-oauth-for-okta-serviceapp).
const tokenEarly = 2 * time.Minute

// New makes the client of one org. It makes no call. Its errors say what is wrong with the options, without a secret.
func New(o Options) (*Client, error) {
	base, err := apiclient.BaseURL(o.BaseURL, o.Transport != nil)
	if err != nil {
		return nil, fmt.Errorf("okta: %w", err)
	}
	w := o.Filled()
	auth, lacks, err := authorizer(o, base, w)
	if err != nil {
		return nil, fmt.Errorf("okta: %w", err)
	}
	return &Client{owner: &owner{none: o.SSWS.IsZero()}, api: apiclient.Client{
		Base: base, Transport: w.Transport, Auth: auth, Gate: w.Gate, UserAgent: w.UserAgent(),
		RequestID: []string{"X-Okta-Request-Id"},
		Bucket:    w.Routes.Or(bucket), Budget: budget(w.Rand), Classify: classify, Stale: stale,
		Probe: probe, Probes: []apiclient.Request{usersProbe(), authServersProbe()}, Needs: needs, Lacks: lacks,
		Verdicts: apiclient.NewVerdicts(w.Now),
	}}, nil
}

// WithGate gives a copy that asks g before each call. It shares token, connections and probes with c.
func (c *Client) WithGate(g apiclient.Gate) *Client {
	api := c.api
	api.Gate = g
	return &Client{api: api, owner: c.owner}
}

// TokenHeld gives until when no call goes because the token endpoint asked to be left alone; the zero time while calls go.
func (c *Client) TokenHeld() time.Time { return c.api.TokenHeld() }

// Renew fetches another token where the one in hand lacks a scope, which may have been granted since, unless one was asked for
// less than age ago.
func (c *Client) Renew(ctx context.Context, age time.Duration) { c.api.Renew(ctx, age) }

// Probe makes a harmless read, to see whether the credential works: listUsers with a limit of one, or, where it may not
// do that, listAuthorizationServers. It is nil, or Denied when the credential is refused, or what kept it from knowing.
func (c *Client) Probe(ctx context.Context) error { return c.api.Check(ctx) }

// authorizer makes what signs the calls, and says which scopes it surely has not got; to manage is to read as well.
func authorizer(o Options, base *url.URL, w apiclient.Wiring) (auth apiclient.Authorizer, lacks func(string) bool, err error) {
	switch {
	case o.SSWS.IsZero() == (o.ServiceApp == nil):
		return nil, nil, errors.New("one credential is needed: either an API token or a service app")
	case o.ServiceApp == nil:
		return apiclient.FixedKey{Scheme: "SSWS", Value: o.SSWS}, nil, nil
	}
	app := o.ServiceApp
	if app.ClientID == "" || len(app.Scopes) == 0 {
		return nil, nil, errors.New("service app: client id and scopes are needed")
	}
	key, err := apiclient.ParseSigningKey(app.PrivateKey, app.KeyID, app.Algorithm)
	if err != nil {
		return nil, nil, fmt.Errorf("service app: %w", err)
	}
	dpop, err := apiclient.NewDPoP(w.Now)
	if err != nil {
		return nil, nil, fmt.Errorf("service app: %w", err)
	}
	cc := &apiclient.ClientCredentials{
		Op: "okta.token", TokenURL: base.JoinPath("oauth2", "v1", "token"), ClientID: app.ClientID, Key: key,
		Scopes: app.Scopes, Early: tokenEarly, DPoP: dpop, Budget: budget(w.Rand), Wiring: w,
	}
	lacks = func(right string) bool { return cc.Lacks(right, strings.TrimSuffix(right, ".read")+".manage") }
	return cc.Tokens(), lacks, nil
}

// path gives elements below /api/v1.
func path(elements ...string) []string { return append([]string{"api", "v1"}, elements...) }

// do makes a call. Okta reads "me" in place of a user's id as the owner of the credential: nobody else's offboarding
// may end there.
func (c *Client) do(ctx context.Context, q apiclient.Request) (apiclient.Response, error) {
	if ownUser(q) {
		return apiclient.Response{}, refuse(q.Op, ownUserText)
	}
	return c.api.Do(ctx, q)
}

const ownUserText = `"me" is the credential's own user`

func ownUser(q apiclient.Request) bool {
	return len(q.Path) > 3 && q.Path[2] == "users" && strings.EqualFold(q.Path[3], "me")
}

// change makes a call that changes something, and gives its request id, for the ledger.
func (c *Client) change(ctx context.Context, q apiclient.Request) (requestID string, err error) {
	r, err := c.do(ctx, q)
	return r.RequestID, err
}

// get reads one object.
func get[T any](ctx context.Context, c *Client, q apiclient.Request, id func(T) string) (T, error) {
	var v T
	r, err := c.do(ctx, q)
	if err != nil {
		return v, err
	}
	err = r.Decode(&v)
	if err == nil && id(v) == "" {
		err = errors.New("an object without id")
	}
	if err != nil {
		var zero T
		return zero, r.Unreadable(q.Op, err)
	}
	return v, nil
}

// list reads a listing, page by page.
func list[T any](ctx context.Context, c *Client, q apiclient.Request, id func(T) string) iter.Seq2[T, error] {
	if ownUser(q) {
		return apiclient.Failed[T](refuse(q.Op, ownUserText))
	}
	return apiclient.Listing[T]{Client: &c.api, First: q, Items: page[T], ID: id, Stale: staleCursor}.All(ctx)
}

// page reads one page: a JSON array. null is none, for Okta never sends it.
func page[T any](r apiclient.Response) ([]T, error) {
	var items []T
	if err := r.Decode(&items); err != nil {
		return nil, err
	}
	if items == nil {
		return nil, errors.New("null in place of a list")
	}
	return items, nil
}

// staleCursor reports whether a page was refused for its cursor: 400 E0000031 "Invalid cursor".
func staleCursor(err error) bool {
	e, ok := errors.AsType[*apiclient.Error](err)
	return ok && e.Status == http.StatusBadRequest && e.Code == "E0000031"
}
