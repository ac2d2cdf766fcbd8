package actions

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"keyturn/internal/apiclient"
	"keyturn/internal/apiclient/transmit"
	"keyturn/internal/ledger"
)

// transmitDeleteAllClients brings about that a Mosaic application has no client at all: not the one that signs this
// connection's calls either. The application is of no use after it, and so is the connection (vendor page
// clients.openapi, deleteClients).
//
// How many clients that concerns, and which, stands in the ledger before the call. The call is made once: clients that
// show after it were made by somebody since, or the call had no effect, and either is for a person. After it the
// credential is refused. Where a token that is still taken shows an empty list, that is the proof; where nothing can
// be read any more, it is recorded as applied, for the refusal shows no more than that this connection's own client is
// gone.
type transmitDeleteAllClients struct {
	all    Clients
	client *transmit.Client
	app    string // id of the application, as the playbook says it
	began  bool   // an earlier observation saw its clients
	now    func() time.Time
}

// pinApplication is the pin of the application whose clients were seen.
const pinApplication = "application"

// namedClients bounds how many clients are recorded by id and name: a record must fit into one message.
const namedClients = 500

func defineTransmitDeleteAllClients() definition {
	return definition{
		KindInfo: KindInfo{
			Name: "transmit.delete_all_clients", Provider: "transmit", Destructive: true, Approvers: 1,
			Parameters: []Parameter{{
				Name: "app_id", Required: true,
				About: "id of the Mosaic application that loses every client, this connection's own among them; another one is refused",
			}},
		},
		build: func(p parameters, c Clients, pins map[string]string) (Kind, error) {
			k := &transmitDeleteAllClients{all: c, client: c.Transmit, now: c.now, began: pins[pinApplication] != ""}
			if err := p.into("app_id", &k.app); err != nil {
				return nil, err
			}
			if strings.TrimSpace(k.app) == "" {
				return nil, errors.New("with.app_id: empty")
			}
			return k, nil
		},
	}
}

// Observe implements Kind.
func (k *transmitDeleteAllClients) Observe(ctx context.Context) (Observation, error) {
	listed, err := k.client.ListClients(ctx)
	obs := Observation{Pins: map[string]string{pinApplication: k.app}}
	switch {
	case k.began && apiclient.CauseOf(err) == apiclient.Denied:
		return k.unread(obs, err), nil
	case err != nil:
		return Observation{}, err
	case k.began && len(listed) == 0:
		obs.Seen = []ledger.Fact{{What: "clients of application " + k.app, Value: "0, in a list that held some before"}}
		obs.Residual = k.residual()
		return obs, nil
	case len(listed) == 0:
		return Observation{}, &apiclient.Error{Op: "transmit.getAll", Err: errors.New("an empty list, although this app has a client")}
	}
	for _, c := range listed {
		if c.AppID != k.app {
			return Observation{}, advise(fmt.Errorf("client %s is of the application %q", c.ClientID, c.AppID),
				"the connection speaks for another application than the playbook names: correct the one or the other")
		}
		if c.ClientID == k.client.ClientID() {
			continue // that it goes too is what the playbook and whoever approved it asked for
		}
		if err := k.all.spareClient(c.ClientID, k.began); err != nil {
			return Observation{}, err
		}
	}
	k.began = true
	obs.Seen, obs.Residual = k.count(listed), k.residual()
	obs.Needed = []Change{k.deletion(k.client.DeleteAllClients)}
	return obs, nil
}

// deletion is the one change.
func (k *transmitDeleteAllClients) deletion(apply func(context.Context) (string, error)) Change {
	return Change{Call: "transmit.deleteClients", Target: k.app, Once: true, Apply: apply}
}

// count says what is about to go.
func (k *transmitDeleteAllClients) count(listed []transmit.AppClient) []ledger.Fact {
	seen := []ledger.Fact{{What: "clients of application " + k.app, Value: fmt.Sprint(len(listed))}}
	for i, c := range listed {
		if i == namedClients {
			return append(seen, ledger.Fact{What: "further clients, not named here", Value: fmt.Sprint(len(listed) - i)})
		}
		name := c.Name
		if c.ClientID == k.client.ClientID() {
			name += " (signs the calls of this connection)"
		}
		seen = append(seen, ledger.Fact{What: "client " + c.ClientID, Value: name})
	}
	return seen
}

// unread is what is left to see when the credential is refused: whether the clients are gone the runner knows better.
// One that was never deleted is not deleted unseen.
func (k *transmitDeleteAllClients) unread(obs Observation, refused error) Observation {
	obs.Unread = true
	obs.Seen = []ledger.Fact{
		{What: "clients of application " + k.app, Value: "cannot be read: the credential of this connection is refused, as it is once its own client is deleted"},
		{What: "deletion of the other clients", Value: "not verified: no credential is left that could read it"},
	}
	obs.Residual = append(k.residual(), ledger.Residual{
		What: "clients of application " + k.app + " that nobody could read to be gone: look at Mosaic's own console",
	})
	obs.Needed = []Change{k.deletion(func(context.Context) (string, error) { return "", refused })}
	return obs
}

// residual is what outlives the clients.
func (k *transmitDeleteAllClients) residual() []ledger.Residual {
	return []ledger.Residual{{
		What:  "access tokens of clients of application " + k.app + ", where they are checked without asking Mosaic",
		Until: k.now().Add(clientTokenLife).UTC().Truncate(time.Second),
	}}
}
