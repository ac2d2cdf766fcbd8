package okta

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"keyturn/internal/apiclient"
)

// Status of a user. Okta may add others: an unknown one is no error, and never counts as blocked.
const (
	UserActive          = "ACTIVE"
	UserDeprovisioned   = "DEPROVISIONED"
	UserLockedOut       = "LOCKED_OUT"
	UserPasswordExpired = "PASSWORD_EXPIRED"
	UserProvisioned     = "PROVISIONED"
	UserRecovery        = "RECOVERY"
	UserStaged          = "STAGED"
	UserSuspended       = "SUSPENDED"
)

// User is a person of the org.
type User struct {
	ID                    string    `json:"id"`
	Status                string    `json:"status"`
	TransitioningToStatus string    `json:"transitioningToStatus"` // set while a lifecycle call is worked off
	Created               time.Time `json:"created"`
	StatusChanged         time.Time `json:"statusChanged"` // zero = never
	LastLogin             time.Time `json:"lastLogin"`     // zero = never
	LastUpdated           time.Time `json:"lastUpdated"`
	Profile               Profile   `json:"profile"`
}

// Profile is what of a user's profile tells who it is.
type Profile struct {
	Login          string `json:"login"`
	Email          string `json:"email"`
	SecondEmail    string `json:"secondEmail"`
	EmployeeNumber string `json:"employeeNumber"`
	FirstName      string `json:"firstName"`
	LastName       string `json:"lastName"`
}

// UserField is a profile field that a user can be found by.
type UserField string

// Fields for FindUsers. Only the id and the login are unique in an org.
const (
	ByEmployeeNumber UserField = "profile.employeeNumber"
	ByEmail          UserField = "profile.email"
	ByLogin          UserField = "profile.login"
)

func userID(u User) string { return u.ID }

// GetUser reads a user by id, login or unambiguous short login. A login that holds a slash can only be found by
// FindUsers. That a user is found does not mean that it is active: by login, deprovisioned ones are found too.
//
//	getUser  GET /api/v1/users/{id}  200; 403, 404 E0000007, 429
//	scope okta.users.read; bucket GET /api/v1/users/{id}; a repeat is safe
func (c *Client) GetUser(ctx context.Context, idOrLogin string) (User, error) {
	if strings.Contains(idOrLogin, "/") {
		return User{}, refuse("okta.getUser", "a login with a slash cannot be read by login")
	}
	return get(ctx, c, apiclient.Request{Op: "okta.getUser", Path: path("users", idOrLogin)}, userID)
}

// FindUsers finds the users whose field is exactly value: e-mail and login without regard to case, the employee
// number with. More than one may be found. What was written in the last seconds may not be found yet.
//
//	listUsers  GET /api/v1/users?search={field} eq "{value}"  200; 400 E0000031, 403, 429
//	scope okta.users.read; bucket /api/v1/users; a repeat is safe
func (c *Client) FindUsers(ctx context.Context, field UserField, value string) ([]User, error) {
	const op = "okta.listUsers"
	if strings.TrimSpace(value) == "" || strings.ContainsAny(value, "\"\\\x00\r\n") {
		return nil, refuse(op, "a value that is empty, or holds a quote, a backslash or a line break")
	}
	same := func(u User) bool {
		switch field {
		case ByEmployeeNumber:
			return u.Profile.EmployeeNumber == value
		case ByEmail:
			return strings.EqualFold(u.Profile.Email, value)
		default:
			return strings.EqualFold(u.Profile.Login, value)
		}
	}
	q := apiclient.Request{Op: op, Path: path("users"), Query: url.Values{
		"search": {fmt.Sprintf(`%s eq "%s"`, field, value)}, "limit": {"200"},
	}}
	var found []User
	for u, err := range list(ctx, c, q, userID) {
		if err != nil {
			return nil, err
		}
		if same(u) { // a search that is too kind must not make a stranger a target
			found = append(found, u)
		}
	}
	return found, nil
}

// CountActiveUsers counts the users in status ACTIVE, page by page: the API tells no number.
//
//	listUsers  GET /api/v1/users?filter=status eq "ACTIVE"  200; 403, 429
//	scope okta.users.read; bucket /api/v1/users; a repeat is safe
func (c *Client) CountActiveUsers(ctx context.Context) (int, error) {
	q := apiclient.Request{Op: "okta.listUsers", Path: path("users"), Query: url.Values{
		"filter": {fmt.Sprintf(`status eq "%s"`, UserActive)}, "limit": {"200"},
	}}
	n := 0
	for u, err := range list(ctx, c, q, userID) {
		if err != nil {
			return 0, err
		}
		if u.Status == UserActive { // a filter that is too kind must not make a share larger
			n++
		}
	}
	return n, nil
}

// SuspendUser keeps an active user from signing in, and clears their sessions. It can be undone. Any other state
// than ACTIVE gives 400 E0000001, which is AlreadyDone: read the user to see.
//
//	suspendUser  POST /api/v1/users/{id}/lifecycle/suspend  200; 400, 403, 404, 429
//	scope okta.users.manage; bucket /api/v1/users; a repeat does no harm
func (c *Client) SuspendUser(ctx context.Context, userID string) (requestID string, err error) {
	return c.lifecycle(ctx, "okta.suspendUser", userID, "suspend", nil)
}

// UnsuspendUser lets a suspended user in again. Any other state than SUSPENDED gives 400 E0000001 (AlreadyDone).
//
//	unsuspendUser  POST /api/v1/users/{id}/lifecycle/unsuspend  200; 400, 403, 404, 429
//	scope okta.users.manage; bucket /api/v1/users; a late repeat would undo a suspension made since
func (c *Client) UnsuspendUser(ctx context.Context, userID string) (requestID string, err error) {
	return c.lifecycle(ctx, "okta.unsuspendUser", userID, "unsuspend", nil)
}

// DeactivateUser deprovisions a user and all their apps. The data in the apps does not come back. A user who is
// deprovisioned already gives 404 E0000007 (AlreadyDone), as one who does not exist: read the user to see.
//
//	deactivateUser  POST /api/v1/users/{id}/lifecycle/deactivate?sendEmail=  200 (older orgs 204); 403, 404, 429
//	scope okta.users.manage; bucket /api/v1/users; a repeat does no harm
func (c *Client) DeactivateUser(ctx context.Context, userID string, sendEmail bool) (requestID string, err error) {
	return c.lifecycle(ctx, "okta.deactivateUser", userID, "deactivate", url.Values{"sendEmail": {fmt.Sprint(sendEmail)}})
}

func (c *Client) lifecycle(ctx context.Context, op, userID, verb string, query url.Values) (string, error) {
	return c.change(ctx, apiclient.Request{
		Op: op, Method: http.MethodPost, Path: path("users", userID, "lifecycle", verb), Query: query,
	})
}

// refuse makes the error of a call that must not be made.
func refuse(op, why string) error {
	return &apiclient.Error{Op: op, Cause: apiclient.Permanent, Err: fmt.Errorf("refused: %s", why)}
}
