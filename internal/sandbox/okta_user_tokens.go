package sandbox

import "net/http"

// userClient resolves the {userId} and {clientId} of a path. The user must be
// given by id: below /clients, /tokens and /grants Okta documents no login.
func userClient(c *call) (user *User, client *OAuthClient, refused *reply) {
	if user = c.w.okta.users[c.param(0)]; user == nil {
		return nil, nil, refuse(oktaNotFound(c, c.param(0), "User"))
	}
	if client = c.w.okta.clients[c.param(1)]; client == nil {
		return nil, nil, refuse(oktaNotFound(c, c.param(1), "PublicClientApp"))
	}
	return user, client, nil
}

func (c *call) userURL(id string) string { return c.origin + "/okta/api/v1/users/" + id }

// oktaUserClients lists the clients for which a user has grants or tokens. It
// has no pages.
func oktaUserClients(c *call) reply {
	u := c.w.okta.users[c.param(0)]
	if u == nil {
		return oktaNotFound(c, c.param(0), "User")
	}
	return reply{status: http.StatusOK, body: c.clientViews(c.w.okta.clientsOf(u.ID), c.userURL(u.ID), true)}
}

// oktaUserTokens lists a user's refresh tokens of one client, of every
// authorization server.
func oktaUserTokens(c *call) reply {
	u, o, refused := userClient(c)
	if refused != nil {
		return *refused
	}
	s, refused := oktaSpan(c, 20)
	if refused != nil {
		return *refused
	}
	page, more := cut(c.w.okta.tokensOf(u.ID, o.ID), c.w.okta.tokens, s, nil)
	return oktaPage(c, c.tokenViews(page, c.userURL(u.ID)), lastOf(page, more))
}

// oktaRevokeUserTokens revokes this user's tokens of this client, and nobody
// else's.
func oktaRevokeUserTokens(c *call) reply {
	u, o, refused := userClient(c)
	if refused != nil {
		return *refused
	}
	c.tokensRevoked(c.w.okta.tokensOf(u.ID, o.ID))
	return noContent()
}

func oktaUserToken(c *call) reply {
	u, o, refused := userClient(c)
	if refused != nil {
		return *refused
	}
	t := c.w.okta.tokens[c.param(2)]
	if t == nil || t.UserID != u.ID || t.ClientID != o.ID {
		return oktaNotFound(c, c.param(2), "OAuth2RefreshTokenTx")
	}
	return reply{status: http.StatusOK, body: c.tokenView(t, c.userURL(u.ID))}
}

func oktaRevokeUserToken(c *call) reply {
	u, o, refused := userClient(c)
	if refused != nil {
		return *refused
	}
	return c.revokeOne(c.param(2), func(t *RefreshToken) bool { return t.UserID == u.ID && t.ClientID == o.ID })
}

// revokeOne revokes a token that belongs where the path says. A second time it
// is 404, or 204 by option.
func (c *call) revokeOne(id string, belongs func(*RefreshToken) bool) reply {
	s := c.w.okta
	if t := s.tokens[id]; t != nil && belongs(t) {
		c.tokensRevoked([]string{id})
		return noContent()
	}
	if _, was := s.revoked[id]; was && c.sb.opt.Okta.RepeatedDeleteOK {
		return noContent()
	}
	return oktaNotFound(c, id, "OAuth2RefreshTokenTx")
}
