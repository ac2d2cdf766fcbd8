package okta

import (
	"context"
	"errors"
	"net/http"

	"keyturn/internal/apiclient"
)

// RoleSuperAdmin is the type of the standard role that may do everything (vendor page standard roles).
const RoleSuperAdmin = "SUPER_ADMIN"

// Role is an administrator role of a user, assigned to the user or to a group of theirs.
type Role struct {
	ID     string `json:"id"`
	Type   string `json:"type"`   // "SUPER_ADMIN", "ORG_ADMIN" …; "CUSTOM" for a role of the org's own
	Status string `json:"status"` // "ACTIVE" or "INACTIVE"
}

// Super reports whether the role is in force and may do everything. A status that nobody knows yet counts as in force.
func (r Role) Super() bool { return r.Type == RoleSuperAdmin && r.Status != "INACTIVE" }

// ListUserRoles lists the administrator roles of a user, those by a group too. It has no pages.
//
//	listAssignedRolesForUser  GET /api/v1/users/{userId}/roles  200; 403, 404, 429
//	scope okta.roles.read; bucket /api/v1/users; a repeat is safe
func (c *Client) ListUserRoles(ctx context.Context, userID string) ([]Role, error) {
	q := apiclient.Request{Op: "okta.listAssignedRolesForUser", Path: path("users", userID, "roles")}
	r, err := c.do(ctx, q)
	if err != nil {
		return nil, err
	}
	roles, err := page[Role](r)
	if err != nil {
		return nil, r.Unreadable(q.Op, err)
	}
	return roles, nil
}

// ListAdmins lists the ids of users who have an administrator role: the first page, of at most 100, and whether there
// are more.
//
//	listUsersWithRoleAssignments  GET /api/v1/iam/assignees/users  200, paged in the body; 403, 429
//	scope okta.roles.read; bucket /api/v1; a repeat is safe
func (c *Client) ListAdmins(ctx context.Context) (ids []string, more bool, err error) {
	q := apiclient.Request{Op: "okta.listUsersWithRoleAssignments", Method: http.MethodGet, Path: path("iam", "assignees", "users"),
		Query: map[string][]string{"limit": {"100"}}}
	r, err := c.do(ctx, q)
	if err != nil {
		return nil, false, err
	}
	var body struct {
		Value []struct {
			ID string `json:"id"`
		} `json:"value"`
		Links struct {
			Next *struct {
				Href string `json:"href"`
			} `json:"next"`
		} `json:"_links"`
	}
	if err = r.Decode(&body); err == nil && body.Value == nil {
		err = errors.New("no value in place of a list")
	}
	if err != nil {
		return nil, false, r.Unreadable(q.Op, err)
	}
	for _, v := range body.Value {
		if v.ID != "" {
			ids = append(ids, v.ID)
		}
	}
	return ids, body.Links.Next != nil, nil
}
