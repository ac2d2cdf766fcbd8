package e2e

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"keyturn/internal/sandbox"
)

// How much happens in the company. Every resend is of one of the events.
const (
	leaving   = 40
	losing    = 90
	staying   = 40
	leaking   = 10
	onboarded = 60
	resends   = 100
)

// colleague is a person at Okta and ASA.
type colleague struct {
	id, login, name string
	devices, hosts  []string // ids and names of the ASA clients
}

// company is everybody whom the test is about, and everybody whom it must not be about.
type company struct {
	leavers []colleague // lose everything
	losers  []colleague // lose the first of two devices
	others  []colleague // keep everything, but for tokens of a leaked client
	leaked  []string    // OAuth clients that lose every token
	apps    []string    // keys of apps that get a client
}

// populate puts the company into the sandbox.
func populate(sb *sandbox.Sandbox) company {
	var c company
	var clients []string
	for i := range 4 {
		clients = append(clients, sb.AddOAuthClient(sandbox.OAuthClientSpec{Name: fmt.Sprintf("App %d", i)}))
	}
	for i := range leaking {
		c.leaked = append(c.leaked, sb.AddOAuthClient(sandbox.OAuthClientSpec{Name: fmt.Sprintf("Robot %d", i)}))
	}
	servers := sb.AuthServers()
	hire := func(first string, i, devices int) colleague {
		p := colleague{login: fmt.Sprintf("%s.%03d@acme.example", first, i), name: fmt.Sprintf("%s.%03d", first, i)}
		p.id = sb.AddUser(sandbox.UserSpec{Login: p.login, FirstName: first, LastName: fmt.Sprintf("%03d", i), Sessions: 1, RememberedDevices: 1})
		sb.AddASAUser(sandbox.ASAUserSpec{Name: p.name, Email: p.login})
		for d := range devices {
			host := fmt.Sprintf("%s-%03d-%d", first, i, d)
			p.hosts = append(p.hosts, host)
			p.devices = append(p.devices, sb.AddASAClient(sandbox.ASAClientSpec{UserName: p.name, Hostname: host}))
		}
		for n, client := range []string{clients[i%len(clients)], c.leaked[i%leaking]} {
			server := servers[(i+n)%len(servers)].ID
			sb.AddRefreshToken(p.id, client, server)
			sb.AddGrant(p.id, client, server, "offline_access")
		}
		return p
	}
	for i := range leaving {
		c.leavers = append(c.leavers, hire("lea", i, 1+i%2))
	}
	for i := range losing {
		c.losers = append(c.losers, hire("lou", i, 2))
	}
	for i := range staying {
		c.others = append(c.others, hire("sam", i, 1))
	}
	for i := range onboarded {
		c.apps = append(c.apps, fmt.Sprintf("app-%02d", i))
	}
	return c
}

// after is the state that the events must lead to, and no other.
func (c company) after(s sandbox.State) sandbox.State {
	left := func(userID string) bool {
		return slices.ContainsFunc(c.leavers, func(p colleague) bool { return p.id == userID })
	}
	for i, u := range s.Okta.Users {
		if left(u.ID) {
			s.Okta.Users[i].Status, s.Okta.Users[i].RememberedDevices = sandbox.StatusSuspended, 0
		}
	}
	s.Okta.Sessions = slices.DeleteFunc(s.Okta.Sessions, func(x sandbox.Session) bool { return left(x.UserID) })
	s.Okta.Grants = slices.DeleteFunc(s.Okta.Grants, func(g sandbox.Grant) bool { return left(g.UserID) })
	s.Okta.Tokens = slices.DeleteFunc(s.Okta.Tokens, func(r sandbox.RefreshToken) bool {
		return left(r.UserID) || slices.Contains(c.leaked, r.ClientID)
	})
	var gone []string
	for _, p := range c.leavers {
		gone = append(gone, p.devices...)
	}
	for _, p := range c.losers {
		gone = append(gone, p.devices[0])
	}
	for i, d := range s.ASA.Clients {
		if slices.Contains(gone, d.ID) {
			s.ASA.Clients[i].State = sandbox.ASADeleted
		}
	}
	for _, key := range c.apps {
		s.Mosaic.Clients = append(s.Mosaic.Clients, sandbox.MosaicClient{Name: key})
	}
	return s
}

// lines puts a state into words, sorted: everything that anybody could gain or lose.
func lines(s sandbox.State) []string {
	var list []string
	say := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	for _, u := range s.Okta.Users {
		say("user %s is %s, devices remembered: %d", u.Login, u.Status, u.RememberedDevices)
	}
	for _, x := range s.Okta.Sessions {
		say("session %s of %s", x.ID, x.UserID)
	}
	for _, g := range s.Okta.Grants {
		say("grant %s of %s at %s", g.ID, g.UserID, g.ClientID)
	}
	for _, r := range s.Okta.Tokens {
		say("refresh token %s of %s at %s", r.ID, r.UserID, r.ClientID)
	}
	for _, d := range s.ASA.Clients {
		say("device %s is %s", d.Hostname, d.State)
	}
	for _, m := range s.Mosaic.Clients {
		say("app client %q", m.Name)
	}
	slices.Sort(list)
	return list
}

// delivery is what a source sends: one signed request with one event.
type delivery struct {
	source, event string // event is its id
	actions       int    // that the playbooks ask for
	body          []byte
}

// deliveries are all events and the resends, in any order.
func (c company) deliveries(t *testing.T, rng *rand.Rand) []delivery {
	t.Helper()
	var list []delivery
	add := func(source, id, kind string, actions int, data any) {
		body, err := json.Marshal(map[string]any{
			"specversion": "1.0", "id": id, "source": "https://" + source + ".acme.example", "type": "dev.keyturn." + kind + ".v1",
			"time": time.Now().UTC().Format(time.RFC3339Nano), "datacontenttype": "application/json", "data": data,
		})
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, delivery{source: source, event: id, actions: actions, body: body})
	}
	type object = map[string]any
	for i, p := range c.leavers {
		add("hr-relay", fmt.Sprintf("left-%d", i), "user.terminated", 4, object{"user": object{"email": p.login}})
	}
	for i, p := range c.losers {
		add("siem", fmt.Sprintf("lost-%d", i), "device.lost", 1,
			object{"device": object{"hostname": p.hosts[0]}, "user": object{"email": p.login}})
	}
	for i, id := range c.leaked {
		add("siem", fmt.Sprintf("leak-%d", i), "client.compromised", 1, object{"client_id": id})
	}
	for i, key := range c.apps {
		add("hr-relay", fmt.Sprintf("app-%d", i), "app.onboarded", 1, object{"app": object{
			"key": key, "name": key, "redirect_uris": []string{"https://" + key + ".acme.example/callback"}, "role_ids": []string{"reader"},
		}})
	}
	for range resends {
		list = append(list, list[rng.IntN(leaving+losing+leaking+onboarded)])
	}
	rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}
