package sandbox

import (
	"maps"
	"slices"
)

// State is the truth about all three providers at one moment. It holds no
// secret and shares no memory with the sandbox.
type State struct {
	Okta   OktaState   `json:"okta"`
	ASA    ASAState    `json:"asa"`
	Mosaic MosaicState `json:"mosaic"`
}

// OktaState is the truth about the org. Every list is in order of creation.
type OktaState struct {
	Users    []User         `json:"users"`
	Servers  []AuthServer   `json:"authorization_servers"`
	Clients  []OAuthClient  `json:"clients"`
	Tokens   []RefreshToken `json:"refresh_tokens"` // live ones
	Grants   []Grant        `json:"grants"`
	Sessions []Session      `json:"sessions"`
}

// ASAState is the truth about the team, deleted clients included.
type ASAState struct {
	Users   []ASAUser   `json:"users"`
	Clients []ASAClient `json:"clients"`
}

// MosaicState is the truth about the app.
type MosaicState struct {
	Clients []MosaicClient `json:"clients"`
}

// User returns the user with an id or login.
func (s OktaState) User(idOrLogin string) (User, bool) {
	i := slices.IndexFunc(s.Users, func(u User) bool { return u.ID == idOrLogin || u.Login == idOrLogin })
	if i < 0 {
		return User{}, false
	}
	return s.Users[i], true
}

// TokensOf returns the live tokens of a user.
func (s OktaState) TokensOf(userID string) []RefreshToken {
	return filter(s.Tokens, func(t RefreshToken) bool { return t.UserID == userID })
}

// TokensOfClient returns the live tokens of a client, at every server.
func (s OktaState) TokensOfClient(clientID string) []RefreshToken {
	return filter(s.Tokens, func(t RefreshToken) bool { return t.ClientID == clientID })
}

// SessionsOf returns the sessions of a user.
func (s OktaState) SessionsOf(userID string) []Session {
	return filter(s.Sessions, func(x Session) bool { return x.UserID == userID })
}

// GrantsOf returns the grants of a user.
func (s OktaState) GrantsOf(userID string) []Grant {
	return filter(s.Grants, func(g Grant) bool { return g.UserID == userID })
}

// ClientsOf returns the clients of a user that are not deleted.
func (s ASAState) ClientsOf(userName string) []ASAClient {
	return filter(s.Clients, func(d ASAClient) bool { return d.UserName == userName && d.State != ASADeleted })
}

// Client returns the client with an id.
func (s ASAState) Client(id string) (ASAClient, bool) {
	i := slices.IndexFunc(s.Clients, func(d ASAClient) bool { return d.ID == id })
	if i < 0 {
		return ASAClient{}, false
	}
	return s.Clients[i], true
}

// Named returns the clients with a name.
func (s MosaicState) Named(name string) []MosaicClient {
	return filter(s.Clients, func(m MosaicClient) bool { return m.Name == name })
}

func filter[T any](all []T, keep func(T) bool) []T {
	var some []T
	for _, v := range all {
		if keep(v) {
			some = append(some, v)
		}
	}
	return some
}

// Snapshot returns the state of this moment.
func (sb *Sandbox) Snapshot() State {
	sb.mu.Lock()
	defer sb.mu.Unlock()
	return State{Okta: sb.live.okta.snapshot(), ASA: sb.live.asa.snapshot(), Mosaic: sb.live.mosaic.snapshot()}
}

// values copies rows in order of creation.
func values[R any, P interface {
	*R
	record
}](rows map[string]P) []R {
	out := make([]R, 0, len(rows))
	for _, p := range ordered(rows) {
		out = append(out, *p)
	}
	return out
}

func (s *oktaState) snapshot() OktaState {
	out := OktaState{
		Users: values(s.users), Servers: values(s.servers), Clients: values(s.clients),
		Tokens: values(s.tokens), Grants: values(s.grants), Sessions: values(s.sessions),
	}
	for i := range out.Tokens {
		out.Tokens[i].Scopes = slices.Clone(out.Tokens[i].Scopes)
	}
	return out
}

func (s *asaState) snapshot() ASAState {
	out := ASAState{Users: values(s.users), Clients: values(s.clients)}
	for i := range out.Clients {
		if at := out.Clients[i].DeletedAt; at != nil {
			copied := *at
			out.Clients[i].DeletedAt = &copied
		}
	}
	return out
}

func (s *mosaicState) snapshot() MosaicState {
	out := MosaicState{Clients: []MosaicClient{}}
	for _, m := range ordered(s.clients) {
		f := fieldCheck{fields: m.fields}
		fields := maps.Clone(m.fields)
		for k, raw := range fields {
			fields[k] = slices.Clone(raw)
		}
		out.Clients = append(out.Clients, MosaicClient{
			ID: m.id, Name: m.text("name"), Description: m.text("description"), Protocol: m.text("authentication_protocol"),
			Resources: f.list("resources"), Created: m.created, Updated: m.updated, Fields: fields, Secrets: len(m.secrets),
		})
	}
	return out
}
