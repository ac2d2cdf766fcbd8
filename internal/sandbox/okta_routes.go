package sandbox

import (
	"net/http"
	"slices"
	"strconv"
)

// oktaRoutes are the simulated operations of the Okta Management API and the
// token endpoint.
func oktaRoutes() []*route {
	token := oktaRoute(http.MethodPost, "/okta/oauth2/v1/token", BucketOktaToken, "", oktaIssueToken)
	token.open = true
	return slices.Concat([]*route{token}, oktaUserRoutes(), oktaRoleRoutes(), oktaServerRoutes())
}

// oktaRoute is one operation with the rate bucket that it spends and the scope
// that it asks for.
func oktaRoute(method, pattern, bucket, scope string, h func(*call) reply) *route {
	return &route{vendor: oktaVendor(), method: method, pattern: pattern, bucket: bucket, needs: scope, handle: h}
}

// oktaUserRoutes spend one bucket, but for reading one user (Okta's Terraform
// provider, rate-limit lines).
func oktaUserRoutes() []*route {
	const (
		list   = "/okta/api/v1/users"
		user   = list + "/{userId}"
		client = user + "/clients/{clientId}"
	)
	get := func(pattern string, h func(*call) reply) *route {
		return oktaRoute(http.MethodGet, pattern, BucketOktaUsers, "okta.users.read", h)
	}
	manage := func(method, pattern string, h func(*call) reply) *route {
		return oktaRoute(method, pattern, BucketOktaUsers, "okta.users.manage", h)
	}
	del, post := http.MethodDelete, http.MethodPost
	return []*route{
		get(list, oktaListUsers),
		oktaRoute(http.MethodGet, user, BucketOktaGetUser, "okta.users.read", oktaGetUser),
		manage(post, user+"/lifecycle/suspend", oktaSuspend),
		manage(post, user+"/lifecycle/unsuspend", oktaUnsuspend),
		manage(post, user+"/lifecycle/deactivate", oktaDeactivate),
		manage(del, user+"/sessions", oktaEndSessions),
		get(user+"/clients", oktaUserClients),
		get(client+"/tokens", oktaUserTokens),
		manage(del, client+"/tokens", oktaRevokeUserTokens),
		get(client+"/tokens/{tokenId}", oktaUserToken),
		manage(del, client+"/tokens/{tokenId}", oktaRevokeUserToken),
		get(client+"/grants", oktaUserClientGrants),
		manage(del, client+"/grants", oktaRevokeUserClientGrants),
		get(user+"/grants", oktaUserGrants),
		manage(del, user+"/grants", oktaRevokeUserGrants),
	}
}

// oktaRoleRoutes tell who is an administrator.
func oktaRoleRoutes() []*route {
	const scope = "okta.roles.read"
	return []*route{
		oktaRoute(http.MethodGet, "/okta/api/v1/users/{userId}/roles", BucketOktaUsers, scope, oktaUserRoles),
		oktaRoute(http.MethodGet, "/okta/api/v1/iam/assignees/users", BucketOktaOther, scope, oktaAssignees),
	}
}

// oktaServerRoutes spend the bucket of everything that has none of its own.
func oktaServerRoutes() []*route {
	const (
		list   = "/okta/api/v1/authorizationServers"
		server = list + "/{authServerId}"
		tokens = server + "/clients/{clientId}/tokens"
	)
	get := func(pattern string, h func(*call) reply) *route {
		return oktaRoute(http.MethodGet, pattern, BucketOktaOther, "okta.authorizationServers.read", h)
	}
	del := func(pattern string, h func(*call) reply) *route {
		return oktaRoute(http.MethodDelete, pattern, BucketOktaOther, "okta.authorizationServers.manage", h)
	}
	return []*route{
		get(list, oktaAuthServers),
		get(server, oktaAuthServer),
		get(server+"/clients", oktaServerClients),
		get(tokens, oktaServerTokens),
		del(tokens, oktaRevokeServerTokens),
		get(tokens+"/{tokenId}", oktaServerToken),
		del(tokens+"/{tokenId}", oktaRevokeServerToken),
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
