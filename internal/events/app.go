package events

import "time"

// App is an app and the OAuth client that it shall have. In app.updated the fields that are absent stay as they are;
// app.retired names the key alone.
type App struct {
	Key          string   `json:"key"` // the stable id of the onboarding request
	Name         string   `json:"name,omitempty"`
	Description  string   `json:"description,omitempty"`
	RedirectURIs []string `json:"redirect_uris,omitempty"`
	ClientType   string   `json:"client_type,omitempty"` // "web" (default) or "native"
	PKCE         string   `json:"pkce,omitempty"`
	// ResponseTypes and AuthenticationProtocol are empty for the provider's defaults.
	ResponseTypes          []string `json:"response_types,omitempty"`
	AuthenticationProtocol string   `json:"authentication_protocol,omitempty"`
	// RoleIDs are the client's roles. A client without any gets one with access to everything, so RolesWaived must
	// say that this is meant.
	RoleIDs     []string `json:"role_ids,omitempty"`
	RolesWaived bool     `json:"roles_waived,omitempty"`
	Resources   []string `json:"resources,omitzero"` // nil = not named; empty = none
	Owner       string   `json:"owner,omitempty"`
	Extra       Extra    `json:"-"`
}

// UnmarshalJSON keeps the members that App does not name.
func (a *App) UnmarshalJSON(b []byte) error {
	type plain App
	return decodeKeeping(b, (*plain)(a), &a.Extra)
}

// MarshalJSON writes the kept members back.
func (a App) MarshalJSON() ([]byte, error) {
	type plain App
	return encodeKeeping(plain(a), a.Extra)
}

// AppChanged is the payload of app.onboarded, app.updated, app.resources_changed and app.retired.
type AppChanged struct {
	App    App    `json:"app"`
	Reason string `json:"reason,omitempty"`
	Extra  Extra  `json:"-"`
}

func (d *AppChanged) names() []Identifier  { return one(AppKey, d.App.Key) }
func (d *AppChanged) person() []Identifier { return nil }
func (d *AppChanged) effective() time.Time { return time.Time{} }

// UnmarshalJSON keeps the members that AppChanged does not name.
func (d *AppChanged) UnmarshalJSON(b []byte) error {
	type plain AppChanged
	return decodeKeeping(b, (*plain)(d), &d.Extra)
}

// MarshalJSON writes the kept members back.
func (d AppChanged) MarshalJSON() ([]byte, error) {
	type plain AppChanged
	return encodeKeeping(plain(d), d.Extra)
}
