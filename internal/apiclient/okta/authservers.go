package okta

import (
	"context"
	"iter"
	"net/url"
	"strconv"
	"time"

	"keyturn/internal/apiclient"
)

// DefaultAuthServer names the custom authorization server that an org is given at first. The org's own server is not
// a custom one, has no id, and is in no listing.
const DefaultAuthServer = "default"

// AuthServer is a custom authorization server.
type AuthServer struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Issuer    string    `json:"issuer"`
	Audiences []string  `json:"audiences"`
	Status    string    `json:"status"` // "ACTIVE" or "INACTIVE"
	Created   time.Time `json:"created"`
}

func authServerID(s AuthServer) string { return s.ID }

// ListAuthServers lists the custom authorization servers. In an org without API Access Management its error wraps
// ErrNoAuthServers: there are none.
//
//	listAuthorizationServers  GET /api/v1/authorizationServers  200, paged; 401 E0000015, 403, 429
//	scope okta.authorizationServers.read; bucket /api/v1; a repeat is safe
func (c *Client) ListAuthServers(ctx context.Context) iter.Seq2[AuthServer, error] {
	return list(ctx, c, apiclient.Request{
		Op: "okta.listAuthorizationServers", Path: path("authorizationServers"), Query: url.Values{"limit": {pageLimit(0)}},
	}, authServerID)
}

// maxPage is the most items that Okta gives on one page of tokens, grants, users or authorization servers.
const maxPage = 200

// pageLimit gives the limit to send: what was asked for, within 1..200, or 200.
func pageLimit(n int) string {
	if n <= 0 || n > maxPage {
		n = maxPage
	}
	return strconv.Itoa(n)
}

// expandScope asks for the details of scopes.
func expandScope(on bool) url.Values {
	if !on {
		return nil
	}
	return url.Values{"expand": {"scope"}}
}
