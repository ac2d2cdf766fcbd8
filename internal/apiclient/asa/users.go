package asa

import (
	"context"
	"iter"
	"net/url"
	"strconv"
	"strings"
	"time"

	"keyturn/internal/apiclient"
)

// Status of a user.
const (
	UserActive   = "ACTIVE"
	UserDisabled = "DISABLED"
	UserDeleted  = "DELETED"
)

// User is a person of the team, or a service user. Its name is not necessarily the login or e-mail at Okta.
type User struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Status    string    `json:"status"`
	UserType  string    `json:"user_type"`  // "human" or "service"
	DeletedAt time.Time `json:"deleted_at"` // zero = not deleted
	Details   Details   `json:"details"`
}

// Details is what the team knows of a person.
type Details struct {
	Email     string `json:"email"`
	FullName  string `json:"full_name"`
	FirstName string `json:"first_name"`
	LastName  string `json:"last_name"`
}

func userName(u User) string { return u.Name }

// ListUsersOptions chooses users.
type ListUsersOptions struct {
	Contains            string // part of the name; empty = all
	StartsWith          string // beginning of the name; empty = all
	Status              string // empty = whatever the API gives
	IncludeServiceUsers bool
	Count               int // per page; 0 = the API's default
}

func (o ListUsersOptions) query() url.Values {
	q := url.Values{}
	for name, value := range map[string]string{"contains": o.Contains, "starts_with": o.StartsWith, "status": o.Status} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if o.IncludeServiceUsers {
		q.Set("include_service_users", "true")
	}
	if o.Count > 0 {
		q.Set("count", strconv.Itoa(o.Count))
	}
	return q
}

// ListUsers lists users.
//
//	GET /v1/teams/{team_name}/users  200, paged; 401, 403, 404, 429
//	role access_user, access_admin or reporting_user; bucket /v1; a repeat is safe
func (c *Client) ListUsers(ctx context.Context, o ListUsersOptions) iter.Seq2[User, error] {
	return list(ctx, c, apiclient.Request{Op: "asa.listUsers", Path: []string{"users"}, Query: o.query()}, userName)
}

// CountActiveUsers counts the people of the team in status ACTIVE, page by page: the API tells no number.
func (c *Client) CountActiveUsers(ctx context.Context) (int, error) {
	n := 0
	for u, err := range c.ListUsers(ctx, ListUsersOptions{Status: UserActive}) {
		if err != nil {
			return 0, err
		}
		if u.Status == UserActive && u.DeletedAt.IsZero() {
			n++
		}
	}
	return n, nil
}

// GetUser reads a user by name. Users are never deleted for good: see Status and DeletedAt.
//
//	GET /v1/teams/{team_name}/users/{user_name}  200; 401, 403, 404, 429
//	role access_user, access_admin or reporting_user; bucket /v1; a repeat is safe
func (c *Client) GetUser(ctx context.Context, name string) (User, error) {
	return get(ctx, c, apiclient.Request{Op: "asa.getUser", Path: []string{"users", name}}, userName)
}

// FindUsers finds the users whose e-mail is exactly email, without regard to case. It reads all users: the API cannot
// filter by e-mail. More than one may be found, deleted ones among them.
//
//	GET /v1/teams/{team_name}/users, as ListUsers
func (c *Client) FindUsers(ctx context.Context, email string) ([]User, error) {
	if strings.TrimSpace(email) == "" {
		return nil, refuse("asa.listUsers", "an empty e-mail")
	}
	var found []User
	for u, err := range c.ListUsers(ctx, ListUsersOptions{}) {
		if err != nil {
			return nil, err
		}
		if strings.EqualFold(u.Details.Email, email) {
			found = append(found, u)
		}
	}
	return found, nil
}
