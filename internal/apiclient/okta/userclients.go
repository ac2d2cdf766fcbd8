package okta

import (
	"context"
	"iter"

	"keyturn/internal/apiclient"
)

// OAuthClient is an OAuth client that holds grants or tokens.
type OAuthClient struct {
	ClientID   string `json:"client_id"`
	ClientName string `json:"client_name"`
	ClientURI  string `json:"client_uri"`
	LogoURI    string `json:"logo_uri"`
}

func oauthClientID(c OAuthClient) string { return c.ClientID }

// ListUserClients lists the clients for which a user has grants or tokens, on any authorization server.
//
//	listUserClients  GET /api/v1/users/{userId}/clients  200, not paged; 403, 404, 429
//	scope okta.users.read; bucket /api/v1/users; a repeat is safe
func (c *Client) ListUserClients(ctx context.Context, userID string) iter.Seq2[OAuthClient, error] {
	return list(ctx, c, apiclient.Request{Op: "okta.listUserClients", Path: path("users", userID, "clients")}, oauthClientID)
}
