package actions

import (
	"context"
	"errors"
	"fmt"
	"time"

	"keyturn/internal/ledger"
)

// transmitDeleteClient brings about that an app's client is gone from Mosaic. It never deletes the client that signs
// the calls of this connection, and none that it could only guess to be the app's.
type transmitDeleteClient struct {
	app      appClient
	notFound string // what it means that the client cannot be found at the first look
	now      func() time.Time
	tokens   time.Duration // how long the client's access tokens live; 0 = it was gone before it was read
}

// clientTokenLife is how long an access token of a client lives at Mosaic when the client does not say (vendor page
// retrieve_client_tokens).
const clientTokenLife = time.Hour

// longestLife is the longest that a client may say its tokens live: what says more means "for ever", and more than 292 years
// are no time.Duration.
const longestLife = 100 * 365 * 24 * time.Hour

func defineTransmitDeleteClient() definition {
	return definition{
		KindInfo: KindInfo{
			Name: "transmit.delete_client", Provider: "transmit", Destructive: true,
			Parameters: []Parameter{
				{Name: "app", Form: Object, Fields: appFields(), About: "the app, by its key; this or client_id"},
				appClientIDParameter,
				{Name: "not_found", Words: []string{"fail", "holds"},
					About: `no such client is there, and none was seen before: "fail" (default), as the key may be wrong, or "holds"`},
			},
		},
		build: func(p parameters, c Clients, pins map[string]string) (_ Kind, err error) {
			k := &transmitDeleteClient{now: c.now}
			if k.app, err = newAppClient(p, c, pins); err != nil {
				return nil, err
			}
			if k.app.id != "" && k.app.id == c.Transmit.ClientID() {
				return nil, k.own()
			}
			k.notFound, err = p.choice("not_found", "fail", "holds")
			return k, err
		},
	}
}

// own refuses the client of the connection.
func (k *transmitDeleteClient) own() error {
	return advise(errors.New("it is the client that signs the calls of this connection"),
		"without it nothing at this connection works any more: give the connection another client first, then redrive")
}

// Observe implements Kind.
func (k *transmitDeleteClient) Observe(ctx context.Context) (Observation, error) {
	f, err := k.app.find(ctx)
	obs := Observation{Seen: f.seen, Pins: f.pins}
	switch {
	case err != nil:
		return obs, err
	case f.none && k.notFound == "holds":
		return obs, nil
	case f.none:
		return obs, advise(k.app.absent(),
			"if the client was deleted before, drop this, or set not_found: holds in the playbook; if not, check the key, the client's mark and the connection")
	case f.gone:
		obs.Residual = k.residual(f.ClientID)
		return obs, nil
	case f.ClientID == k.app.client.ClientID():
		return obs, k.own()
	case len(f.twins) > 0:
		return obs, advise(fmt.Errorf("%d clients have the mark of the app", len(f.twins)+1),
			"find out which one is the app's and delete the other by hand, or give client_id in the playbook")
	}
	k.tokens = clientTokenLife
	if t := f.TokenExpiration; t != nil && t.AccessTokenTTL > 0 {
		k.tokens = time.Duration(min(t.AccessTokenTTL, longestLife.Seconds()) * float64(time.Second))
	}
	obs.Residual = k.residual(f.ClientID)
	obs.Needed = []Change{{Call: "transmit.deleteClient", Target: f.ClientID, Apply: func(ctx context.Context) (string, error) {
		return k.app.client.DeleteClient(ctx, f.ClientID)
	}}}
	return obs, nil
}

// residual is what outlives the client.
func (k *transmitDeleteClient) residual(id string) []ledger.Residual {
	left := ledger.Residual{What: "access tokens of client " + id + ", where they are checked without asking Mosaic"}
	if k.tokens > 0 {
		left.Until = k.now().Add(k.tokens).UTC().Truncate(time.Second)
	}
	return []ledger.Residual{left}
}
