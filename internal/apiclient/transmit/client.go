// Package transmit is the client of one application of Transmit Security's Mosaic platform: the clients of that
// application, and how they are made, changed and deleted.
//
// Nearly every reply of this API carries client secrets: they decode into secret.Value and are in no error and no
// printed form. A create is the one call here that must not simply be repeated: the API knows no idempotency key.
package transmit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"keyturn/internal/apiclient"
	"keyturn/internal/secret"
)

// Options says which application is called, and how.
type Options struct {
	BaseURL      string // "https://api.transmitsecurity.io/cis", with the service's name, without /v1
	TokenURL     string // "https://api.transmitsecurity.io/oidc/token", without the service's name
	ClientID     string // of a client of the application
	ClientSecret secret.Value
	apiclient.Wiring
}

// Client calls one application. Make it with New. It is cheap to copy: WithGate.
type Client struct {
	own    string
	api    apiclient.Client
	tokens *apiclient.Tokens
	spread *spread
}

// tokenEarly is how long before its end a token is renewed. It lives an hour (vendor page retrieve_client_tokens).
const tokenEarly = 2 * time.Minute

// New makes the client of one application. It makes no call. Its errors say what is wrong with the options.
func New(o Options) (*Client, error) {
	own := o.Transport != nil
	base, err := apiclient.BaseURL(o.BaseURL, own)
	if err != nil {
		return nil, fmt.Errorf("transmit: %w", err)
	}
	tokenURL, err := apiclient.BaseURL(o.TokenURL, own)
	if err != nil {
		return nil, fmt.Errorf("transmit: token: %w", err)
	}
	if o.ClientID == "" || o.ClientSecret.IsZero() {
		return nil, errors.New("transmit: client id and client secret are needed")
	}
	w := o.Filled()
	// No scope and no resource: a token for risk or verify services is none for these calls.
	cc := &apiclient.ClientCredentials{
		Op: "transmit.token", TokenURL: tokenURL, ClientID: o.ClientID, Secret: o.ClientSecret, Early: tokenEarly,
		Budget: budget(w.Rand), Wiring: w,
	}
	tokens := cc.Tokens()
	return &Client{own: o.ClientID, tokens: tokens, spread: newSpread(w.Now), api: apiclient.Client{
		Base: base, Transport: w.Transport, Auth: tokens, Gate: w.Gate, UserAgent: w.UserAgent(),
		RequestID: []string{"X-Request-Id", "Cf-Ray"},
		Bucket:    w.Routes.Or(func(apiclient.Request) string { return "/v1/clients" }),
		Budget:    budget(w.Rand), Classify: classify, Probe: probe, Verdicts: apiclient.NewVerdicts(w.Now),
	}}, nil
}

// WithGate gives a copy that asks g before each call. It shares token, connections and probes with c.
func (c *Client) WithGate(g apiclient.Gate) *Client {
	api := c.api
	api.Gate = g
	return &Client{own: c.own, api: api, tokens: c.tokens, spread: c.spread}
}

// ClientID is the id of the client whose credential signs the calls: the one that must not be deleted beside others.
func (c *Client) ClientID() string { return c.own }

// TokenHeld gives until when no call goes because the token endpoint asked to be left alone; the zero time while calls go.
func (c *Client) TokenHeld() time.Time { return c.api.TokenHeld() }

// Probe makes a harmless read, to see whether the credential works: the list of clients, which is not paged. It is
// nil, or Denied when the credential is refused, or what kept it from knowing.
func (c *Client) Probe(ctx context.Context) error {
	_, err := c.api.Do(ctx, probeRequest())
	return err
}

// do makes a call. A 403 while the credential itself is fine may be a role that was just given and is not in the
// token yet: it is Later, until the call was made with a token that must have it.
func (c *Client) do(ctx context.Context, q apiclient.Request) (apiclient.Response, error) {
	began := c.spread.now()
	r, err := c.api.Do(ctx, q)
	return r, c.spread.judge(q, began, err, c.tokens)
}

// one reads a reply that is one client.
func (c *Client) one(ctx context.Context, q apiclient.Request) (AppClient, string, error) {
	var client AppClient
	r, err := c.do(ctx, q)
	if err != nil {
		return client, r.RequestID, err
	}
	err = r.Decode(&client)
	if err == nil && client.ClientID == "" {
		err = errors.New("a client without client_id")
	}
	if err != nil {
		return AppClient{}, r.RequestID, r.Unreadable(q.Op, err)
	}
	return client, r.RequestID, nil
}
