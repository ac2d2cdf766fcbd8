package sandbox

import (
	"maps"
	"slices"
	"time"
)

// States of an ASA client and statuses of an ASA user (ASA, "Clients" and
// "Users").
const (
	ASAActive   = "ACTIVE"
	ASAPending  = "PENDING"
	ASADisabled = "DISABLED"
	ASADeleted  = "DELETED"
)

// Roles of an ASA service user.
const (
	RoleAccessAdmin   = "access_admin"
	RoleAccessUser    = "access_user"
	RoleReportingUser = "reporting_user"
)

// ASAUser is a user of the team.
type ASAUser struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Email   string `json:"email,omitempty"`
	First   string `json:"first_name,omitempty"`
	Last    string `json:"last_name,omitempty"`
	Status  string `json:"status"`
	Service bool   `json:"service"`
	Role    string `json:"role,omitempty"` // of a service user
	seq     int
}

// ASAClient is a device of the team.
type ASAClient struct {
	ID          string     `json:"id"`
	UserName    string     `json:"user_name,omitempty"` // empty: assigned to nobody
	Hostname    string     `json:"hostname"`
	OS          string     `json:"os"`
	Description string     `json:"description,omitempty"`
	Encrypted   bool       `json:"encrypted"`
	State       string     `json:"state"`
	DeletedAt   *time.Time `json:"deleted_at,omitempty"`
	seq         int
}

func (u *ASAUser) number() int   { return u.seq }
func (d *ASAClient) number() int { return d.seq }

// asaState is the team. Like the Okta org it is copied by its maps.
type asaState struct {
	seq         int
	users       map[string]*ASAUser // by name
	userOrder   []string
	clients     map[string]*ASAClient
	clientOrder []string
	userClients map[string][]string // user name → client ids; "" holds the unassigned
}

func newASAState() *asaState {
	return &asaState{users: map[string]*ASAUser{}, clients: map[string]*ASAClient{}, userClients: map[string][]string{}}
}

func (s *asaState) clone() *asaState {
	c := *s
	c.users, c.clients, c.userClients = maps.Clone(s.users), maps.Clone(s.clients), maps.Clone(s.userClients)
	return &c
}

func (s *asaState) nextSeq() int {
	s.seq++
	return s.seq
}

// put replaces a client and moves it between users, in order of creation.
func (s *asaState) put(d *ASAClient) {
	if old := s.clients[d.ID]; old != nil {
		s.userClients[old.UserName] = without(s.userClients[old.UserName], d.ID)
	}
	s.clients[d.ID] = d
	ids := append(slices.Clone(s.userClients[d.UserName]), d.ID)
	slices.SortFunc(ids, func(a, b string) int { return s.clients[a].seq - s.clients[b].seq })
	s.userClients[d.UserName] = ids
}
