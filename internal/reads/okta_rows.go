package reads

import (
	"time"

	"keyturn/internal/apiclient/okta"
)

// oktaUserRow is a user of an Okta org.
type oktaUserRow struct {
	ID             string    `json:"id"`
	Login          string    `json:"login"`
	Email          string    `json:"email,omitzero"`
	SecondEmail    string    `json:"second_email,omitzero"`
	EmployeeNumber string    `json:"employee_number,omitzero"`
	FirstName      string    `json:"first_name,omitzero"`
	LastName       string    `json:"last_name,omitzero"`
	Status         string    `json:"status"`
	Transitioning  string    `json:"transitioning_to_status,omitzero"`
	Created        time.Time `json:"created,omitzero"`
	StatusChanged  time.Time `json:"status_changed,omitzero"`
	LastLogin      time.Time `json:"last_login,omitzero"`
	LastUpdated    time.Time `json:"last_updated,omitzero"`
}

func oktaUserColumns() []Column {
	return []Column{{Title: "ID", Field: "id"}, {Title: "LOGIN", Field: "login"}, {Title: "STATUS", Field: "status"},
		{Title: "EMPLOYEE NUMBER", Field: "employee_number"}, {Title: "LAST LOGIN", Field: "last_login", Kind: Time},
		{Title: "E-MAIL", Field: "email", Wide: true}, {Title: "FIRST NAME", Field: "first_name", Wide: true},
		{Title: "LAST NAME", Field: "last_name", Wide: true}, {Title: "STATUS SINCE", Field: "status_changed", Kind: Time, Wide: true}}
}

func oktaUser(u okta.User) any {
	return oktaUserRow{
		ID: u.ID, Login: u.Profile.Login, Email: u.Profile.Email, SecondEmail: u.Profile.SecondEmail,
		EmployeeNumber: u.Profile.EmployeeNumber, FirstName: u.Profile.FirstName, LastName: u.Profile.LastName,
		Status: u.Status, Transitioning: u.TransitioningToStatus, Created: u.Created, StatusChanged: u.StatusChanged,
		LastLogin: u.LastLogin, LastUpdated: u.LastUpdated,
	}
}

func oauthClientColumns() []Column {
	return []Column{{Title: "CLIENT", Field: "client_id"}, {Title: "NAME", Field: "client_name"},
		{Title: "URI", Field: "client_uri", Wide: true}, {Title: "LOGO", Field: "logo_uri", Wide: true}}
}

func oauthClient(c okta.OAuthClient) any { return c }

// tokenRow is a refresh token. Its value is told to nobody.
type tokenRow struct {
	ID          string     `json:"id"`
	Status      string     `json:"status"`
	ClientID    string     `json:"client_id"`
	UserID      string     `json:"user_id,omitzero"`
	Issuer      string     `json:"issuer,omitzero"`
	Scopes      []string   `json:"scopes"`
	Created     time.Time  `json:"created,omitzero"`
	LastUpdated time.Time  `json:"last_updated,omitzero"`
	ExpiresAt   time.Time  `json:"expires_at,omitzero"`
	Details     []scopeRow `json:"scope_details,omitzero"`
}

// scopeRow is one scope of a token, explained.
type scopeRow struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	DisplayName string `json:"display_name,omitzero"`
	Description string `json:"description,omitzero"`
}

func tokenColumns() []Column {
	return []Column{{Title: "TOKEN", Field: "id"}, {Title: "STATUS", Field: "status"}, {Title: "USER", Field: "user_id"},
		{Title: "CLIENT", Field: "client_id"}, {Title: "SCOPES", Field: "scopes"}, {Title: "EXPIRES", Field: "expires_at", Kind: Time},
		{Title: "CREATED", Field: "created", Kind: Time, Wide: true}, {Title: "ISSUER", Field: "issuer", Wide: true}}
}

func refreshToken(t okta.RefreshToken) any {
	row := tokenRow{ID: t.ID, Status: t.Status, ClientID: t.ClientID, UserID: t.UserID, Issuer: t.Issuer, Scopes: t.Scopes,
		Created: t.Created, LastUpdated: t.LastUpdated, ExpiresAt: t.ExpiresAt}
	for _, s := range t.ScopeDetails {
		row.Details = append(row.Details, scopeRow(s))
	}
	return row
}

// grantRow is a consent of a person.
type grantRow struct {
	ID          string    `json:"id"`
	Status      string    `json:"status"`
	ClientID    string    `json:"client_id"`
	UserID      string    `json:"user_id,omitzero"`
	Issuer      string    `json:"issuer,omitzero"`
	ScopeID     string    `json:"scope_id"`
	Source      string    `json:"source,omitzero"`
	Created     time.Time `json:"created,omitzero"`
	LastUpdated time.Time `json:"last_updated,omitzero"`
}

func grantColumns() []Column {
	return []Column{{Title: "GRANT", Field: "id"}, {Title: "STATUS", Field: "status"}, {Title: "CLIENT", Field: "client_id"},
		{Title: "SCOPE", Field: "scope_id"}, {Title: "SOURCE", Field: "source"}, {Title: "CREATED", Field: "created", Kind: Time},
		{Title: "USER", Field: "user_id", Wide: true}, {Title: "ISSUER", Field: "issuer", Wide: true}}
}

func grant(g okta.Grant) any {
	return grantRow{ID: g.ID, Status: g.Status, ClientID: g.ClientID, UserID: g.UserID, Issuer: g.Issuer, ScopeID: g.ScopeID,
		Source: g.Source, Created: g.Created, LastUpdated: g.LastUpdated}
}

func serverColumns() []Column {
	return []Column{{Title: "SERVER", Field: "id"}, {Title: "NAME", Field: "name"}, {Title: "STATUS", Field: "status"},
		{Title: "AUDIENCES", Field: "audiences"}, {Title: "ISSUER", Field: "issuer", Wide: true},
		{Title: "CREATED", Field: "created", Kind: Time, Wide: true}}
}

func authServer(s okta.AuthServer) any { return s }
