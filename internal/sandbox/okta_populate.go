package sandbox

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// UserSpec describes a user to add. Login is required; Email defaults to it and
// Status to ACTIVE.
type UserSpec struct {
	Login             string
	Email             string
	FirstName         string
	LastName          string
	EmployeeNumber    string
	Status            string
	Sessions          int
	RememberedDevices int
}

// OAuthClientSpec describes an OAuth client to add.
type OAuthClientSpec struct {
	Name string
	URI  string
}

// The methods that populate the sandbox panic when they are handed something
// that cannot exist, such as a token of an unknown user: a mistake in the test
// or demo that calls them. What they change is no effect of a call and stands
// in no journal.

// AddUser adds a user to the Okta org and returns the id. The login must be
// free.
func (sb *Sandbox) AddUser(spec UserSpec) (id string) {
	sb.mu.Lock()
	defer sb.mu.Unlock()
	s := sb.live.okta
	login := strings.ToLower(spec.Login)
	if _, taken := s.logins[login]; taken || login == "" {
		panic(fmt.Sprintf("sandbox: add user: login %q is empty or taken", spec.Login))
	}
	now := sb.now()
	u := &User{
		ID: sb.ids.okta("00u"), Login: spec.Login, Email: spec.Email,
		FirstName: spec.FirstName, LastName: spec.LastName, EmployeeNumber: spec.EmployeeNumber,
		Status: spec.Status, RememberedDevices: spec.RememberedDevices,
		Created: now, StatusChanged: now, seq: s.nextSeq(),
	}
	if u.Email == "" {
		u.Email = u.Login
	}
	if u.Status == "" {
		u.Status = StatusActive
	}
	s.users[u.ID] = u
	s.userOrder = append(s.userOrder, u.ID)
	s.logins[login] = u.ID
	if u.EmployeeNumber != "" {
		s.employees[u.EmployeeNumber] = append(s.employees[u.EmployeeNumber], u.ID)
	}
	for range spec.Sessions {
		s.addSession(&Session{ID: sb.ids.okta("102"), UserID: u.ID, Created: now, seq: s.nextSeq()})
	}
	return u.ID
}

// SetUserStatus changes a user's status behind everybody's back, without the
// consequences that a lifecycle call has.
func (sb *Sandbox) SetUserStatus(userID, status string) {
	sb.mu.Lock()
	defer sb.mu.Unlock()
	sb.mustUser(userID)
	sb.live.okta.putStatus(userID, status, sb.now())
}

// RemoveUser deletes a user with everything of theirs: the id answers 404, and
// the login is free for someone else.
func (sb *Sandbox) RemoveUser(userID string) {
	sb.mu.Lock()
	defer sb.mu.Unlock()
	s := sb.live.okta
	u := sb.mustUser(userID)
	for _, id := range s.userTokens[userID] {
		s.removeToken(id)
	}
	for _, id := range s.userGrants[userID] {
		s.removeGrant(id)
	}
	for _, id := range s.userSessions[userID] {
		s.removeSession(id)
	}
	delete(s.users, userID)
	delete(s.logins, strings.ToLower(u.Login))
	s.userOrder = without(s.userOrder, userID)
	if u.EmployeeNumber != "" {
		s.employees[u.EmployeeNumber] = without(s.employees[u.EmployeeNumber], userID)
	}
}

// AddAuthServer adds a custom authorization server and returns the id. The one
// named "default" gets that id.
func (sb *Sandbox) AddAuthServer(name, audience string) (id string) {
	sb.mu.Lock()
	defer sb.mu.Unlock()
	s := sb.live.okta
	a := &AuthServer{ID: name, Name: name, Audience: audience, Created: sb.now(), seq: s.nextSeq()}
	if name != DefaultServer {
		a.ID = sb.ids.okta("aus")
	}
	if s.servers[a.ID] != nil {
		panic("sandbox: add authorization server: there is a default server already")
	}
	s.servers[a.ID] = a
	s.serverOrder = append(s.serverOrder, a.ID)
	return a.ID
}

// AuthServers returns the custom authorization servers: "default" and two
// others in a new sandbox.
func (sb *Sandbox) AuthServers() []AuthServer {
	return sb.Snapshot().Okta.Servers
}

// AddOAuthClient adds an OAuth client and returns the id.
func (sb *Sandbox) AddOAuthClient(spec OAuthClientSpec) (id string) {
	sb.mu.Lock()
	defer sb.mu.Unlock()
	s := sb.live.okta
	c := &OAuthClient{ID: sb.ids.okta("0oa"), Name: spec.Name, URI: spec.URI, seq: s.nextSeq()}
	s.clients[c.ID] = c
	return c.ID
}

// refreshTokenLife is how long a new refresh token would live unused: Okta's
// default of 7 days.
const refreshTokenLife = 7 * 24 * time.Hour

// AddRefreshToken gives a user a refresh token of a client at a server, which
// may be [OrgServer], and returns its id. Without scopes it has openid and
// offline_access.
func (sb *Sandbox) AddRefreshToken(userID, clientID, serverID string, scopes ...string) (id string) {
	sb.mu.Lock()
	defer sb.mu.Unlock()
	s := sb.live.okta
	sb.mustLink(userID, clientID, serverID)
	if len(scopes) == 0 {
		scopes = []string{"offline_access", "openid"}
	}
	now := sb.now()
	t := &RefreshToken{
		ID: sb.ids.okta("oar"), UserID: userID, ClientID: clientID, ServerID: serverID,
		Scopes: slices.Clone(scopes), Created: now, Expires: now.Add(refreshTokenLife), seq: s.nextSeq(),
	}
	s.addToken(t)
	return t.ID
}

// AddGrant lets a user consent to a scope of a client and returns the grant's
// id.
func (sb *Sandbox) AddGrant(userID, clientID, serverID, scope string) (id string) {
	sb.mu.Lock()
	defer sb.mu.Unlock()
	s := sb.live.okta
	sb.mustLink(userID, clientID, serverID)
	g := &Grant{
		ID: sb.ids.okta("oag"), UserID: userID, ClientID: clientID, ServerID: serverID,
		Scope: scope, Created: sb.now(), seq: s.nextSeq(),
	}
	s.addGrant(g)
	return g.ID
}

// AddSession signs a user in and returns the session's id.
func (sb *Sandbox) AddSession(userID string) (id string) {
	sb.mu.Lock()
	defer sb.mu.Unlock()
	sb.mustUser(userID)
	s := sb.live.okta
	x := &Session{ID: sb.ids.okta("102"), UserID: userID, Created: sb.now(), seq: s.nextSeq()}
	s.addSession(x)
	return x.ID
}

func (sb *Sandbox) mustUser(id string) *User {
	u := sb.live.okta.users[id]
	if u == nil {
		panic(fmt.Sprintf("sandbox: no user %q", id))
	}
	return u
}

func (sb *Sandbox) mustLink(userID, clientID, serverID string) {
	sb.mustUser(userID)
	if sb.live.okta.clients[clientID] == nil {
		panic(fmt.Sprintf("sandbox: no OAuth client %q", clientID))
	}
	if serverID != OrgServer && sb.live.okta.servers[serverID] == nil {
		panic(fmt.Sprintf("sandbox: no authorization server %q", serverID))
	}
}
