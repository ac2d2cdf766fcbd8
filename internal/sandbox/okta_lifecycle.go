package sandbox

import "net/http"

// emptyObject is the body of a lifecycle call's success.
type emptyObject struct{}

// oktaSuspend takes ACTIVE users only. It ends the sessions; whether tokens
// survive is an option.
func oktaSuspend(c *call) reply {
	u := c.w.okta.byLogin(c.param(0))
	if u == nil {
		return oktaNotFound(c, c.param(0), "User")
	}
	if u.Status != StatusActive {
		return oktaInvalid(c, "Cannot suspend a user that is not active")
	}
	c.statusBecomes(u.ID, StatusSuspended, "okta.user.suspended ")
	c.sessionsEnd(u.ID)
	if c.sb.opt.Okta.SuspendRevokesTokens {
		c.tokensRevoked(c.w.okta.userTokens[u.ID])
	}
	return reply{status: http.StatusOK, body: emptyObject{}}
}

// oktaUnsuspend takes SUSPENDED users only.
func oktaUnsuspend(c *call) reply {
	u := c.w.okta.byLogin(c.param(0))
	if u == nil {
		return oktaNotFound(c, c.param(0), "User")
	}
	if u.Status != StatusSuspended {
		return oktaInvalid(c, "Cannot unsuspend a user that is not suspended")
	}
	c.statusBecomes(u.ID, StatusActive, "okta.user.unsuspended ")
	return reply{status: http.StatusOK, body: emptyObject{}}
}

// oktaDeactivate revokes sessions and tokens with the status. A DEPROVISIONED
// user is reported as not found, although reading finds them
// (okta/okta-sdk-java issue 721).
func oktaDeactivate(c *call) reply {
	u := c.w.okta.byLogin(c.param(0))
	if u == nil || u.Status == StatusDeprovisioned {
		return oktaNotFound(c, c.param(0), "User")
	}
	c.statusBecomes(u.ID, StatusDeprovisioned, "okta.user.deactivated ")
	c.sessionsEnd(u.ID)
	c.tokensRevoked(c.w.okta.userTokens[u.ID])
	if c.sb.opt.Okta.DeactivateNoContent {
		return noContent()
	}
	return reply{status: http.StatusOK, body: emptyObject{}}
}

func (c *call) statusBecomes(userID, status, effect string) {
	s, at := c.w.okta, c.now
	c.change(effect+userID, func() { s.putStatus(userID, status, at) })
}
