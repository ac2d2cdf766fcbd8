package burst

import (
	"fmt"

	"keyturn/internal/events"
	"keyturn/internal/sandbox"
)

// What each leaver has, at Okta and at ASA.
const (
	clientsEach = 5
	devicesEach = 3
)

// person is somebody of the sample company.
type person struct {
	events.UserRef
	okta string // id there
	asa  string // name there
}

// company is the sample company: leavers, and travellers whose laptops are stolen.
type company struct {
	*sandbox.Sandbox
	leavers, travellers []person
}

// newCompany makes a company with so many leavers, each with a token and a consent at five OAuth clients and three
// devices, and so many travellers with one device. Without limits it has those that
// the vendors publish.
func newCompany(leavers, travellers int, limits map[string]sandbox.Limit) company {
	c := company{Sandbox: sandbox.New(sandbox.Options{JournalSize: 1, Limits: limits})}
	var apps []string
	for i := range clientsEach {
		apps = append(apps, c.AddOAuthClient(sandbox.OAuthClientSpec{Name: fmt.Sprintf("App %d", i+1)}))
	}
	servers := c.AuthServers()
	for i := range leavers {
		p := c.person("lea", i, devicesEach)
		for j, app := range apps {
			server := servers[(i+j)%len(servers)].ID
			c.AddRefreshToken(p.okta, app, server)
			c.AddGrant(p.okta, app, server, "offline_access")
		}
		c.leavers = append(c.leavers, p)
	}
	for i := range travellers {
		c.travellers = append(c.travellers, c.person("tom", i, 1))
	}
	return c
}

// person adds one person with a session and so many devices.
func (c company) person(first string, i, devices int) person {
	p := person{asa: fmt.Sprintf("%s.%05d", first, i)}
	p.Email = p.asa + "@acme.example"
	p.okta = c.AddUser(sandbox.UserSpec{Login: p.Email, FirstName: first, LastName: fmt.Sprint(i), Sessions: 1, RememberedDevices: 1})
	c.AddASAUser(sandbox.ASAUserSpec{Name: p.asa, Email: p.Email})
	for n := range devices {
		c.AddASAClient(sandbox.ASAClientSpec{UserName: p.asa, Hostname: fmt.Sprintf("%s-%d", p.asa, n)})
	}
	return p
}

// left says what the leavers still have, by the sandbox's own word; empty = nothing.
func (c company) left() string {
	state := c.Snapshot()
	leaver := map[string]bool{}
	for _, p := range c.leavers {
		leaver[p.okta], leaver[p.asa] = true, true
	}
	active, tokens, grants, sessions, devices := 0, 0, 0, 0, 0
	count := func(n *int, yes bool) {
		if yes {
			*n++
		}
	}
	for _, u := range state.Okta.Users {
		count(&active, leaver[u.ID] && u.Status != sandbox.StatusSuspended)
	}
	for _, t := range state.Okta.Tokens {
		count(&tokens, leaver[t.UserID])
	}
	for _, g := range state.Okta.Grants {
		count(&grants, leaver[g.UserID])
	}
	for _, s := range state.Okta.Sessions {
		count(&sessions, leaver[s.UserID])
	}
	for _, d := range state.ASA.Clients {
		count(&devices, leaver[d.UserName] && d.State != sandbox.ASADeleted)
	}
	if active+tokens+grants+sessions+devices == 0 {
		return ""
	}
	return fmt.Sprintf("%d active users, %d tokens, %d grants, %d sessions, %d devices", active, tokens, grants, sessions, devices)
}
