package reads

import (
	"context"
	"slices"

	"keyturn/internal/apiclient/okta"
)

// The filters of Okta's resources.
var (
	byUser   = Filter{Name: "user", Kind: Text, About: "a person: Okta id, login, e-mail or employee number", Required: true}
	byClient = Filter{Name: "client", Kind: Text, About: "client id of an OAuth app", Required: true}
	byServer = Filter{Name: "server", Kind: Text, About: "id of an authorization server, or \"default\"", Required: true}
	byID     = Filter{Name: "id", Kind: Text, About: "the provider's id", Required: true}
	expanded = Filter{Name: "expand", Kind: Flag, About: "have the scopes explained (scope_details)"}
)

// oktaResources is every GET operation of package okta.
func oktaResources() []Resource {
	return slices.Concat(oktaUserResources(), oktaRoleResources(), oktaServerResources())
}

// oktaUserResources are those of a person.
func oktaUserResources() []Resource {
	return []Resource{
		{
			Name: "user", About: "a person by one identifier", Ops: []string{"getUser", "listUsers"},
			Filters: []Filter{
				{Name: "user", Kind: Text, About: byUser.About}, {Name: "id", Kind: Text, About: byID.About},
				{Name: "login", Kind: Text, About: "the whole login"}, {Name: "email", Kind: Text, About: "the whole e-mail address"},
				{Name: "employee-number", Kind: Text, About: "the employee number"},
			},
			OneOf: []string{"user", "id", "login", "email", "employee-number"}, Columns: oktaUserColumns(), open: openUser,
		},
		{
			Name: "user-clients", About: "OAuth clients for which a person has tokens or grants", Ops: []string{"listUserClients"},
			Filters: []Filter{byUser}, Columns: oauthClientColumns(),
			open: ofUser(func(ctx context.Context, c *okta.Client, user string, _ args) Rows {
				return rows(c.ListUserClients(ctx, user), oauthClient)
			}),
		},
		{
			Name: "user-tokens", About: "a person's refresh tokens of one client", Ops: []string{"listRefreshTokensForUserAndClient"},
			Filters: []Filter{byUser, byClient, expanded}, Columns: tokenColumns(),
			open: ofUser(func(ctx context.Context, c *okta.Client, user string, a args) Rows {
				return rows(c.ListUserTokens(ctx, user, a["client"], okta.TokenOptions{Expand: a.on("expand")}), refreshToken)
			}),
		},
		{
			Name: "user-token", About: "one of a person's refresh tokens", Ops: []string{"getRefreshTokenForUserAndClient"},
			Filters: []Filter{byUser, byClient, byID, expanded}, Columns: tokenColumns(),
			open: ofUser(func(ctx context.Context, c *okta.Client, user string, a args) Rows {
				token, err := c.GetUserToken(ctx, user, a["client"], a["id"], a.on("expand"))
				return one(token, err, refreshToken)
			}),
		},
		{
			Name: "user-grants", About: "a person's consents, of one client or of all", Ops: []string{"listUserGrants", "listGrantsForUserAndClient"},
			Filters: []Filter{byUser, {Name: "client", Kind: Text, About: byClient.About},
				{Name: "scope", Kind: Text, About: "only consents to this scope"}},
			Columns: grantColumns(), open: ofUser(userGrants),
		},
	}
}

// oktaServerResources are those of authorization servers.
func oktaServerResources() []Resource {
	return []Resource{
		{
			Name: "servers", About: "custom authorization servers", Ops: []string{"listAuthorizationServers"}, Columns: serverColumns(),
			open: func(ctx context.Context, c Clients, _ args) Rows {
				return rows(c.Okta.ListAuthServers(ctx), authServer)
			},
		},
		{
			Name: "server-clients", About: "OAuth clients for which a server issued tokens", Ops: []string{"listOAuth2ClientsForAuthorizationServer"},
			Filters: []Filter{byServer}, Columns: oauthClientColumns(),
			open: func(ctx context.Context, c Clients, a args) Rows {
				return rows(c.Okta.ListAuthServerClients(ctx, a["server"]), oauthClient)
			},
		},
		{
			Name: "tokens", About: "refresh tokens of a client at a server, of all users", Ops: []string{"listRefreshTokensForAuthorizationServerAndClient"},
			Filters: []Filter{byServer, byClient, expanded}, Columns: tokenColumns(),
			open: func(ctx context.Context, c Clients, a args) Rows {
				return rows(c.Okta.ListAuthServerTokens(ctx, a["server"], a["client"], okta.TokenOptions{Expand: a.on("expand")}), refreshToken)
			},
		},
		{
			Name: "token", About: "one refresh token of a client at a server", Ops: []string{"getRefreshTokenForAuthorizationServerAndClient"},
			Filters: []Filter{byServer, byClient, byID, expanded}, Columns: tokenColumns(),
			open: func(ctx context.Context, c Clients, a args) Rows {
				token, err := c.Okta.GetAuthServerToken(ctx, a["server"], a["client"], a["id"], a.on("expand"))
				return one(token, err, refreshToken)
			},
		},
	}
}

// userGrants lists the grants of one client, or of all. Only the latter knows scopes.
func userGrants(ctx context.Context, c *okta.Client, user string, a args) Rows {
	if a["client"] == "" {
		return rows(c.ListUserGrants(ctx, user, okta.GrantOptions{ScopeID: a["scope"]}), grant)
	}
	if a["scope"] != "" {
		return some[okta.Grant](nil, &Fault{Code: Invalid, Message: "user-grants: --scope and --client cannot be combined",
			Suggestion: "the grants of one client are few: leave --scope out"}, grant)
	}
	return rows(c.ListUserClientGrants(ctx, user, a["client"], okta.GrantOptions{}), grant)
}
