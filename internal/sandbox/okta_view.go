package sandbox

import (
	"slices"
	"time"
)

// oktaTime is how Okta writes times: UTC with milliseconds.
func oktaTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

type oktaHints struct {
	Allow []string `json:"allow"`
}

type oktaLink struct {
	Href  string     `json:"href"`
	Title string     `json:"title,omitempty"`
	Hints *oktaHints `json:"hints,omitempty"`
}

func allow(href string, methods ...string) *oktaLink {
	return &oktaLink{Href: href, Hints: &oktaHints{methods}}
}

type oktaLinks map[string]*oktaLink

// oktaUserView is a User as the API writes it.
type oktaUserView struct {
	ID              string      `json:"id"`
	Status          string      `json:"status"`
	Created         string      `json:"created"`
	Activated       *string     `json:"activated"`
	StatusChanged   string      `json:"statusChanged"`
	LastLogin       *string     `json:"lastLogin"`
	LastUpdated     string      `json:"lastUpdated"`
	PasswordChanged *string     `json:"passwordChanged"`
	Type            idView      `json:"type"`
	Profile         profileView `json:"profile"`
	Credentials     struct {
		Provider struct {
			Type string `json:"type"`
			Name string `json:"name"`
		} `json:"provider"`
	} `json:"credentials"`
	Links oktaLinks `json:"_links"`
}

type idView struct {
	ID string `json:"id"`
}

type profileView struct {
	FirstName      string  `json:"firstName"`
	LastName       string  `json:"lastName"`
	MobilePhone    *string `json:"mobilePhone"`
	SecondEmail    *string `json:"secondEmail"`
	Login          string  `json:"login"`
	Email          string  `json:"email"`
	EmployeeNumber string  `json:"employeeNumber,omitempty"`
}

func (c *call) userView(u *User) oktaUserView {
	self := c.origin + "/okta/api/v1/users/" + u.ID
	v := oktaUserView{
		ID: u.ID, Status: u.Status, Created: oktaTime(u.Created),
		StatusChanged: oktaTime(u.StatusChanged), LastUpdated: oktaTime(u.StatusChanged),
		Type: idView{"oty000000000000000"},
		Profile: profileView{
			FirstName: u.FirstName, LastName: u.LastName, Login: u.Login, Email: u.Email, EmployeeNumber: u.EmployeeNumber,
		},
		Links: oktaLinks{"self": {Href: self}},
	}
	v.Credentials.Provider.Type, v.Credentials.Provider.Name = "OKTA", "OKTA"
	if u.Status != StatusStaged {
		activated := oktaTime(u.Created)
		v.Activated = &activated
	}
	switch u.Status {
	case StatusActive:
		v.Links["suspend"] = &oktaLink{Href: self + "/lifecycle/suspend"}
	case StatusSuspended:
		v.Links["unsuspend"] = &oktaLink{Href: self + "/lifecycle/unsuspend"}
	}
	if u.Status != StatusDeprovisioned {
		v.Links["deactivate"] = &oktaLink{Href: self + "/lifecycle/deactivate"}
	}
	return v
}

// oktaClientView is an OAuth2Client as the API writes it: snake_case, and null
// where there is no URI.
type oktaClientView struct {
	ClientID   string    `json:"client_id"`
	ClientName string    `json:"client_name"`
	ClientURI  *string   `json:"client_uri"`
	LogoURI    *string   `json:"logo_uri"`
	Links      oktaLinks `json:"_links"`
}

// clientViews renders clients below a user or an authorization server.
func (c *call) clientViews(clients []*OAuthClient, parent string, grants bool) []oktaClientView {
	views := make([]oktaClientView, 0, len(clients))
	for _, o := range clients {
		v := oktaClientView{ClientID: o.ID, ClientName: o.Name, Links: oktaLinks{
			"client": allow(c.origin+"/okta/oauth2/v1/clients/"+o.ID, "GET"),
			"tokens": allow(parent+"/clients/"+o.ID+"/tokens", "GET", "DELETE"),
		}}
		if grants {
			v.Links["grants"] = allow(parent+"/clients/"+o.ID+"/grants", "GET", "DELETE")
		}
		if o.URI != "" {
			v.ClientURI = &o.URI
		}
		views = append(views, v)
	}
	return views
}

// oktaTokenView is an OAuth2RefreshToken as the API writes it. It never holds
// the token's value.
type oktaTokenView struct {
	ID          string         `json:"id"`
	Status      string         `json:"status"`
	Created     string         `json:"created"`
	LastUpdated string         `json:"lastUpdated"`
	ExpiresAt   string         `json:"expiresAt"`
	Issuer      string         `json:"issuer"`
	ClientID    string         `json:"clientId"`
	UserID      string         `json:"userId"`
	Scopes      []string       `json:"scopes"`
	Embedded    *embeddedScope `json:"_embedded,omitempty"`
	Links       oktaLinks      `json:"_links"`
}

type embeddedScope struct {
	Scopes []scopeView `json:"scopes"`
}

type scopeView struct {
	ID          string  `json:"id"`
	Name        string  `json:"name"`
	DisplayName *string `json:"displayName"`
}

// tokenView renders a token with links below its parent, a user or an
// authorization server.
func (c *call) tokenView(t *RefreshToken, parent string) oktaTokenView {
	self := parent + "/clients/" + t.ClientID + "/tokens/" + t.ID
	v := oktaTokenView{
		ID: t.ID, Status: "ACTIVE", Created: oktaTime(t.Created), LastUpdated: oktaTime(t.Created),
		ExpiresAt: oktaTime(t.Expires), Issuer: c.issuer(t.ServerID), ClientID: t.ClientID, UserID: t.UserID,
		Scopes: slices.Clone(t.Scopes),
		Links: oktaLinks{
			"app":    allow(c.origin+"/okta/api/v1/apps/"+t.ClientID, "GET"),
			"self":   allow(self, "GET"),
			"revoke": allow(self, "DELETE"),
			"client": allow(c.origin+"/okta/oauth2/v1/clients/"+t.ClientID, "GET"),
			"user":   allow(c.origin+"/okta/api/v1/users/"+t.UserID, "GET"),
		},
	}
	if t.ServerID != OrgServer {
		v.Links["authorizationServer"] = allow(c.origin+"/okta/api/v1/authorizationServers/"+t.ServerID, "GET")
	}
	if c.query.Get("expand") == "scope" {
		v.Embedded = &embeddedScope{Scopes: []scopeView{}}
		for _, s := range t.Scopes {
			v.Embedded.Scopes = append(v.Embedded.Scopes, scopeView{ID: "scp" + s, Name: s})
		}
	}
	return v
}

func (c *call) tokenViews(tokens []*RefreshToken, parent string) []oktaTokenView {
	views := make([]oktaTokenView, 0, len(tokens))
	for _, t := range tokens {
		views = append(views, c.tokenView(t, parent))
	}
	return views
}

// oktaGrantView is an OAuth2ScopeConsentGrant as the API writes it.
type oktaGrantView struct {
	ID          string    `json:"id"`
	Status      string    `json:"status"`
	ScopeID     string    `json:"scopeId"`
	Source      string    `json:"source"`
	ClientID    string    `json:"clientId"`
	UserID      string    `json:"userId"`
	Issuer      string    `json:"issuer"`
	Created     string    `json:"created"`
	LastUpdated string    `json:"lastUpdated"`
	Links       oktaLinks `json:"_links"`
}

func (c *call) grantViews(grants []*Grant) []oktaGrantView {
	views := make([]oktaGrantView, 0, len(grants))
	for _, g := range grants {
		user := c.origin + "/okta/api/v1/users/" + g.UserID
		views = append(views, oktaGrantView{
			ID: g.ID, Status: "ACTIVE", ScopeID: g.Scope, Source: "END_USER", ClientID: g.ClientID, UserID: g.UserID,
			Issuer: c.issuer(g.ServerID), Created: oktaTime(g.Created), LastUpdated: oktaTime(g.Created),
			Links: oktaLinks{
				"self":   allow(user+"/grants/"+g.ID, "GET", "DELETE"),
				"client": {Href: c.origin + "/okta/oauth2/v1/clients/" + g.ClientID},
				"user":   {Href: user},
			},
		})
	}
	return views
}

// issuer is the URL of an authorization server.
func (c *call) issuer(serverID string) string {
	if serverID == OrgServer {
		return c.origin + "/okta"
	}
	return c.origin + "/okta/oauth2/" + serverID
}

// oktaServerView is an AuthorizationServer as the API writes it.
type oktaServerView struct {
	ID          string    `json:"id"`
	Name        string    `json:"name"`
	Description string    `json:"description"`
	Audiences   []string  `json:"audiences"`
	Issuer      string    `json:"issuer"`
	IssuerMode  string    `json:"issuerMode"`
	Status      string    `json:"status"`
	Created     string    `json:"created"`
	LastUpdated string    `json:"lastUpdated"`
	Links       oktaLinks `json:"_links"`
}

func (c *call) serverView(a *AuthServer) oktaServerView {
	self := c.origin + "/okta/api/v1/authorizationServers/" + a.ID
	return oktaServerView{
		ID: a.ID, Name: a.Name, Description: a.Name, Audiences: []string{a.Audience},
		Issuer: c.issuer(a.ID), IssuerMode: "ORG_URL", Status: "ACTIVE",
		Created: oktaTime(a.Created), LastUpdated: oktaTime(a.Created),
		Links: oktaLinks{"self": allow(self, "GET", "DELETE", "PUT"), "scopes": allow(self+"/scopes", "GET")},
	}
}
