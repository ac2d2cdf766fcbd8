package sandbox

import (
	"net/http"
	"strings"
)

// oktaAuthServers lists the custom authorization servers. Every page that shows
// one has a next link, the last full one too, so that a caller meets an empty
// page at the end: so it was recorded, two servers with limit=200.
func oktaAuthServers(c *call) reply {
	s, refused := oktaSpan(c, 200)
	if refused != nil {
		return *refused
	}
	q := strings.ToLower(c.query.Get("q"))
	page, _ := cut(c.w.okta.serverOrder, c.w.okta.servers, s, func(a *AuthServer) bool {
		return strings.Contains(strings.ToLower(a.Name), q) || strings.Contains(strings.ToLower(a.Audience), q)
	})
	views := make([]oktaServerView, 0, len(page))
	for _, a := range page {
		views = append(views, c.serverView(a))
	}
	return oktaPage(c, views, lastOf(page, true))
}

func oktaAuthServer(c *call) reply {
	a := c.w.okta.servers[c.param(0)]
	if a == nil {
		return oktaNotFound(c, c.param(0), "AuthorizationServer")
	}
	return reply{status: http.StatusOK, body: c.serverView(a)}
}

// serverAndClient resolves the {authServerId} and {clientId} of a path.
func serverAndClient(c *call) (key serverClient, refused *reply) {
	a := c.w.okta.servers[c.param(0)]
	if a == nil {
		return key, refuse(oktaNotFound(c, c.param(0), "AuthorizationServer"))
	}
	o := c.w.okta.clients[c.param(1)]
	if o == nil {
		return key, refuse(oktaNotFound(c, c.param(1), "PublicClientApp"))
	}
	return serverClient{a.ID, o.ID}, nil
}

func (c *call) serverURL(id string) string {
	return c.origin + "/okta/api/v1/authorizationServers/" + id
}

// oktaServerClients lists the clients for which a server has tokens. It has no
// pages.
func oktaServerClients(c *call) reply {
	a := c.w.okta.servers[c.param(0)]
	if a == nil {
		return oktaNotFound(c, c.param(0), "AuthorizationServer")
	}
	return reply{status: http.StatusOK, body: c.clientViews(c.w.okta.clientsAt(a.ID), c.serverURL(a.ID), false)}
}

// oktaServerTokens lists the tokens of a client at a server, of every user.
func oktaServerTokens(c *call) reply {
	key, refused := serverAndClient(c)
	if refused != nil {
		return *refused
	}
	s, refused := oktaSpan(c, 20)
	if refused != nil {
		return *refused
	}
	page, more := cut(c.w.okta.clientTokens[key], c.w.okta.tokens, s, nil)
	return oktaPage(c, c.tokenViews(page, c.serverURL(key.server)), lastOf(page, more))
}

// oktaRevokeServerTokens revokes every user's tokens of a client at a server.
func oktaRevokeServerTokens(c *call) reply {
	key, refused := serverAndClient(c)
	if refused != nil {
		return *refused
	}
	c.tokensRevoked(c.w.okta.clientTokens[key])
	return noContent()
}

func oktaServerToken(c *call) reply {
	key, refused := serverAndClient(c)
	if refused != nil {
		return *refused
	}
	t := c.w.okta.tokens[c.param(2)]
	if t == nil || t.ServerID != key.server || t.ClientID != key.client {
		return oktaNotFound(c, c.param(2), "OAuth2RefreshTokenTx")
	}
	return reply{status: http.StatusOK, body: c.tokenView(t, c.serverURL(key.server))}
}

func oktaRevokeServerToken(c *call) reply {
	key, refused := serverAndClient(c)
	if refused != nil {
		return *refused
	}
	return c.revokeOne(c.param(2), func(t *RefreshToken) bool {
		return t.ServerID == key.server && t.ClientID == key.client
	})
}
