package actions

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"keyturn/internal/apiclient"
	"keyturn/internal/apiclient/asa"
	"keyturn/internal/ledger"
)

// asaRevokeClients brings about that no ASA client of a person, or none of one host name of that person, can be used:
// neither an active one, nor a pending one that could be approved later.
type asaRevokeClients struct {
	user     asaUser
	hostname string          // only clients of this exact name; empty = all of the user's
	noUser   string          // what it means that the team has no such user
	noMatch  string          // what it means that no client has the host name
	clients  map[string]bool // ids that were found, now or in an earlier observation
}

func defineASARevokeClients() definition {
	return definition{
		KindInfo: KindInfo{
			Name: "asa.revoke_clients", Provider: "asa",
			Parameters: []Parameter{
				userParameter,
				{Name: "hostname", About: "only the person's clients of this exact host name; not given = all of the person's"},
				{Name: "no_user", Words: []string{"fail", "holds"},
					About: `nobody in the team has the e-mail: "fail" (default) or "holds", for people who need no ASA`},
				{Name: "no_match", Words: []string{"fail", "all"},
					About: `the person has no client of the host name: "fail" (default) or "all" of the person's`},
			},
		},
		build: func(p parameters, c Clients, pins map[string]string) (_ Kind, err error) {
			k := &asaRevokeClients{clients: map[string]bool{}}
			if k.user, err = newASAUser(p, c, pins); err != nil {
				return nil, err
			}
			for name, id := range pins {
				if strings.HasPrefix(name, pinClient) {
					k.clients[id] = true
				}
			}
			if err = p.into("hostname", &k.hostname); err != nil {
				return nil, err
			}
			if _, given := p["hostname"]; given && strings.TrimSpace(k.hostname) == "" {
				return nil, errors.New("with.hostname: empty")
			}
			if k.noUser, err = p.choice("no_user", "fail", "holds"); err != nil {
				return nil, err
			}
			k.noMatch, err = p.choice("no_match", "fail", "all")
			return k, err
		},
	}
}

// Observe implements Kind.
func (k *asaRevokeClients) Observe(ctx context.Context) (Observation, error) {
	return lookTwice(ctx, k.user.forget, k.look)
}

// look reads everything once, but for a user who was read before.
func (k *asaRevokeClients) look(ctx context.Context) (Observation, error) {
	u, err := k.user.control(ctx)
	if err != nil {
		return Observation{}, err
	}
	obs := Observation{Seen: u.seen, Pins: maps.Clone(u.pins)}
	if u.none {
		if k.user.login {
			return obs, advise(errors.New("nobody in the team has the login for an e-mail"), "send the event with asa_username or email")
		}
		if k.noUser == "holds" {
			return obs, nil
		}
		return obs, advise(errors.New("nobody in the team has this e-mail"),
			"if the person has an ASA account, send the event with asa_username; if people without one are normal, set no_user: holds in the playbook")
	}
	live, err := k.listed(ctx, u, &obs)
	if err != nil {
		return obs, err
	}
	if err := k.recheck(ctx, live, &obs); err != nil {
		return obs, err
	}
	for _, id := range slices.Sorted(maps.Keys(k.clients)) {
		obs.Pins[pinClient+id] = id
		if live[id] {
			obs.Needed = append(obs.Needed, Change{Call: "asa.revokeClient", Target: id, Apply: func(ctx context.Context) (string, error) {
				return k.user.client.RevokeClient(ctx, id)
			}})
		}
	}
	return obs, nil
}

// listed reads the user's clients and takes those over that this action is about. It gives the live ones.
func (k *asaRevokeClients) listed(ctx context.Context, u foundASAUser, obs *Observation) (map[string]bool, error) {
	devices, err := apiclient.Collect(k.user.client.ListClients(ctx, asa.ListClientsOptions{Username: u.Name}))
	if missing(err) && u.gone {
		devices, err = nil, nil
	}
	if err != nil {
		return nil, err
	}
	wanted, live := devices, map[string]bool{}
	if k.hostname != "" {
		wanted = slices.DeleteFunc(slices.Clone(devices), func(d asa.Device) bool { return !strings.EqualFold(d.Hostname, k.hostname) })
		obs.Seen = append(obs.Seen, ledger.Fact{What: "clients of " + u.Name + " named " + k.hostname, Value: fmt.Sprint(len(wanted))})
	}
	obs.Seen = append(obs.Seen, ledger.Fact{What: "clients of " + u.Name + " listed", Value: fmt.Sprint(len(devices))})
	if len(wanted) == 0 && len(k.clients) == 0 {
		switch {
		case k.hostname != "" && k.noMatch == "all" && len(devices) > 0:
			wanted = devices
		case k.hostname != "":
			return nil, advise(fmt.Errorf("no client of %s has this host name", u.Name),
				"find the device at ASA and revoke it by hand, or set no_match: all in the playbook to revoke all of the person's")
		default:
			if err := k.control(ctx, obs); err != nil {
				return nil, err
			}
		}
	}
	if err := k.spare(wanted); err != nil {
		return nil, err
	}
	for _, d := range wanted {
		k.clients[d.ID] = true
		live[d.ID] = d.Live()
	}
	return live, nil
}

// spare refuses to touch any of the devices if one is protected. Where the event names none of them that says nothing
// about their owner: the action is left to a person, and what else the case asks for goes on.
func (k *asaRevokeClients) spare(devices []asa.Device) error {
	for _, d := range devices {
		err := k.user.all.spareDevice(d.ID, d.Hostname, len(k.clients) > 0)
		s, ok := errors.AsType[spared](err)
		if ok && !strings.EqualFold(d.Hostname, k.hostname) {
			changed := "nothing was changed"
			if len(k.clients) > 0 {
				changed = "nothing more is changed"
			}
			return advise(s.error, "protected principal: "+changed+
				" at ASA; revoke the person's other devices there by hand, or take this one off the list and redrive")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// control proves that an empty listing means something: the same credential sees clients of the team. A service user
// without the right role sees none at all, which reads like "nothing to revoke".
func (k *asaRevokeClients) control(ctx context.Context, obs *Observation) error {
	for _, err := range k.user.client.ListClients(ctx, asa.ListClientsOptions{All: true, Count: 1}) {
		if err != nil {
			return err
		}
		obs.Seen = append(obs.Seen, ledger.Fact{What: "clients of the team", Value: "listed to this credential"})
		return nil
	}
	return advise(errors.New("the team's listing shows no client at all, so an empty one proves nothing"),
		"check that the service user's group has the role access_admin, then redrive; of a team that has no client left, look at ASA by hand and drop")
}

// recheck reads every client that was found once and that the listing does not show, or shows as deleted: what is
// gone is read as gone, not concluded from a listing. That a client is unknown says so only to who is shown clients at all.
func (k *asaRevokeClients) recheck(ctx context.Context, live map[string]bool, obs *Observation) error {
	unknown := false
	for _, id := range slices.Sorted(maps.Keys(k.clients)) {
		if live[id] {
			obs.Seen = append(obs.Seen, ledger.Fact{What: "client " + id, Value: "live"})
			continue
		}
		d, err := k.user.client.GetClient(ctx, id)
		switch {
		case missing(err):
			obs.Seen = append(obs.Seen, ledger.Fact{What: "client " + id, Value: "gone (404)"})
			unknown = true
			continue
		case err != nil:
			return err
		}
		live[id] = d.Live()
		state := d.State
		if !d.DeletedAt.IsZero() {
			state += ", deleted"
		}
		obs.Seen = append(obs.Seen, ledger.Fact{What: "client " + id, Value: state})
	}
	if unknown {
		return k.control(ctx, obs)
	}
	return nil
}
