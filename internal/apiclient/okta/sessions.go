package okta

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"keyturn/internal/apiclient"
)

// SessionOptions says what goes with a user's sessions. The vendor's defaults differ between its two engines, so both
// are always sent.
type SessionOptions struct {
	OAuthTokens   bool // also revoke the user's OpenID Connect and OAuth refresh and access tokens
	ForgetDevices bool // also forget the devices that are remembered for sign-in
}

// RevokeUserSessions ends all sessions of a user at Okta. It cannot be read back, and sessions that apps keep by
// themselves go on. A user without sessions gives 204 too.
//
//	revokeUserSessions  DELETE /api/v1/users/{userId}/sessions?oauthTokens=&forgetDevices=  204; 403, 404, 429
//	scope okta.users.manage; bucket /api/v1/users; a repeat ends the sessions begun since
func (c *Client) RevokeUserSessions(ctx context.Context, userID string, o SessionOptions) (requestID string, err error) {
	return c.change(ctx, apiclient.Request{
		Op: "okta.revokeUserSessions", Method: http.MethodDelete, Path: path("users", userID, "sessions"),
		Query: url.Values{
			"oauthTokens":   {strconv.FormatBool(o.OAuthTokens)},
			"forgetDevices": {strconv.FormatBool(o.ForgetDevices)},
		},
	})
}
