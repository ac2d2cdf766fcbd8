package reads

import (
	"context"

	"keyturn/internal/apiclient/okta"
)

// oktaRoleResources tell who is an administrator.
func oktaRoleResources() []Resource {
	return []Resource{
		{
			Name: "user-roles", About: "a person's administrator roles", Ops: []string{"listAssignedRolesForUser"},
			Filters: []Filter{byUser}, Columns: []Column{{Title: "ROLE", Field: "type"}, {Title: "STATUS", Field: "status"}, {Title: "ID", Field: "id", Wide: true}},
			open: ofUser(func(ctx context.Context, c *okta.Client, user string, _ args) Rows {
				list, err := c.ListUserRoles(ctx, user)
				return some(list, err, func(r okta.Role) any { return r })
			}),
		},
		{
			Name: "admins", About: "ids of people with an administrator role, 100 at most", Ops: []string{"listUsersWithRoleAssignments"},
			Columns: []Column{{Title: "USER", Field: "id"}},
			open: func(ctx context.Context, c Clients, _ args) Rows {
				ids, _, err := c.Okta.ListAdmins(ctx)
				return some(ids, err, func(id string) any { return adminRow{id} })
			},
		},
	}
}

// adminRow is somebody with an administrator role.
type adminRow struct {
	ID string `json:"id"`
}
