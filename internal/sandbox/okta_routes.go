package sandbox

import (
	"net/http"
	"strconv"
)

// oktaRoutes are the simulated operations of the Okta Management API, with the
// scope that each asks for and the rate bucket that it spends.
func oktaRoutes() []*route {
	const (
		usersRead   = "okta.users.read"
		usersManage = "okta.users.manage"
		authRead    = "okta.authorizationServers.read"
		authManage  = "okta.authorizationServers.manage"

		users  = "/okta/api/v1/users"
		user   = users + "/{userId}"
		client = user + "/clients/{clientId}"
		auth   = "/okta/api/v1/authorizationServers"
		at     = auth + "/{authServerId}/clients"
	)
	v := oktaVendor()
	r := func(method, pattern, bucket, scope string, h func(*call) reply) *route {
		return &route{vendor: v, method: method, pattern: pattern, bucket: bucket, needs: scope, handle: h}
	}
	get, del, post := http.MethodGet, http.MethodDelete, http.MethodPost
	token := r(post, "/okta/oauth2/v1/token", BucketOktaToken, "", oktaIssueToken)
	token.open = true
	return []*route{
		token,
		r(get, users, BucketOktaUsers, usersRead, oktaListUsers),
		r(get, user, BucketOktaGetUser, usersRead, oktaGetUser),
		r(post, user+"/lifecycle/suspend", BucketOktaUsers, usersManage, oktaSuspend),
		r(post, user+"/lifecycle/unsuspend", BucketOktaUsers, usersManage, oktaUnsuspend),
		r(post, user+"/lifecycle/deactivate", BucketOktaUsers, usersManage, oktaDeactivate),
		r(del, user+"/sessions", BucketOktaUsers, usersManage, oktaEndSessions),

		r(get, user+"/clients", BucketOktaUsers, usersRead, oktaUserClients),
		r(get, client+"/tokens", BucketOktaUsers, usersRead, oktaUserTokens),
		r(del, client+"/tokens", BucketOktaUsers, usersManage, oktaRevokeUserTokens),
		r(get, client+"/tokens/{tokenId}", BucketOktaUsers, usersRead, oktaUserToken),
		r(del, client+"/tokens/{tokenId}", BucketOktaUsers, usersManage, oktaRevokeUserToken),

		r(get, client+"/grants", BucketOktaUsers, usersRead, oktaUserClientGrants),
		r(del, client+"/grants", BucketOktaUsers, usersManage, oktaRevokeUserClientGrants),
		r(get, user+"/grants", BucketOktaUsers, usersRead, oktaUserGrants),
		r(del, user+"/grants", BucketOktaUsers, usersManage, oktaRevokeUserGrants),

		r(get, auth, BucketOktaOther, authRead, oktaAuthServers),
		r(get, auth+"/{authServerId}", BucketOktaOther, authRead, oktaAuthServer),
		r(get, at, BucketOktaOther, authRead, oktaServerClients),
		r(get, at+"/{clientId}/tokens", BucketOktaOther, authRead, oktaServerTokens),
		r(del, at+"/{clientId}/tokens", BucketOktaOther, authManage, oktaRevokeServerTokens),
		r(get, at+"/{clientId}/tokens/{tokenId}", BucketOktaOther, authRead, oktaServerToken),
		r(del, at+"/{clientId}/tokens/{tokenId}", BucketOktaOther, authManage, oktaRevokeServerToken),
	}
}

// oktaSpan reads limit and after. Okta's pages hold at most 200; a larger limit
// is cut to that, and one below 1 (a generated client's default of -1) refused.
func oktaSpan(c *call, defaultLimit int) (span, *reply) {
	s := span{limit: defaultLimit}
	if raw := c.query.Get("limit"); raw != "" {
		n, err := strconv.Atoi(raw)
		if err != nil || n < 1 {
			return s, refuse(oktaInvalid(c, "limit: must be an integer from 1 to 200"))
		}
		s.limit = min(n, 200)
	}
	if after := c.query.Get("after"); after != "" {
		n, ok := c.sb.openCursor(c.r.URL.Path, after)
		if !ok {
			return s, refuse(oktaBadCursor(c))
		}
		s.after = n
	}
	return s, nil
}

// oktaPage is a list with its Link lines: self always, next if last is not 0.
func oktaPage(c *call, body any, last int) reply {
	r := reply{status: http.StatusOK, body: body, header: http.Header{}}
	addLink(r.header, c.linkTo(nil), "self")
	if last > 0 {
		addLink(r.header, c.linkTo(map[string]string{"after": c.sb.cursor(c.r.URL.Path, last)}), "next")
	}
	return r
}

func noContent() reply { return reply{status: http.StatusNoContent} }

// lastOf is the number of a page's last row if there is more behind it.
func lastOf[R record](page []R, more bool) int {
	if !more || len(page) == 0 {
		return 0
	}
	return page[len(page)-1].number()
}
