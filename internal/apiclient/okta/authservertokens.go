package okta

import (
	"context"
	"iter"
	"net/http"

	"keyturn/internal/apiclient"
)

// ListAuthServerTokens lists the refresh tokens that an authorization server issued for a client, of all users.
//
//	listRefreshTokensForAuthorizationServerAndClient  GET /api/v1/authorizationServers/{authServerId}/clients/{clientId}/tokens  200, paged; 401 E0000015, 403, 404, 429
//	scope okta.authorizationServers.read; bucket /api/v1; a repeat is safe
func (c *Client) ListAuthServerTokens(ctx context.Context, authServerID, clientID string, o TokenOptions) iter.Seq2[RefreshToken, error] {
	return list(ctx, c, apiclient.Request{
		Op:   "okta.listRefreshTokensForAuthorizationServerAndClient",
		Path: path("authorizationServers", authServerID, "clients", clientID, "tokens"), Query: o.query(),
	}, tokenID)
}

// GetAuthServerToken reads one refresh token.
//
//	getRefreshTokenForAuthorizationServerAndClient  GET /api/v1/authorizationServers/{authServerId}/clients/{clientId}/tokens/{tokenId}  200; 401 E0000015, 403, 404, 429
//	scope okta.authorizationServers.read; bucket /api/v1; a repeat is safe
func (c *Client) GetAuthServerToken(ctx context.Context, authServerID, clientID, token string, expand bool) (RefreshToken, error) {
	return get(ctx, c, apiclient.Request{
		Op:    "okta.getRefreshTokenForAuthorizationServerAndClient",
		Path:  path("authorizationServers", authServerID, "clients", clientID, "tokens", token),
		Query: expandScope(expand),
	}, tokenID)
}

// RevokeAuthServerToken revokes one refresh token, and the access tokens that were issued with it. A token that is
// gone gives 404 E0000007 (AlreadyDone).
//
//	revokeRefreshTokenForAuthorizationServerAndClient  DELETE /api/v1/authorizationServers/{authServerId}/clients/{clientId}/tokens/{tokenId}  204; 403, 404, 429
//	scope okta.authorizationServers.manage; bucket /api/v1; a repeat is safe
func (c *Client) RevokeAuthServerToken(ctx context.Context, authServerID, clientID, token string) (requestID string, err error) {
	return c.change(ctx, apiclient.Request{
		Op: "okta.revokeRefreshTokenForAuthorizationServerAndClient", Method: http.MethodDelete,
		Path: path("authorizationServers", authServerID, "clients", clientID, "tokens", token),
	})
}

// RevokeAuthServerTokensOfAllUsers revokes every refresh token that an authorization server issued for a client: it
// signs out every user of that client. The operation knows no user; for one person use RevokeUserTokens.
//
//	revokeRefreshTokensForAuthorizationServerAndClient  DELETE /api/v1/authorizationServers/{authServerId}/clients/{clientId}/tokens  204; 403, 404, 429
//	scope okta.authorizationServers.manage; bucket /api/v1; a repeat is safe
func (c *Client) RevokeAuthServerTokensOfAllUsers(ctx context.Context, authServerID, clientID string) (requestID string, err error) {
	return c.change(ctx, apiclient.Request{
		Op: "okta.revokeRefreshTokensForAuthorizationServerAndClient", Method: http.MethodDelete,
		Path: path("authorizationServers", authServerID, "clients", clientID, "tokens"),
	})
}
