package worker

import (
	"context"
	"fmt"
	"os"
	"time"

	"keyturn/internal/actions"
	"keyturn/internal/apiclient"
	"keyturn/internal/apiclient/asa"
	"keyturn/internal/apiclient/okta"
	"keyturn/internal/apiclient/transmit"
	"keyturn/internal/config"
)

// clients makes what the actions of a connection call with. It makes no call.
func clients(c config.Connection, w apiclient.Wiring) (actions.Clients, error) {
	made := actions.Clients{Connection: c.Name, Admins: actions.NewAdmins(), Sweeps: &actions.Sweeps{}}
	var err error
	w.Routes = routesOf(c.Budget)
	switch c.Provider {
	case config.ProviderOkta:
		made.Okta, err = okta.New(oktaOptions(c, w))
	case config.ProviderASA:
		made.ASA, err = asa.New(asa.Options{
			BaseURL: c.BaseURL, Team: c.Team, Wiring: w,
			ServiceUser: asa.ServiceUser{KeyID: c.Auth.ServiceUser.KeyID, KeySecret: c.Auth.ServiceUser.KeySecret},
		})
	case config.ProviderTransmit:
		made.Transmit, err = transmit.New(transmit.Options{
			BaseURL: c.BaseURL, TokenURL: c.TokenURL, Wiring: w,
			ClientID: c.Auth.ClientCredentials.ClientID, ClientSecret: c.Auth.ClientCredentials.ClientSecret,
		})
		if err == nil {
			made.Sink, err = sink(c.SecretSink)
		}
	default:
		err = fmt.Errorf("provider %q: unknown", c.Provider)
	}
	if err != nil {
		return actions.Clients{}, fmt.Errorf("connection %s: %w", c.Name, err)
	}
	return made, nil
}

func oktaOptions(c config.Connection, w apiclient.Wiring) okta.Options {
	o := okta.Options{BaseURL: c.BaseURL, Wiring: w}
	if c.Auth.SSWS != nil {
		o.SSWS = c.Auth.SSWS.Token
		return o
	}
	a := c.Auth.ServiceApp
	o.ServiceApp = &okta.ServiceApp{ClientID: a.ClientID, KeyID: a.KeyID, PrivateKey: a.PrivateKey, Scopes: a.Scopes}
	return o
}

// sink is where secrets of created clients go; nil when the configuration names none. A directory that is not there
// is a fault now, not when the first secret has nowhere to go.
func sink(c config.SecretSink) (actions.Sink, error) {
	switch {
	case c.Dir != "":
		if info, err := os.Stat(c.Dir); err != nil || !info.IsDir() {
			return nil, fmt.Errorf("secret_sink.dir %s: is no directory: make it, readable for this process alone", c.Dir)
		}
		return actions.DirSink{Dir: c.Dir}, nil
	case len(c.Command) > 0:
		return actions.CommandSink{Command: c.Command}, nil
	}
	return nil, nil
}

// gated gives the clients as the calls of one class make them: they share tokens, connections and sweeps.
func gated(c actions.Clients, g apiclient.Gate) actions.Clients {
	if w, ok := g.(interface {
		Idle() (gone <-chan struct{}, over func())
		Stood() time.Duration
	}); ok {
		c.Idle, c.Stood = w.Idle, w.Stood
	}
	switch {
	case c.Okta != nil:
		c.Okta = c.Okta.WithGate(g)
	case c.ASA != nil:
		c.ASA = c.ASA.WithGate(g)
	case c.Transmit != nil:
		c.Transmit = c.Transmit.WithGate(g)
	}
	return c
}

// tokenHeld tells until when the connection's token endpoint keeps its calls waiting.
func tokenHeld(c actions.Clients) func() time.Time {
	switch {
	case c.Okta != nil:
		return c.Okta.TokenHeld
	case c.ASA != nil:
		return c.ASA.TokenHeld
	default:
		return c.Transmit.TokenHeld
	}
}

// renew fetches a token anew that lacks a scope; nil = the provider's tokens have no parts.
func renew(c actions.Clients) func(context.Context, time.Duration) {
	if c.Okta == nil {
		return nil
	}
	return c.Okta.Renew
}

// probe is the connection's harmless read.
func probe(c actions.Clients) func(context.Context) error {
	switch {
	case c.Okta != nil:
		return c.Okta.Probe
	case c.ASA != nil:
		return c.ASA.Probe
	default:
		return c.Transmit.Probe
	}
}
