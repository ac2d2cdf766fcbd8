package actions

import (
	"context"
	"errors"
	"fmt"

	"keyturn/internal/apiclient/okta"
)

// oktaSuspendUser brings about that a user cannot sign in: SUSPENDED or DEPROVISIONED. Okta suspends active users
// only; what becomes of one in another state is the playbook's choice.
type oktaSuspendUser struct {
	user       oktaUser
	deactivate bool
}

func defineOktaSuspendUser() definition {
	return definition{
		KindInfo: KindInfo{
			Name: "okta.suspend_user", Provider: "okta",
			Parameters: []Parameter{userParameter, {
				Name: "not_active", Words: []string{"fail", "deactivate"},
				About: `a user who is neither active nor blocked: "fail" (default) or "deactivate", which cannot be undone`,
			}},
		},
		build: func(p parameters, c Clients, pins map[string]string) (Kind, error) {
			u, err := newOktaUser(p, c, pins)
			if err != nil {
				return nil, err
			}
			u.goes = true
			choice, err := p.choice("not_active", "fail", "deactivate")
			return &oktaSuspendUser{user: u, deactivate: choice == "deactivate"}, err
		},
	}
}

// Observe implements Kind.
func (k *oktaSuspendUser) Observe(ctx context.Context) (Observation, error) {
	u, err := k.user.find(ctx)
	if err != nil {
		return Observation{}, err
	}
	obs := Observation{Seen: u.seen, Pins: u.pins}
	switch {
	case u.gone, u.Status == okta.UserSuspended, u.Status == okta.UserDeprovisioned:
	case u.Status == okta.UserActive:
		obs.Needed = []Change{k.user.ending(Change{Call: "okta.suspendUser", Target: u.ID, Apply: func(ctx context.Context) (string, error) {
			return k.user.client.SuspendUser(ctx, u.ID)
		}})}
	case k.deactivate:
		obs.Needed = []Change{k.user.ending(deactivation(k.user.client, u.ID, false))}
	default:
		return obs, permanent("okta.suspendUser", advised{
			error: fmt.Errorf("user %s: %w", u.ID, errors.New("in status "+u.Status+" a user cannot be suspended")),
			advice: "deactivate the user by hand, or allow the playbook to with not_active: deactivate; " +
				"then redrive",
		})
	}
	return obs, nil
}
