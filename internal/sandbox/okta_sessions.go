package sandbox

import (
	"net/http"
	"strconv"
)

// oktaEndSessions ends a user's sessions: with oauthTokens=true their refresh
// tokens too, at every server; with forgetDevices, which is the default, their
// remembered devices. The path takes an id only.
func oktaEndSessions(c *call) reply {
	u := c.w.okta.users[c.param(0)]
	if u == nil {
		return oktaNotFound(c, c.param(0), "User")
	}
	tokens, ok := boolQuery(c, "oauthTokens", false)
	forget, ok2 := boolQuery(c, "forgetDevices", true)
	if !ok || !ok2 {
		return oktaInvalid(c, "oauthTokens, forgetDevices: must be true or false")
	}
	c.sessionsEnd(u.ID)
	if tokens {
		c.tokensRevoked(c.w.okta.userTokens[u.ID])
	}
	if s := c.w.okta; forget && u.RememberedDevices > 0 {
		c.change("okta.devices.forgotten "+u.ID, func() {
			forgotten := *s.users[u.ID]
			forgotten.RememberedDevices = 0
			s.users[u.ID] = &forgotten
		})
	}
	return reply{status: http.StatusNoContent}
}

// boolQuery reads a boolean query parameter; ok is false if it is not one.
func boolQuery(c *call, name string, missing bool) (value, ok bool) {
	raw := c.query.Get(name)
	if raw == "" {
		return missing, true
	}
	value, err := strconv.ParseBool(raw)
	return value, err == nil
}
