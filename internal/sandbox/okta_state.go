package sandbox

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// Statuses of an Okta user (Okta, "User" schema).
const (
	StatusStaged          = "STAGED"
	StatusProvisioned     = "PROVISIONED"
	StatusActive          = "ACTIVE"
	StatusRecovery        = "RECOVERY"
	StatusPasswordExpired = "PASSWORD_EXPIRED"
	StatusLockedOut       = "LOCKED_OUT"
	StatusSuspended       = "SUSPENDED"
	StatusDeprovisioned   = "DEPROVISIONED"
)

const (
	// DefaultServer is the id of the authorization server that every org has.
	DefaultServer = "default"
	// OrgServer stands for the org authorization server, which no listing of
	// authorization servers shows.
	OrgServer = ""
)

// User is a person in the Okta org.
type User struct {
	ID                string    `json:"id"`
	Login             string    `json:"login"`
	Email             string    `json:"email"`
	FirstName         string    `json:"first_name,omitempty"`
	LastName          string    `json:"last_name,omitempty"`
	EmployeeNumber    string    `json:"employee_number,omitempty"`
	Status            string    `json:"status"`
	RememberedDevices int       `json:"remembered_devices"`
	Created           time.Time `json:"created"`
	StatusChanged     time.Time `json:"status_changed"`
	seq               int
}

// AuthServer is a custom authorization server.
type AuthServer struct {
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	Audience string    `json:"audience"`
	Created  time.Time `json:"created"`
	seq      int
}

// OAuthClient is an OAuth client application.
type OAuthClient struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	URI  string `json:"uri,omitempty"`
	seq  int
}

// RefreshToken is a live refresh token. Revoked ones are gone.
type RefreshToken struct {
	ID       string    `json:"id"`
	UserID   string    `json:"user_id"`
	ClientID string    `json:"client_id"`
	ServerID string    `json:"server_id"` // "" is the org authorization server
	Scopes   []string  `json:"scopes"`
	Created  time.Time `json:"created"`
	Expires  time.Time `json:"expires"`
	seq      int
}

// Grant is a user's consent to one scope of one client.
type Grant struct {
	ID       string    `json:"id"`
	UserID   string    `json:"user_id"`
	ClientID string    `json:"client_id"`
	ServerID string    `json:"server_id"`
	Scope    string    `json:"scope"`
	Created  time.Time `json:"created"`
	seq      int
}

// Session is a sign-in at the org.
type Session struct {
	ID      string    `json:"id"`
	UserID  string    `json:"user_id"`
	Created time.Time `json:"created"`
	seq     int
}

func (u *User) number() int         { return u.seq }
func (a *AuthServer) number() int   { return a.seq }
func (o *OAuthClient) number() int  { return o.seq }
func (t *RefreshToken) number() int { return t.seq }
func (g *Grant) number() int        { return g.seq }
func (s *Session) number() int      { return s.seq }

type serverClient struct{ server, client string }

// oktaState is the org. Id lists are in order of creation and are replaced, or
// grown at their end, never changed in the middle.
type oktaState struct {
	seq          int
	users        map[string]*User
	userOrder    []string
	logins       map[string]string   // lower-case login → user id
	employees    map[string][]string // employee number → user ids
	servers      map[string]*AuthServer
	serverOrder  []string
	clients      map[string]*OAuthClient
	tokens       map[string]*RefreshToken
	userTokens   map[string][]string // user id → token ids
	clientTokens map[serverClient][]string
	revoked      map[string]struct{} // token ids that once were
	grants       map[string]*Grant
	userGrants   map[string][]string
	sessions     map[string]*Session
	userSessions map[string][]string
	roles        map[string][]string // user id → types of administrator roles
}

func newOktaState() *oktaState {
	return &oktaState{
		users: map[string]*User{}, logins: map[string]string{}, employees: map[string][]string{},
		servers: map[string]*AuthServer{}, clients: map[string]*OAuthClient{},
		tokens: map[string]*RefreshToken{}, userTokens: map[string][]string{},
		clientTokens: map[serverClient][]string{}, revoked: map[string]struct{}{},
		grants: map[string]*Grant{}, userGrants: map[string][]string{},
		sessions: map[string]*Session{}, userSessions: map[string][]string{},
		roles: map[string][]string{},
	}
}

// clone copies the maps; records are shared, as nobody changes them.
func (s *oktaState) clone() *oktaState {
	c := *s
	c.users, c.logins, c.employees = maps.Clone(s.users), maps.Clone(s.logins), maps.Clone(s.employees)
	c.servers, c.clients = maps.Clone(s.servers), maps.Clone(s.clients)
	c.tokens, c.userTokens = maps.Clone(s.tokens), maps.Clone(s.userTokens)
	c.clientTokens, c.revoked = maps.Clone(s.clientTokens), maps.Clone(s.revoked)
	c.grants, c.userGrants = maps.Clone(s.grants), maps.Clone(s.userGrants)
	c.sessions, c.userSessions = maps.Clone(s.sessions), maps.Clone(s.userSessions)
	c.roles = maps.Clone(s.roles)
	return &c
}

func (s *oktaState) nextSeq() int {
	s.seq++
	return s.seq
}

// byLogin finds a user by id, by login, or by the part of the login before @ if
// one user alone has it (Okta, "Retrieve a user").
func (s *oktaState) byLogin(key string) *User {
	if u := s.users[key]; u != nil {
		return u
	}
	if id, ok := s.logins[strings.ToLower(key)]; ok {
		return s.users[id]
	}
	if strings.Contains(key, "@") {
		return nil
	}
	var found *User
	prefix := strings.ToLower(key) + "@"
	for login, id := range s.logins {
		if strings.HasPrefix(login, prefix) {
			if found != nil {
				return nil
			}
			found = s.users[id]
		}
	}
	return found
}

// putStatus replaces a user by one with another status.
func (s *oktaState) putStatus(id, status string, at time.Time) {
	u := *s.users[id]
	u.Status, u.StatusChanged = status, at
	s.users[id] = &u
}

func (s *oktaState) addToken(t *RefreshToken) {
	key := serverClient{t.ServerID, t.ClientID}
	s.tokens[t.ID] = t
	s.userTokens[t.UserID] = append(s.userTokens[t.UserID], t.ID)
	s.clientTokens[key] = append(s.clientTokens[key], t.ID)
}

func (s *oktaState) removeToken(id string) {
	t := s.tokens[id]
	if t == nil {
		return
	}
	key := serverClient{t.ServerID, t.ClientID}
	delete(s.tokens, id)
	s.revoked[id] = struct{}{}
	s.userTokens[t.UserID] = without(s.userTokens[t.UserID], id)
	s.clientTokens[key] = without(s.clientTokens[key], id)
}

func (s *oktaState) addGrant(g *Grant) {
	s.grants[g.ID] = g
	s.userGrants[g.UserID] = append(s.userGrants[g.UserID], g.ID)
}

func (s *oktaState) removeGrant(id string) {
	if g := s.grants[id]; g != nil {
		delete(s.grants, id)
		s.userGrants[g.UserID] = without(s.userGrants[g.UserID], id)
	}
}

func (s *oktaState) addSession(x *Session) {
	s.sessions[x.ID] = x
	s.userSessions[x.UserID] = append(s.userSessions[x.UserID], x.ID)
}

func (s *oktaState) removeSession(id string) {
	if x := s.sessions[id]; x != nil {
		delete(s.sessions, id)
		s.userSessions[x.UserID] = without(s.userSessions[x.UserID], id)
	}
}

// tokensOf are a user's live tokens at one client.
func (s *oktaState) tokensOf(user, client string) []string {
	return slices.DeleteFunc(slices.Clone(s.userTokens[user]), func(id string) bool {
		return s.tokens[id].ClientID != client
	})
}

// grantsOf are a user's grants to one client.
func (s *oktaState) grantsOf(user, client string) []string {
	return slices.DeleteFunc(slices.Clone(s.userGrants[user]), func(id string) bool {
		return s.grants[id].ClientID != client
	})
}

// clientsOf are the clients for which a user has grants or tokens.
func (s *oktaState) clientsOf(user string) []*OAuthClient {
	some := map[string]*OAuthClient{}
	for _, id := range s.userTokens[user] {
		some[s.tokens[id].ClientID] = s.clients[s.tokens[id].ClientID]
	}
	for _, id := range s.userGrants[user] {
		some[s.grants[id].ClientID] = s.clients[s.grants[id].ClientID]
	}
	return ordered(some)
}

// clientsAt are the clients for which a server has tokens.
func (s *oktaState) clientsAt(server string) []*OAuthClient {
	some := map[string]*OAuthClient{}
	for key, ids := range s.clientTokens {
		if key.server == server && len(ids) > 0 {
			some[key.client] = s.clients[key.client]
		}
	}
	return ordered(some)
}
