//go:build !race

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

// round is a part of the run with people, events and a judgement of its own.
type round struct {
	company company
	events  map[string]delivery // by id
	list    []delivery          // in the order in which they are sent
	waiting []delivery          // kept back for the moments at which a worker dies: work for every lane
	settled sandbox.State       // what the providers showed before the first of them
}

// How many people and things a round is about.
const (
	roundLeaving   = 14
	roundLosing    = 24
	roundStaying   = 6
	roundLeaking   = 3
	roundOnboarded = 12
	roundWaiting   = 6 // of those who leave, and of the apps
)

// newRound puts new people and things into the sandbox, and makes the events about them.
func newRound(t *testing.T, s *site, rng *rand.Rand, n int) *round {
	t.Helper()
	r := &round{events: map[string]delivery{}}
	r.populate(s.sandbox, n)
	r.settled = s.sandbox.Snapshot()
	r.write(t, n)
	rng.Shuffle(len(r.list), func(i, j int) { r.list[i], r.list[j] = r.list[j], r.list[i] })
	return r
}

// populate makes the people: each has a device or two, a session, and tokens at two clients.
func (r *round) populate(sb *sandbox.Sandbox, n int) {
	shared := sb.AddOAuthClient(sandbox.OAuthClientSpec{Name: fmt.Sprintf("App %d", n)})
	for i := range roundLeaking {
		r.company.leaked = append(r.company.leaked, sb.AddOAuthClient(sandbox.OAuthClientSpec{Name: fmt.Sprintf("Robot %d.%d", n, i)}))
	}
	servers := sb.AuthServers()
	hire := func(first string, i, devices int) colleague {
		p := colleague{login: fmt.Sprintf("%s.%d.%d@acme.example", first, n, i), name: fmt.Sprintf("%s.%d.%d", first, n, i)}
		p.id = sb.AddUser(sandbox.UserSpec{Login: p.login, FirstName: first, LastName: fmt.Sprintf("%d.%d", n, i), Sessions: 1, RememberedDevices: 1})
		sb.AddASAUser(sandbox.ASAUserSpec{Name: p.name, Email: p.login})
		for d := range devices {
			host := fmt.Sprintf("%s-%d-%d-%d", first, n, i, d)
			p.hosts = append(p.hosts, host)
			p.devices = append(p.devices, sb.AddASAClient(sandbox.ASAClientSpec{UserName: p.name, Hostname: host}))
		}
		for k, client := range []string{shared, r.company.leaked[i%roundLeaking]} {
			server := servers[(i+k)%len(servers)].ID
			sb.AddRefreshToken(p.id, client, server)
			sb.AddGrant(p.id, client, server, "offline_access")
		}
		return p
	}
	for i := range roundLeaving + roundWaiting {
		r.company.leavers = append(r.company.leavers, hire("lea", i, 1+i%2))
	}
	for i := range roundLosing {
		r.company.losers = append(r.company.losers, hire("lou", i, 2))
	}
	for i := range roundStaying {
		r.company.others = append(r.company.others, hire("sam", i, 1))
	}
	for i := range roundOnboarded + roundWaiting {
		r.company.apps = append(r.company.apps, fmt.Sprintf("app-%d-%d", n, i))
	}
}

// write makes the events.
func (r *round) write(t *testing.T, n int) {
	t.Helper()
	add := func(source, id, kind string, actions int, data any) delivery {
		id = fmt.Sprintf("%s-%d", id, n)
		body, err := json.Marshal(map[string]any{
			"specversion": "1.0", "id": id, "source": "https://" + source + ".acme.example", "type": "dev.keyturn." + kind + ".v1",
			"time": time.Now().UTC().Format(time.RFC3339Nano), "datacontenttype": "application/json", "data": data,
		})
		if err != nil {
			t.Fatal(err)
		}
		r.events[id] = delivery{source: source, event: id, actions: actions, body: body}
		return r.events[id]
	}
	type object = map[string]any
	for i, p := range r.company.leavers {
		d := add("hr-relay", fmt.Sprintf("left-%d", i), "user.terminated", 4, object{"user": object{"email": p.login}})
		r.keep(d, i < roundLeaving)
	}
	for i, p := range r.company.losers {
		r.list = append(r.list, add("siem", fmt.Sprintf("lost-%d", i), "device.lost", 1,
			object{"device": object{"hostname": p.hosts[0]}, "user": object{"email": p.login}}))
	}
	for i, id := range r.company.leaked {
		r.list = append(r.list, add("siem", fmt.Sprintf("leak-%d", i), "client.compromised", 1, object{"client_id": id}))
	}
	for i, key := range r.company.apps {
		d := add("hr-relay", fmt.Sprintf("app-%d", i), "app.onboarded", 1, object{"app": object{
			"key": key, "name": key, "redirect_uris": []string{"https://" + key + ".acme.example/callback"}, "role_ids": []string{"reader"},
		}})
		r.keep(d, i < roundOnboarded)
	}
}

// keep puts an event among those that are sent as they come, or among those that wait for a moment.
func (r *round) keep(d delivery, now bool) {
	if now {
		r.list = append(r.list, d)
		return
	}
	r.waiting = append(r.waiting, d)
}

// roundReserve is how many events of a round are kept for when they are to be refused: two times three, and as many again
// should there have been room for the first.
const roundReserve = 12

// next takes so many of the events that are left, but for the reserve.
func (r *round) next(n int) []delivery { return r.take(min(n, max(len(r.list)-roundReserve, 0))) }

// reserved takes so many of them all.
func (r *round) reserved(n int) []delivery { return r.take(min(n, len(r.list))) }

func (r *round) take(n int) []delivery {
	some := r.list[:n]
	r.list = r.list[n:]
	return some
}

// work takes events that give every lane something to do: somebody who leaves, and an app.
func (r *round) work() []delivery {
	if len(r.waiting) == 0 {
		return nil
	}
	last := len(r.waiting) - 1
	some := []delivery{r.waiting[0], r.waiting[last]}
	r.waiting = slices.Clone(r.waiting[1:last])
	return some
}
