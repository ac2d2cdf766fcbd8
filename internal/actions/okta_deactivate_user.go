package actions

import (
	"context"

	"keyturn/internal/apiclient/okta"
)

// oktaDeactivateUser brings about that a user is DEPROVISIONED. It takes the user's apps away with it and cannot be
// undone: an activation later is a new beginning.
type oktaDeactivateUser struct {
	user oktaUser
	mail bool
}

func defineOktaDeactivateUser() definition {
	return definition{
		KindInfo: KindInfo{
			Name: "okta.deactivate_user", Provider: "okta", Destructive: true,
			Parameters: []Parameter{userParameter, {Name: "send_email", Form: Flag,
				About: "tell the administrators by mail: false (default) or true"}},
		},
		build: func(p parameters, c Clients, pins map[string]string) (Kind, error) {
			u, err := newOktaUser(p, c, pins)
			if err != nil {
				return nil, err
			}
			u.goes = true
			k := &oktaDeactivateUser{user: u}
			return k, p.into("send_email", &k.mail)
		},
	}
}

// Observe implements Kind.
func (k *oktaDeactivateUser) Observe(ctx context.Context) (Observation, error) {
	u, err := k.user.find(ctx)
	if err != nil {
		return Observation{}, err
	}
	obs := Observation{Seen: u.seen, Pins: u.pins}
	if !u.gone && u.Status != okta.UserDeprovisioned {
		obs.Needed = []Change{k.user.ending(deactivation(k.user.client, u.ID, k.mail))}
	}
	return obs, nil
}

// deactivation is the change that deprovisions a user. A repeat is answered 404, as if the user were not there; the
// status decides.
func deactivation(c *okta.Client, id string, mail bool) Change {
	return Change{Call: "okta.deactivateUser", Target: id, Apply: func(ctx context.Context) (string, error) {
		return c.DeactivateUser(ctx, id, mail)
	}}
}
