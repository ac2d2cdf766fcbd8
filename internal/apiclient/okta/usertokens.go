package okta

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"net/url"
	"time"

	"keyturn/internal/apiclient"
)

// Status of a refresh token.
const (
	TokenActive  = "ACTIVE"
	TokenRevoked = "REVOKED"
)

// RefreshToken is what Okta tells of a refresh token. Its value is never told.
type RefreshToken struct {
	ID          string    `json:"id"` // "oar…"
	Status      string    `json:"status"`
	ClientID    string    `json:"clientId"`
	UserID      string    `json:"userId"`
	Issuer      string    `json:"issuer"` // URL of the authorization server that issued it
	Scopes      []string  `json:"scopes"`
	Created     time.Time `json:"created"`
	LastUpdated time.Time `json:"lastUpdated"`
	ExpiresAt   time.Time `json:"expiresAt"`
	// ScopeDetails is set when the call asked for it.
	ScopeDetails []Scope `json:"-"`
}

// Scope is one scope of a token, in detail.
type Scope struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	DisplayName string `json:"displayName"`
	Description string `json:"description"`
}

// UnmarshalJSON reads both spellings of the client: the schema and what is really sent say clientId, an example of
// the vendor's says client_id.
func (t *RefreshToken) UnmarshalJSON(b []byte) error {
	type plain RefreshToken
	wire := struct {
		*plain
		SnakeClientID string `json:"client_id"`
		SnakeUserID   string `json:"user_id"`
		Embedded      struct {
			Scopes []Scope `json:"scopes"`
		} `json:"_embedded"`
	}{plain: (*plain)(t)}
	if err := json.Unmarshal(b, &wire); err != nil {
		return err
	}
	if t.ClientID == "" {
		t.ClientID = wire.SnakeClientID
	}
	if t.UserID == "" {
		t.UserID = wire.SnakeUserID
	}
	t.ScopeDetails = wire.Embedded.Scopes
	return nil
}

// Live reports whether the token can still be used: everything but REVOKED, for a status that nobody knows yet must
// not pass for a revocation.
func (t RefreshToken) Live() bool { return t.Status != TokenRevoked }

// TokenOptions shapes a listing of tokens.
type TokenOptions struct {
	Expand bool // fill ScopeDetails
	Limit  int  // per page, 1..200; 0 = 200, the most that Okta gives
}

// query gives limit and expand. Okta's own documents give -1 as the default limit: it is never sent.
func (o TokenOptions) query() url.Values {
	q := url.Values{"limit": {pageLimit(o.Limit)}}
	if o.Expand {
		q.Set("expand", "scope")
	}
	return q
}

func tokenID(t RefreshToken) string { return t.ID }

// ListUserTokens lists one user's refresh tokens of one client, on every authorization server.
//
//	listRefreshTokensForUserAndClient  GET /api/v1/users/{userId}/clients/{clientId}/tokens  200, paged; 403, 404, 429
//	scope okta.users.read; bucket /api/v1/users; a repeat is safe
func (c *Client) ListUserTokens(ctx context.Context, userID, clientID string, o TokenOptions) iter.Seq2[RefreshToken, error] {
	return list(ctx, c, apiclient.Request{
		Op: "okta.listRefreshTokensForUserAndClient", Path: path("users", userID, "clients", clientID, "tokens"), Query: o.query(),
	}, tokenID)
}

// GetUserToken reads one of a user's refresh tokens.
//
//	getRefreshTokenForUserAndClient  GET /api/v1/users/{userId}/clients/{clientId}/tokens/{tokenId}  200; 403, 404, 429
//	scope okta.users.read; bucket /api/v1/users; a repeat is safe
func (c *Client) GetUserToken(ctx context.Context, userID, clientID, token string, expand bool) (RefreshToken, error) {
	return get(ctx, c, apiclient.Request{
		Op:    "okta.getRefreshTokenForUserAndClient",
		Path:  path("users", userID, "clients", clientID, "tokens", token),
		Query: expandScope(expand),
	}, tokenID)
}

// RevokeUserToken revokes one of a user's refresh tokens, and the access tokens that were issued with it. A token
// that is gone gives 404 E0000007 (AlreadyDone).
//
//	revokeTokenForUserAndClient  DELETE /api/v1/users/{userId}/clients/{clientId}/tokens/{tokenId}  204; 403, 404, 429
//	scope okta.users.manage; bucket /api/v1/users; a repeat is safe
func (c *Client) RevokeUserToken(ctx context.Context, userID, clientID, tokenID string) (requestID string, err error) {
	return c.change(ctx, apiclient.Request{
		Op: "okta.revokeTokenForUserAndClient", Method: http.MethodDelete,
		Path: path("users", userID, "clients", clientID, "tokens", tokenID),
	})
}

// RevokeUserTokens revokes all refresh tokens of one user and one client. Nobody else is touched. Access tokens that
// were issued without a refresh token live on until they expire.
//
//	revokeTokensForUserAndClient  DELETE /api/v1/users/{userId}/clients/{clientId}/tokens  204, also when there are none; 403, 404, 429
//	scope okta.users.manage; bucket /api/v1/users; a repeat is safe
func (c *Client) RevokeUserTokens(ctx context.Context, userID, clientID string) (requestID string, err error) {
	return c.change(ctx, apiclient.Request{
		Op: "okta.revokeTokensForUserAndClient", Method: http.MethodDelete,
		Path: path("users", userID, "clients", clientID, "tokens"),
	})
}
