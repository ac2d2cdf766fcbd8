package okta

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"time"

	"keyturn/internal/apiclient"
)

// Status of a grant.
const (
	GrantActive  = "ACTIVE"
	GrantRevoked = "REVOKED"
)

// Grant is a user's consent that a client may have a scope. It outlives the tokens: while it stands, the next sign-in
// asks for no consent.
type Grant struct {
	ID          string    `json:"id"` // "oag…"
	Status      string    `json:"status"`
	ClientID    string    `json:"clientId"`
	UserID      string    `json:"userId"`
	Issuer      string    `json:"issuer"`
	ScopeID     string    `json:"scopeId"`
	Source      string    `json:"source"` // "END_USER" or "ADMIN"
	Created     time.Time `json:"created"`
	LastUpdated time.Time `json:"lastUpdated"`
}

// Live reports whether the grant still stands: everything but REVOKED.
func (g Grant) Live() bool { return g.Status != GrantRevoked }

// GrantOptions shapes a listing of grants.
type GrantOptions struct {
	ScopeID string // only this scope; empty = all. ListUserGrants alone knows it
	Expand  bool   // have Okta look the scope up as well
	Limit   int    // per page, 1..200; 0 = 200
}

func (o GrantOptions) query() url.Values {
	q := url.Values{"limit": {pageLimit(o.Limit)}}
	if o.Expand {
		q.Set("expand", "scope")
	}
	if o.ScopeID != "" {
		q.Set("scopeId", o.ScopeID)
	}
	return q
}

func grantID(g Grant) string { return g.ID }

// ListUserGrants lists all grants of a user.
//
//	listUserGrants  GET /api/v1/users/{userId}/grants  200, paged; 403, 404, 429
//	scope okta.users.read; bucket /api/v1/users; a repeat is safe
func (c *Client) ListUserGrants(ctx context.Context, userID string, o GrantOptions) iter.Seq2[Grant, error] {
	return list(ctx, c, apiclient.Request{
		Op: "okta.listUserGrants", Path: path("users", userID, "grants"), Query: o.query(),
	}, grantID)
}

// RevokeUserGrants revokes all grants of a user.
//
//	revokeUserGrants  DELETE /api/v1/users/{userId}/grants  204, also when there are none; 403, 404, 429
//	scope okta.users.manage; bucket /api/v1/users; a repeat is safe
func (c *Client) RevokeUserGrants(ctx context.Context, userID string) (requestID string, err error) {
	return c.change(ctx, apiclient.Request{
		Op: "okta.revokeUserGrants", Method: http.MethodDelete, Path: path("users", userID, "grants"),
	})
}

// ListUserClientGrants lists a user's grants to one client.
//
//	listGrantsForUserAndClient  GET /api/v1/users/{userId}/clients/{clientId}/grants  200, paged; 403, 404, 429
//	scope okta.users.read; bucket /api/v1/users; a repeat is safe
func (c *Client) ListUserClientGrants(ctx context.Context, userID, clientID string, o GrantOptions) iter.Seq2[Grant, error] {
	o.ScopeID = "" // the operation does not know it, and would give all grants as if they were of that scope
	return list(ctx, c, apiclient.Request{
		Op: "okta.listGrantsForUserAndClient", Path: path("users", userID, "clients", clientID, "grants"), Query: o.query(),
	}, grantID)
}

// RevokeUserClientGrants revokes a user's grants to one client.
//
//	revokeGrantsForUserAndClient  DELETE /api/v1/users/{userId}/clients/{clientId}/grants  204; 403, 404, 429
//	scope okta.users.manage; bucket /api/v1/users; a repeat is safe
func (c *Client) RevokeUserClientGrants(ctx context.Context, userID, clientID string) (requestID string, err error) {
	return c.change(ctx, apiclient.Request{
		Op: "okta.revokeGrantsForUserAndClient", Method: http.MethodDelete,
		Path: path("users", userID, "clients", clientID, "grants"),
	})
}
