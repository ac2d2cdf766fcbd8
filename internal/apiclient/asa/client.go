// Package asa is the client of one team of Okta Advanced Server Access, or of its successor Okta Privileged Access,
// which serves the same resources under another host.
//
// What the vendor calls an ASA Client, the enrolment of a person's device, is a Device here. Two requests of this API
// look harmless and are not: a listing that names neither a user nor "all" shows the caller's own devices, which are
// none; and an empty user name means the devices that belong to nobody. Neither can be asked for with this package.
package asa

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/url"
	"strings"
	"time"

	"keyturn/internal/apiclient"
	"keyturn/internal/secret"
)

// Options says which team is called, and how.
type Options struct {
	BaseURL     string // "https://app.scaleft.com", or "https://acme.pam.okta.com"; with or without /v1
	Team        string // its name, as in the URL of its dashboard
	ServiceUser ServiceUser
	apiclient.Wiring
}

// ServiceUser is the API key of a service user. Its group must have the role access_admin to revoke the devices of
// others (Privileged Access: resource_admin).
type ServiceUser struct {
	KeyID     string
	KeySecret secret.Value
}

// Client calls one team. Make it with New. It is cheap to copy: WithGate.
type Client struct {
	api apiclient.Client
}

// New makes the client of one team. It makes no call. Its errors say what is wrong with the options.
func New(o Options) (*Client, error) {
	base, err := apiclient.BaseURL(o.BaseURL, o.Transport != nil)
	if err != nil {
		return nil, fmt.Errorf("asa: %w", err)
	}
	if o.Team == "" || o.ServiceUser.KeyID == "" || o.ServiceUser.KeySecret.IsZero() {
		return nil, errors.New("asa: team, key id and key secret are needed")
	}
	if strings.Trim(o.Team, ".") == "" {
		return nil, errors.New("asa: team is no name")
	}
	if !strings.HasSuffix(base.Path, "/v1") {
		base = base.JoinPath("v1")
	}
	base = base.JoinPath("teams", url.PathEscape(o.Team))
	w := o.Filled()
	return &Client{api: apiclient.Client{
		Base: base, Transport: w.Transport, Auth: tokens(o, base, w), Gate: w.Gate, UserAgent: w.UserAgent(),
		RequestID: []string{"X-Request-Id", "X-Okta-Request-Id"},
		Bucket:    w.Routes.Or(func(apiclient.Request) string { return "/v1" }, "v1", "teams", o.Team),
		Budget:    budget(w.Rand), Classify: classify, Probe: probe, Verdicts: apiclient.NewVerdicts(w.Now),
	}}, nil
}

// WithGate gives a copy that asks g before each call. It shares token, connections and probes with c.
func (c *Client) WithGate(g apiclient.Gate) *Client {
	api := c.api
	api.Gate = g
	return &Client{api: api}
}

// TokenHeld gives until when no call goes because the token endpoint asked to be left alone; the zero time while calls go.
func (c *Client) TokenHeld() time.Time { return c.api.TokenHeld() }

// Probe makes a harmless read, to see whether the credential works: one page of one device. It is nil, or Denied when
// the credential is refused, or what kept it from knowing.
func (c *Client) Probe(ctx context.Context) error {
	_, err := c.api.Do(ctx, probeRequest())
	return err
}

// list reads a listing, page by page.
func list[T any](ctx context.Context, c *Client, q apiclient.Request, id func(T) string) iter.Seq2[T, error] {
	return apiclient.Listing[T]{Client: &c.api, First: q, Items: page[T], ID: id}.All(ctx)
}

// page reads one page, {"list": […]}. A reply without list is not understood; null may be how an empty one is
// written.
func page[T any](r apiclient.Response) ([]T, error) {
	var body struct {
		List json.RawMessage `json:"list"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	if body.List == nil {
		return nil, errors.New("a reply without list")
	}
	var items []T
	if err := json.Unmarshal(body.List, &items); err != nil {
		return nil, errors.New("a list that cannot be read")
	}
	return items, nil
}

// get reads one object.
func get[T any](ctx context.Context, c *Client, q apiclient.Request, id func(T) string) (T, error) {
	var v T
	r, err := c.api.Do(ctx, q)
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

// refuse makes the error of a call that must not be made.
func refuse(op, why string) error {
	return &apiclient.Error{Op: op, Cause: apiclient.Permanent, Err: fmt.Errorf("refused: %s", why)}
}
