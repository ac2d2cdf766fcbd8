package sandbox

import (
	"fmt"
	"strings"
)

// Person is a sample person at every provider.
type Person struct {
	OktaID         string
	Login          string // also the e-mail
	EmployeeNumber string
	ASAName        string   // not the login: "Ada.Berg"
	Devices        []string // ids of ASA clients
	Hostnames      []string // of the devices, in the same order
	Clients        []string // OAuth clients with tokens of this person
	Tokens         []string // refresh tokens
}

// Acme is the sample company acme.example.
type Acme struct {
	// Leaver has 3 devices, 4 OAuth clients and 9 refresh tokens on 2
	// authorization servers, 2 sessions and a grant for each client.
	Leaver Person
	// Traveller has 2 devices and one token.
	Traveller Person
	// NextDay leaves tomorrow, or does not.
	NextDay Person
	// BreakGlass is the account that nobody may touch.
	BreakGlass Person
	// Staff are further people, who must keep everything.
	Staff []Person
	// SharedClient is an OAuth client for which every one of Staff has a token
	// at the default server.
	SharedClient string
	// Apps are four more OAuth clients.
	Apps []string
	// Unassigned is an ASA client that waits for its user.
	Unassigned string
}

// SeedAcme populates the sandbox with the sample company and so many further
// people. It must be called once at most.
func (sb *Sandbox) SeedAcme(staff int) Acme {
	var a Acme
	for _, name := range []string{"Wiki", "Payroll", "Chat", "Tickets"} {
		a.Apps = append(a.Apps, sb.AddOAuthClient(OAuthClientSpec{Name: name, URI: "https://" + strings.ToLower(name) + ".acme.example"}))
	}
	a.SharedClient = sb.AddOAuthClient(OAuthClientSpec{Name: "Expense Robot"})
	servers := sb.AuthServers()

	a.Leaver = sb.seedPerson("Ada", "Berg", "1001", 3)
	for i, server := range []string{servers[0].ID, servers[1].ID} {
		for _, app := range a.Apps {
			sb.give(&a.Leaver, app, server)
			if i == 0 {
				sb.AddGrant(a.Leaver.OktaID, app, server, "offline_access")
			}
		}
	}
	sb.give(&a.Leaver, a.Apps[0], servers[0].ID)
	sb.AddSession(a.Leaver.OktaID)

	a.Traveller = sb.seedPerson("Tom", "Okafor", "1002", 2)
	sb.give(&a.Traveller, a.Apps[1], servers[0].ID)
	a.NextDay = sb.seedPerson("Lena", "Fischer", "1003", 1)
	sb.give(&a.NextDay, a.Apps[0], servers[1].ID)
	a.BreakGlass = sb.seedPerson("Break", "Glass", "1000", 1)
	sb.give(&a.BreakGlass, a.Apps[2], servers[0].ID)

	for i := range staff {
		p := sb.seedPerson("Sam", fmt.Sprintf("Staff%04d", i+1), fmt.Sprint(2001+i), 1)
		sb.give(&p, a.SharedClient, servers[0].ID)
		sb.give(&p, a.Apps[i%len(a.Apps)], servers[i%len(servers)].ID)
		a.Staff = append(a.Staff, p)
	}
	a.Unassigned = sb.AddASAClient(ASAClientSpec{Hostname: "spare-laptop", State: ASAPending})
	return a
}

// seedPerson adds one person with one session and so many devices, the last of
// several still pending.
func (sb *Sandbox) seedPerson(first, last, number string, devices int) Person {
	p := Person{
		Login: strings.ToLower(first) + "." + strings.ToLower(last) + "@acme.example", EmployeeNumber: number, ASAName: first + "." + last,
	}
	p.OktaID = sb.AddUser(UserSpec{
		Login: p.Login, FirstName: first, LastName: last, EmployeeNumber: number, Sessions: 1, RememberedDevices: 1,
	})
	sb.AddASAUser(ASAUserSpec{Name: p.ASAName, Email: p.Login, First: first, Last: last})
	for i := range devices {
		spec := ASAClientSpec{UserName: p.ASAName, Hostname: fmt.Sprintf("%s-%s-%d", strings.ToLower(first), strings.ToLower(last), i+1), Encrypted: true}
		if i > 0 && i == devices-1 {
			spec.State = ASAPending
		}
		p.Devices = append(p.Devices, sb.AddASAClient(spec))
		p.Hostnames = append(p.Hostnames, spec.Hostname)
	}
	return p
}

// give gives a person a refresh token.
func (sb *Sandbox) give(p *Person, client, server string) {
	p.Tokens = append(p.Tokens, sb.AddRefreshToken(p.OktaID, client, server))
	for _, c := range p.Clients {
		if c == client {
			return
		}
	}
	p.Clients = append(p.Clients, client)
}
