package reads

import (
	"cmp"
	"context"
	"iter"
	"slices"
	"strings"

	"keyturn/internal/apiclient/okta"
)

// noUser, noClient and noToken are ids in Okta's form that nobody has.
const (
	noUser   = "00u00000000000000000"
	noClient = "0oa00000000000000000"
	noToken  = "oar00000000000000000"
)

// oktaScopes gives the scope of the operations below a path, for reading and for changing (vendor page oauth2-scopes).
const (
	readUsers     = "okta.users.read"
	manageUsers   = "okta.users.manage"
	readServers   = "okta.authorizationServers.read"
	manageServers = "okta.authorizationServers.manage"
	readRoles     = "okta.roles.read"
)

// checkOkta tries the operations of package okta.
func checkOkta(ctx context.Context, t *trial, c *okta.Client) {
	if t.rights.Kind == "service_app" {
		t.tokenOp = "okta.token"
		t.tokenIs = "Check client_id, key_id and private_key of the service app, that its public key is registered and active, " +
			"that it is active, and that every scope asked for is granted to it"
	}
	token := oktaServers(ctx, t, c)
	oktaUsers(ctx, t, c, token)
	if t.rights.Admins {
		oktaAdmins(ctx, t, c)
	}
	t.oktaChanges(manageUsers, "okta.suspendUser", "okta.unsuspendUser", "okta.deactivateUser", "okta.revokeUserSessions",
		"okta.revokeTokensForUserAndClient", "okta.revokeUserGrants")
	t.oktaChanges(manageServers, "okta.revokeRefreshTokensForAuthorizationServerAndClient",
		"okta.revokeRefreshTokenForAuthorizationServerAndClient")
}

// oktaRead is an operation that reads, with what helps when it is refused.
func (t *trial) oktaRead(op, scope string) Operation {
	o := Operation{Op: "okta." + op, Needs: scope}
	manage := strings.TrimSuffix(scope, ".read") + ".manage"
	switch {
	case t.rights.Kind != "service_app":
		o.Fix = "Make a new API token as an admin who may see this; the token dies with that admin's account"
	case !slices.Contains(t.rights.Scopes, scope) && !slices.Contains(t.rights.Scopes, manage):
		o.Fix = "Add " + scope + " to auth.service_app.scopes, and grant it to the app"
	default:
		o.Fix = "The scope is asked for: assign the app an admin role that may see this"
	}
	return o
}

// oktaServers tries the operations below an authorization server, with the first there is, and gives a token seen.
func oktaServers(ctx context.Context, t *trial, c *okta.Client) okta.RefreshToken {
	var server okta.AuthServer
	var client okta.OAuthClient
	var token okta.RefreshToken
	t.try(ctx, t.oktaRead("listAuthorizationServers", readServers), "", false, func(ctx context.Context) (err error) {
		server, err = first(c.ListAuthServers(ctx))
		return err
	})
	unfit := ""
	if server.ID == "" {
		unfit = "no authorization server to try it with"
	}
	t.try(ctx, t.oktaRead("listOAuth2ClientsForAuthorizationServer", readServers), unfit, false, func(ctx context.Context) (err error) {
		client, err = first(c.ListAuthServerClients(ctx, server.ID))
		return err
	})
	clientID := cmp.Or(client.ClientID, noClient)
	t.try(ctx, t.oktaRead("listRefreshTokensForAuthorizationServerAndClient", readServers), unfit, client.ClientID == "",
		func(ctx context.Context) (err error) {
			token, err = first(c.ListAuthServerTokens(ctx, server.ID, clientID, okta.TokenOptions{Limit: 1}))
			return err
		})
	t.try(ctx, t.oktaRead("getRefreshTokenForAuthorizationServerAndClient", readServers), unfit, true, func(ctx context.Context) error {
		_, err := c.GetAuthServerToken(ctx, server.ID, clientID, cmp.Or(token.ID, noToken), false)
		return err
	})
	return token
}

// oktaUsers tries the operations below a user: the one of the token, or one that nobody is.
func oktaUsers(ctx context.Context, t *trial, c *okta.Client, token okta.RefreshToken) {
	user, client := cmp.Or(token.UserID, noUser), cmp.Or(token.ClientID, noClient)
	read := func(op string, run func(context.Context) error) {
		t.try(ctx, t.oktaRead(op, readUsers), "", true, run)
	}
	read("listUsers", func(ctx context.Context) error {
		_, err := c.FindUsers(ctx, okta.ByLogin, "nobody@keyturn.invalid")
		return err
	})
	read("getUser", func(ctx context.Context) error {
		_, err := c.GetUser(ctx, user)
		return err
	})
	read("listUserClients", func(ctx context.Context) error {
		_, err := first(c.ListUserClients(ctx, user))
		return err
	})
	read("listRefreshTokensForUserAndClient", func(ctx context.Context) error {
		_, err := first(c.ListUserTokens(ctx, user, client, okta.TokenOptions{Limit: 1}))
		return err
	})
	read("getRefreshTokenForUserAndClient", func(ctx context.Context) error {
		_, err := c.GetUserToken(ctx, user, client, cmp.Or(token.ID, noToken), false)
		return err
	})
	read("listUserGrants", func(ctx context.Context) error {
		_, err := first(c.ListUserGrants(ctx, user, okta.GrantOptions{Limit: 1}))
		return err
	})
	read("listGrantsForUserAndClient", func(ctx context.Context) error {
		_, err := first(c.ListUserClientGrants(ctx, user, client, okta.GrantOptions{Limit: 1}))
		return err
	})
}

// oktaAdmins tries what tells who is the last administrator.
func oktaAdmins(ctx context.Context, t *trial, c *okta.Client) {
	user := noUser
	t.try(ctx, t.oktaRead("listUsersWithRoleAssignments", readRoles), "", false, func(ctx context.Context) error {
		ids, _, err := c.ListAdmins(ctx)
		if len(ids) > 0 {
			user = ids[0]
		}
		return err
	})
	t.try(ctx, t.oktaRead("listAssignedRolesForUser", readRoles), "", true, func(ctx context.Context) error {
		_, err := c.ListUserRoles(ctx, user)
		return err
	})
}

// oktaChanges notes operations that change something. Okta gives a token only with every scope that it was asked for,
// so that a scope which is asked for is granted; the app's admin role shows only when it is used.
func (t *trial) oktaChanges(scope string, ops ...string) {
	switch {
	case t.rights.Kind != "service_app":
		t.change("the rights of the token's admin", "a change", ops...)
	case t.dead:
		t.change(scope, "there is no token", ops...)
	case slices.Contains(t.rights.Scopes, scope):
		t.change(scope, "a change; its scope is granted, the role shows only in use", ops...)
	default:
		for _, op := range ops {
			t.done = append(t.done, Operation{Op: op, Needs: scope, Result: Missing, Note: "the scope is not asked for",
				Fix: "Add " + scope + " to auth.service_app.scopes, and grant it to the app"})
		}
	}
}

// first reads a listing as far as its first item; the zero value when it has none.
func first[T any](seq iter.Seq2[T, error]) (T, error) {
	for v, err := range seq {
		return v, err
	}
	var none T
	return none, nil
}
