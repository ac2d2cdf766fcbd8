package sandbox

import "net/http"

// oktaUserGrants lists all grants of a user, of one scope if scopeId is given.
func oktaUserGrants(c *call) reply {
	u := c.w.okta.users[c.param(0)]
	if u == nil {
		return oktaNotFound(c, c.param(0), "User")
	}
	scope := c.query.Get("scopeId")
	return c.grantPage(c.w.okta.userGrants[u.ID], func(g *Grant) bool { return scope == "" || g.Scope == scope })
}

// oktaRevokeUserGrants revokes all grants of a user; their tokens live on.
func oktaRevokeUserGrants(c *call) reply {
	u := c.w.okta.users[c.param(0)]
	if u == nil {
		return oktaNotFound(c, c.param(0), "User")
	}
	c.grantsRevoked(c.w.okta.userGrants[u.ID])
	return reply{status: http.StatusNoContent}
}

func oktaUserClientGrants(c *call) reply {
	u, o, refused := userClient(c)
	if refused != nil {
		return *refused
	}
	return c.grantPage(c.w.okta.grantsOf(u.ID, o.ID), nil)
}

func oktaRevokeUserClientGrants(c *call) reply {
	u, o, refused := userClient(c)
	if refused != nil {
		return *refused
	}
	c.grantsRevoked(c.w.okta.grantsOf(u.ID, o.ID))
	return noContent()
}

func (c *call) grantPage(ids []string, keep func(*Grant) bool) reply {
	s, refused := oktaSpan(c, 20)
	if refused != nil {
		return *refused
	}
	page, more := cut(ids, c.w.okta.grants, s, keep)
	return oktaPage(c, c.grantViews(page), lastOf(page, more))
}
