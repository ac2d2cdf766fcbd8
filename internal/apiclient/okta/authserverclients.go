package okta

import (
	"context"
	"iter"

	"keyturn/internal/apiclient"
)

// ListAuthServerClients lists the clients for which an authorization server has tokens.
//
//	listOAuth2ClientsForAuthorizationServer  GET /api/v1/authorizationServers/{authServerId}/clients  200, not paged; 401 E0000015, 403, 404, 429
//	scope okta.authorizationServers.read; bucket /api/v1; a repeat is safe
func (c *Client) ListAuthServerClients(ctx context.Context, authServerID string) iter.Seq2[OAuthClient, error] {
	return list(ctx, c, apiclient.Request{
		Op: "okta.listOAuth2ClientsForAuthorizationServer", Path: path("authorizationServers", authServerID, "clients"),
	}, oauthClientID)
}
