package sandbox

import (
	"net/http"
	"strings"
)

// asaUserView is a user as the API writes it. The zero time means "not deleted".
type asaUserView struct {
	DeletedAt string         `json:"deleted_at"`
	Details   asaUserDetails `json:"details"`
	ID        string         `json:"id"`
	Name      string         `json:"name"`
	Roles     []string       `json:"role_grants"`
	Status    string         `json:"status"`
	UserType  string         `json:"user_type"`
}

type asaUserDetails struct {
	Email     string `json:"email"`
	FirstName string `json:"first_name"`
	FullName  string `json:"full_name"`
	LastName  string `json:"last_name"`
}

func viewASAUser(u *ASAUser) asaUserView {
	v := asaUserView{
		DeletedAt: "0001-01-01T00:00:00Z", ID: u.ID, Name: u.Name, Status: u.Status, UserType: "human",
		Details: asaUserDetails{
			Email: u.Email, FirstName: u.First, LastName: u.Last, FullName: strings.TrimSpace(u.First + " " + u.Last),
		},
	}
	if u.Service {
		v.UserType = "service"
		v.Roles = []string{u.Role}
	}
	return v
}

// asaListUsers leaves out service users unless they are asked for, and DELETED
// users unless by status. contains and starts_with look at the name.
func asaListUsers(c *call) reply {
	s, refused := asaSpan(c)
	if refused != nil {
		return *refused
	}
	service, ok := boolQuery(c, "include_service_users", false)
	status := c.query.Get("status")
	if !ok || !(status == "" || status == ASAActive || status == ASADisabled || status == ASADeleted) {
		return asaFailure(c, http.StatusBadRequest)
	}
	part, prefix := strings.ToLower(c.query.Get("contains")), strings.ToLower(c.query.Get("starts_with"))
	page, more := cut(c.w.asa.userOrder, c.w.asa.users, s, func(u *ASAUser) bool {
		name := strings.ToLower(u.Name)
		return (service || !u.Service) && strings.Contains(name, part) && strings.HasPrefix(name, prefix) &&
			(status == "" && u.Status != ASADeleted || u.Status == status)
	})
	return asaList(c, s, page, more, viewASAUser)
}

func asaGetUser(c *call) reply {
	u := c.w.asa.users[c.param(1)]
	if u == nil {
		return asaFailure(c, http.StatusNotFound)
	}
	return reply{status: http.StatusOK, body: viewASAUser(u)}
}
