package actions

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"keyturn/internal/apiclient"
	"keyturn/internal/apiclient/asa"
	"keyturn/internal/ledger"
)

// asaApproveClient brings about that an enrolled ASA client belongs to a person and has a state. It never takes a
// client from somebody else.
type asaApproveClient struct {
	user     asaUser
	client   string // id; empty = by host name
	hostname string
	state    string
}

// pinDevice is the pin of the client that an approval is about.
const pinDevice = "client"

func defineASAApproveClient() definition {
	return definition{
		KindInfo: KindInfo{
			Name: "asa.approve_client", Provider: "asa",
			Parameters: []Parameter{
				userParameter,
				{Name: "client_id", About: "id of the ASA client; this or hostname"},
				{Name: "hostname", About: "exact host name of one of the person's own clients"},
				{Name: "state", Words: []string{asa.Active, asa.Pending}, About: "ACTIVE (default) or PENDING"},
			},
		},
		build: func(p parameters, c Clients, pins map[string]string) (_ Kind, err error) {
			k := &asaApproveClient{}
			if k.user, err = newASAUser(p, c, pins); err != nil {
				return nil, err
			}
			if k.user.login {
				return nil, errors.New("with.user: neither asa_username nor email") // nobody is given access upon a guess
			}
			if err = p.into("client_id", &k.client); err != nil {
				return nil, err
			}
			if err = p.into("hostname", &k.hostname); err != nil {
				return nil, err
			}
			if strings.TrimSpace(k.client) == "" && strings.TrimSpace(k.hostname) == "" {
				return nil, errors.New("with: neither client_id nor hostname")
			}
			if pins[pinDevice] != "" {
				k.client = pins[pinDevice]
			}
			k.state, err = p.choice("state", asa.Active, asa.Pending)
			return k, err
		},
	}
}

// Observe implements Kind.
func (k *asaApproveClient) Observe(ctx context.Context) (Observation, error) {
	u, err := k.user.find(ctx)
	if err != nil {
		return Observation{}, err
	}
	obs := Observation{Seen: u.seen, Pins: u.pins}
	if u.none || u.gone || u.Status != asa.UserActive || !u.DeletedAt.IsZero() {
		return obs, advise(errors.New("the person is no active ASA user"), "see to the person's account at ASA, then redrive")
	}
	d, err := k.device(ctx, u.Name)
	if err != nil {
		return obs, err
	}
	if err := k.user.all.spareDevice(d.ID, d.Hostname, false); err != nil {
		return obs, err
	}
	k.client = d.ID
	obs.Pins[pinDevice] = d.ID
	obs.Seen = append(obs.Seen,
		ledger.Fact{What: "client " + d.ID + " state", Value: d.State},
		ledger.Fact{What: "client " + d.ID + " user", Value: d.UserName})
	switch {
	case !d.Live():
		return obs, advise(fmt.Errorf("client %s is deleted", d.ID), "have the device enrolled anew; drop this one")
	case d.UserName != "" && !strings.EqualFold(d.UserName, u.Name):
		return obs, advise(fmt.Errorf("client %s belongs to somebody else", d.ID), "find out whose device it is before it is given to anyone")
	case d.State == k.state && strings.EqualFold(d.UserName, u.Name):
		return obs, nil
	}
	obs.Needed = []Change{{Call: "asa.assignClient", Target: d.ID, Apply: func(ctx context.Context) (string, error) {
		return k.user.client.AssignClient(ctx, d.ID, k.state, u.Name)
	}}}
	return obs, nil
}

// device reads the client, by id or as the only live one of the person with the host name.
func (k *asaApproveClient) device(ctx context.Context, user string) (asa.Device, error) {
	if k.client != "" {
		return k.user.client.GetClient(ctx, k.client)
	}
	devices, err := apiclient.Collect(k.user.client.ListClients(ctx, asa.ListClientsOptions{Username: user}))
	if err != nil {
		return asa.Device{}, err
	}
	var same []asa.Device
	for _, d := range devices {
		if d.Live() && strings.EqualFold(d.Hostname, k.hostname) {
			same = append(same, d)
		}
	}
	if len(same) != 1 {
		return asa.Device{}, advise(fmt.Errorf("%d clients of %s have this host name", len(same), user), "send the event with client_id")
	}
	return same[0], nil
}
