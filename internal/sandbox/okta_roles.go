package sandbox

import (
	"fmt"
	"net/http"
	"slices"
)

// RoleSuperAdmin is the type of the standard role that may do everything (Okta,
// "standard roles").
const RoleSuperAdmin = "SUPER_ADMIN"

// AssignRole gives a user a standard administrator role, by its type.
func (sb *Sandbox) AssignRole(userID, role string) {
	sb.mu.Lock()
	defer sb.mu.Unlock()
	sb.mustUser(userID)
	roles := sb.live.okta.roles
	roles[userID] = append(slices.Clip(roles[userID]), role)
}

// oktaRole is one role assignment.
type oktaRole struct {
	ID             string `json:"id"`
	Label          string `json:"label"`
	Type           string `json:"type"`
	Status         string `json:"status"`
	AssignmentType string `json:"assignmentType"`
}

// oktaUserRoles lists the roles of a user. It has no pages.
func oktaUserRoles(c *call) reply {
	u := c.w.okta.users[c.param(0)]
	if u == nil {
		return oktaNotFound(c, c.param(0), "User")
	}
	views := []oktaRole{}
	for i, role := range c.w.okta.roles[u.ID] {
		views = append(views, oktaRole{ID: fmt.Sprintf("ra%d%s", i, u.ID[3:]), Label: role, Type: role, Status: "ACTIVE", AssignmentType: "USER"})
	}
	return reply{status: http.StatusOK, body: views}
}

// oktaAssignees lists the ids of all users who have a role. The next page stands
// in the body.
func oktaAssignees(c *call) reply {
	s, refused := oktaSpan(c, 100)
	if refused != nil {
		return *refused
	}
	page, more := cut(c.w.okta.userOrder, c.w.okta.users, s, func(u *User) bool { return len(c.w.okta.roles[u.ID]) > 0 })
	type assignee struct {
		ID string `json:"id"`
	}
	body := struct {
		Value []assignee `json:"value"`
		Links oktaLinks  `json:"_links"`
	}{Value: []assignee{}, Links: oktaLinks{}}
	for _, u := range page {
		body.Value = append(body.Value, assignee{u.ID})
	}
	if last := lastOf(page, more); last > 0 {
		body.Links["next"] = &oktaLink{Href: c.linkTo(map[string]string{"after": c.sb.cursor(c.r.URL.Path, last)})}
	}
	return reply{status: http.StatusOK, body: body}
}
