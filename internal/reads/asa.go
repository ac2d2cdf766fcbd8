package reads

import (
	"context"
	"fmt"
	"time"

	"keyturn/internal/apiclient/asa"
)

// asaResources is every GET operation of package asa.
func asaResources() []Resource {
	status := Filter{Name: "status", Kind: Text, About: "only this status: ACTIVE, DISABLED or DELETED"}
	count := Filter{Name: "count", Kind: Number, About: "rows per page of the provider"}
	return []Resource{
		{
			Name: "clients", About: "devices (ASA clients) of one user, or of the team", Ops: []string{"listClients"},
			Filters: []Filter{
				{Name: "username", Kind: Text, About: "the ASA user name, which need not be the login"},
				{Name: "all", Kind: Flag, About: "of the whole team"},
				{Name: "state", Kind: Text, About: "only this state: ACTIVE, PENDING or DELETED"},
				{Name: "descending", Kind: Flag, About: "the youngest first"}, count,
			},
			OneOf: []string{"username", "all"}, Columns: deviceColumns(), open: openDevices,
		},
		{
			Name: "client", About: "one device", Ops: []string{"getClient"}, Filters: []Filter{byID}, Columns: deviceColumns(),
			open: func(ctx context.Context, c Clients, a args) Rows {
				d, err := c.ASA.GetClient(ctx, a["id"])
				return one(d, err, device)
			},
		},
		{
			Name: "users", About: "users of the team", Ops: []string{"listUsers"},
			Filters: []Filter{
				{Name: "contains", Kind: Text, About: "part of the name"}, {Name: "starts-with", Kind: Text, About: "beginning of the name"},
				status, {Name: "service-users", Kind: Flag, About: "service users too"}, count,
			},
			Columns: asaUserColumns(),
			open: func(ctx context.Context, c Clients, a args) Rows {
				return rows(c.ASA.ListUsers(ctx, asa.ListUsersOptions{Contains: a["contains"], StartsWith: a["starts-with"],
					Status: a["status"], IncludeServiceUsers: a.on("service-users"), Count: a.number("count")}), asaUser)
			},
		},
		{
			Name: "user", About: "one user", Ops: []string{"getUser", "listUsers"},
			Filters: []Filter{{Name: "name", Kind: Text, About: "the ASA user name"}, {Name: "email", Kind: Text, About: "the whole e-mail address"}},
			OneOf:   []string{"name", "email"}, Columns: asaUserColumns(), open: openASAUser,
		},
	}
}

func openDevices(ctx context.Context, c Clients, a args) Rows {
	return rows(c.ASA.ListClients(ctx, asa.ListClientsOptions{All: a.on("all"), Username: a["username"], State: a["state"],
		Descending: a.on("descending"), Count: a.number("count")}), device)
}

// openASAUser reads a user by name, or the users with an e-mail: the API cannot filter by that, all are read.
func openASAUser(ctx context.Context, c Clients, a args) Rows {
	if a["name"] != "" {
		u, err := c.ASA.GetUser(ctx, a["name"])
		return one(u, err, asaUser)
	}
	found, err := c.ASA.FindUsers(ctx, a["email"])
	if err == nil && len(found) == 0 {
		err = &Fault{Code: NotFound, Message: fmt.Sprintf("no user has the e-mail %q", a["email"])}
	}
	return some(found, err, asaUser)
}

// deviceRow is the enrolment of a device.
type deviceRow struct {
	ID          string    `json:"id"`
	UserName    string    `json:"user_name"`
	Hostname    string    `json:"hostname"`
	State       string    `json:"state"`
	OS          string    `json:"os,omitzero"`
	Description string    `json:"description,omitzero"`
	Encrypted   bool      `json:"encrypted"`
	DeletedAt   time.Time `json:"deleted_at,omitzero"`
}

func deviceColumns() []Column {
	return []Column{{Title: "CLIENT", Field: "id"}, {Title: "USER", Field: "user_name"}, {Title: "HOST", Field: "hostname"},
		{Title: "STATE", Field: "state"}, {Title: "OS", Field: "os"}, {Title: "ENCRYPTED", Field: "encrypted", Wide: true},
		{Title: "DELETED", Field: "deleted_at", Kind: Time, Wide: true}, {Title: "DESCRIPTION", Field: "description", Wide: true}}
}

func device(d asa.Device) any {
	return deviceRow{ID: d.ID, UserName: d.UserName, Hostname: d.Hostname, State: d.State, OS: d.OS, Description: d.Description,
		Encrypted: d.Encrypted, DeletedAt: d.DeletedAt}
}

// asaUserRow is a user of a team.
type asaUserRow struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Status    string    `json:"status"`
	Type      string    `json:"user_type,omitzero"`
	Email     string    `json:"email,omitzero"`
	FullName  string    `json:"full_name,omitzero"`
	FirstName string    `json:"first_name,omitzero"`
	LastName  string    `json:"last_name,omitzero"`
	DeletedAt time.Time `json:"deleted_at,omitzero"`
}

func asaUserColumns() []Column {
	return []Column{{Title: "NAME", Field: "name"}, {Title: "STATUS", Field: "status"}, {Title: "E-MAIL", Field: "email"},
		{Title: "TYPE", Field: "user_type"}, {Title: "ID", Field: "id", Wide: true}, {Title: "FULL NAME", Field: "full_name", Wide: true},
		{Title: "DELETED", Field: "deleted_at", Kind: Time, Wide: true}}
}

func asaUser(u asa.User) any {
	return asaUserRow{ID: u.ID, Name: u.Name, Status: u.Status, Type: u.UserType, Email: u.Details.Email, FullName: u.Details.FullName,
		FirstName: u.Details.FirstName, LastName: u.Details.LastName, DeletedAt: u.DeletedAt}
}
