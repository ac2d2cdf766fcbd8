package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/pflag"

	"keyturn/internal/config"
	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/planner"
	"keyturn/internal/process"
	"keyturn/internal/secret"
	"keyturn/internal/stream"
	"keyturn/internal/stream/embedded"
	"keyturn/internal/view"
)

// place is where the broker is, as the command line says it.
type place struct{ store, server, context, creds string }

// flags adds the flags that say where the broker is. They win over the environment.
func (p *place) flags(f *pflag.FlagSet) {
	f.StringVar(&p.store, "store", "", "`directory` of the store that keyturn serve or dev runs over on this machine (KEYTURN_STORE)")
	f.StringVar(&p.server, "server", "", "NATS servers (KEYTURN_NATS_URL)")
	f.StringVar(&p.context, "context", "", "context of the nats command (KEYTURN_NATS_CONTEXT)")
	f.StringVar(&p.creds, "creds", "", "credentials file for --server (KEYTURN_NATS_CREDS)")
}

// external reports whether a NATS server of its own is meant. --store wins over what the environment says.
func (p place) external(n config.NATS) bool {
	return p.server+p.context != "" || p.store == "" && n.URL+n.Context != ""
}

// options says how to reach the broker, and in which store its files are; the store is empty for an external one.
func (p place) options(settings config.Local) (stream.Options, string, error) {
	n := settings.NATS
	if p.server != "" && p.context != "" || p.store != "" && p.server+p.context != "" {
		return stream.Options{}, "", usage(errors.New("name one of --store, --server and --context"))
	}
	if !p.external(n) {
		dir := cmp.Or(p.store, settings.Store)
		opts, err := embedded.Find(dir)
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("no broker runs over the store %s: start keyturn serve or keyturn dev, or say --store, --server or --context", dir)
		}
		if err != nil {
			err = unavailable(err)
		}
		return opts, dir, err
	}
	if p.server+p.context != "" {
		n.URL, n.Context = p.server, p.context
	}
	n.Creds = cmp.Or(p.creds, n.Creds)
	opts := process.Broker(n, "", nil, nil)
	// The workers refuse a server that may lose what it acknowledged. A tool that sends a command now and then relies on
	// them, so that an operator's machine needs no way to the monitoring port; nor does a person wait for a server.
	opts.AssertDurable, opts.Monitor, opts.Wait = true, nil, 0
	return opts, "", nil
}

// session is a connection to the broker for the time of one command.
type session struct {
	bus    *stream.Bus
	ledger *ledger.Ledger
	view   *view.Reader
	key    secret.Value // from the environment; else the store holds it
	store  string       // empty for an external broker
}

// connect reaches the broker. Its errors are unavailable, but for a server that must not be used as it is.
func (a *app) connect(ctx context.Context) (*session, error) {
	settings, err := config.ToolFromEnv()
	if err != nil {
		return nil, err
	}
	opts, store, err := a.place.options(settings)
	if err != nil {
		return nil, err
	}
	opts.Name = "keyturn tool of " + a.actor()
	bus, err := stream.Connect(ctx, opts)
	switch {
	case errors.Is(err, stream.ErrServer):
		return nil, err
	case err != nil && store != "":
		return nil, unavailable(fmt.Errorf("the broker of the store %s does not answer; did its process end? %w", store, err))
	case err != nil:
		return nil, unavailable(err)
	}
	a.bus = bus
	l := ledger.New(bus.Log(), a.now)
	return &session{bus: bus, ledger: l, view: view.New(l), key: settings.DeploymentKey, store: store}, nil
}

// close ends the connection. What a command published was acknowledged before; an error loses nothing.
func (s *session) close() { _ = s.bus.Close(context.Background()) }

// keyer gives the deployment's keyer, and refuses a key under which nobody would be found.
func (s *session) keyer(ctx context.Context) (events.Keyer, error) {
	key := s.key
	if key.IsZero() && s.store != "" {
		var err error
		if key, err = embedded.DeploymentKey(s.store); err != nil {
			return events.Keyer{}, err
		}
	}
	if key.IsZero() {
		return events.Keyer{}, usage(errors.New("principals are hidden in the ledger: set KEYTURN_DEPLOYMENT_KEY (or …_FILE) to the workers' key"))
	}
	k, err := events.NewKeyer([]byte(key.Reveal()))
	if err != nil {
		return k, usage(err)
	}
	err = planner.CheckKey(ctx, s.ledger, k)
	if errors.Is(err, planner.ErrKey) {
		err = usage(err)
	}
	return k, err
}
