package sandbox

import "fmt"

// ASAUserSpec describes a user to add to the team. Name is required; Status
// defaults to ACTIVE.
type ASAUserSpec struct {
	Name   string
	Email  string
	First  string
	Last   string
	Status string
}

// ASAServiceUserSpec describes a service user with an API key. Empty fields of
// the key are generated, but for the user name. Role is one of the Role
// constants.
type ASAServiceUserSpec struct {
	Key  ASAKey
	Role string
}

// ASAClientSpec describes a device to add. State defaults to ACTIVE; an empty
// UserName leaves it unassigned.
type ASAClientSpec struct {
	UserName    string
	Hostname    string
	OS          string
	Description string
	Encrypted   bool
	State       string
}

// AddASAUser adds a user to the team and returns the id.
func (sb *Sandbox) AddASAUser(spec ASAUserSpec) (id string) {
	sb.mu.Lock()
	defer sb.mu.Unlock()
	orElse(&spec.Status, func() string { return ASAActive })
	return sb.putASAUser(&ASAUser{
		Name: spec.Name, Email: spec.Email, First: spec.First, Last: spec.Last, Status: spec.Status,
	})
}

// AddASAServiceUser adds a service user and returns its API key.
func (sb *Sandbox) AddASAServiceUser(spec ASAServiceUserSpec) ASAKey {
	sb.mu.Lock()
	defer sb.mu.Unlock()
	key := spec.Key
	orElse(&key.KeyID, func() string { return sb.ids.uuid("asa-key") })
	orElse(&key.KeySecret, func() string { return sb.ids.secret("asa-secret") })
	sb.putASAUser(&ASAUser{Name: key.UserName, Status: ASAActive, Service: true, Role: spec.Role})
	sb.asa.keys[key.KeyID] = key
	return key
}

func (sb *Sandbox) putASAUser(u *ASAUser) string {
	s := sb.live.asa
	if u.Name == "" || s.users[u.Name] != nil {
		panic(fmt.Sprintf("sandbox: add ASA user: name %q is empty or taken", u.Name))
	}
	u.ID, u.seq = sb.ids.uuid("asa-user"), s.nextSeq()
	s.users[u.Name] = u
	s.userOrder = append(s.userOrder, u.Name)
	return u.ID
}

// SetASAUserStatus changes a user's status behind everybody's back.
func (sb *Sandbox) SetASAUserStatus(name, status string) {
	sb.mu.Lock()
	defer sb.mu.Unlock()
	sb.mustASAUser(name)
	u := *sb.live.asa.users[name]
	u.Status = status
	sb.live.asa.users[name] = &u
}

// AddASAClient adds a device and returns the id.
func (sb *Sandbox) AddASAClient(spec ASAClientSpec) (id string) {
	sb.mu.Lock()
	defer sb.mu.Unlock()
	if spec.UserName != "" {
		sb.mustASAUser(spec.UserName)
	}
	orElse(&spec.State, func() string { return ASAActive })
	orElse(&spec.OS, func() string { return "macOS 15.4" })
	s := sb.live.asa
	d := &ASAClient{
		ID: sb.ids.uuid("asa-client"), UserName: spec.UserName, Hostname: spec.Hostname, OS: spec.OS,
		Description: spec.Description, Encrypted: spec.Encrypted, State: spec.State, seq: s.nextSeq(),
	}
	s.clientOrder = append(s.clientOrder, d.ID)
	s.put(d)
	return d.ID
}

func (sb *Sandbox) mustASAUser(name string) {
	if sb.live.asa.users[name] == nil {
		panic(fmt.Sprintf("sandbox: no ASA user %q", name))
	}
}

// ExpireASAKey ends an API key and, with it, every token made from it.
func (sb *Sandbox) ExpireASAKey(keyID string) {
	sb.mu.Lock()
	defer sb.mu.Unlock()
	delete(sb.asa.keys, keyID)
	for raw, t := range sb.asa.tokens {
		if t.keyID == keyID {
			delete(sb.asa.tokens, raw)
		}
	}
}
