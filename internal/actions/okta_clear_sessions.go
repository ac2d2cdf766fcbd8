package actions

import (
	"context"
	"time"

	"keyturn/internal/apiclient/okta"
	"keyturn/internal/ledger"
)

// oktaClearSessions ends the sessions of a user at Okta. No read shows sessions: it is recorded as applied, with the
// request id, never as verified.
type oktaClearSessions struct {
	user    oktaUser
	options okta.SessionOptions
	now     func() time.Time
}

func defineOktaClearSessions() definition {
	return definition{
		KindInfo: KindInfo{
			Name: "okta.clear_sessions", Provider: "okta",
			Parameters: []Parameter{
				userParameter,
				{Name: "forget_devices", Form: Flag, About: "also forget the devices remembered for sign-in: true (default) or false"},
				{Name: "oauth_tokens", Form: Flag,
					About: "also revoke the user's OAuth tokens, unproven: false (default; okta.revoke_user_tokens proves it) or true"},
			},
		},
		build: func(p parameters, c Clients, pins map[string]string) (Kind, error) {
			u, err := newOktaUser(p, c, pins)
			if err != nil {
				return nil, err
			}
			k := &oktaClearSessions{user: u, options: okta.SessionOptions{ForgetDevices: true}, now: c.now}
			if err := p.into("forget_devices", &k.options.ForgetDevices); err != nil {
				return nil, err
			}
			return k, p.into("oauth_tokens", &k.options.OAuthTokens)
		},
	}
}

// Observe implements Kind. It always needs the change: the runner knows whether it was made.
func (k *oktaClearSessions) Observe(ctx context.Context) (Observation, error) {
	u, err := k.user.control(ctx)
	if err != nil {
		return Observation{}, err
	}
	obs := Observation{Seen: u.seen, Pins: u.pins}
	if u.gone {
		return obs, nil
	}
	obs.Seen = append(obs.Seen,
		ledger.Fact{What: "sessions of " + u.ID, Value: "cannot be read back: ended once, not verified"},
		ledger.Fact{What: "sessions of " + u.ID + " that apps keep by themselves", Value: "not reached by this call"})
	if k.options.OAuthTokens {
		obs.Residual = []ledger.Residual{accessTokens("of "+u.ID, k.now())}
	}
	obs.Needed = []Change{{
		Call: "okta.revokeUserSessions", Target: u.ID, Blind: true, Apply: func(ctx context.Context) (string, error) {
			request, err := k.user.client.RevokeUserSessions(ctx, u.ID, k.options)
			if err != nil {
				k.user.forget() // the user may be gone: the next look begins with that
			}
			return request, err
		},
	}}
	return obs, nil
}
