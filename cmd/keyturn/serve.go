package main

import (
	"context"
	"errors"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"keyturn/internal/config"
	"keyturn/internal/process"
	"keyturn/internal/stream"
)

// newServeCmd is the one-machine production mode.
func newServeCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Run the intake and a worker on this machine, with an embedded broker and real connections",
		Long: "Run the intake and a worker in one process over an embedded broker. Sources, connections and playbooks\n" +
			"are read from KEYTURN_CONFIG_DIR, again whenever they change and at SIGHUP: what is wrong is refused, and what was\n" +
			"in force stays (/readyz?verbose). The store, KEYTURN_STORE, belongs on a local file system.\n\n" +
			"Settings come from the environment; those of a NATS server are for ingest, worker and the other commands, and\n" +
			"refused here:\n\n" + settingsHelp(),
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.serve(cmd.Context()) },
	}
}

// settingsHelp is the table of the settings.
func settingsHelp() string {
	var b strings.Builder
	if err := config.Usage(&b, &config.Local{}); err != nil {
		return err.Error()
	}
	return b.String()
}

// serve runs until ctx ends.
func (a *app) serve(ctx context.Context) (err error) {
	settings, err := config.LocalFromEnv()
	if err != nil {
		return usage(err)
	}
	if err := ownBroker(settings); err != nil {
		return err
	}
	if settings.ConfigDir == "" {
		return usage(errors.New("KEYTURN_CONFIG_DIR is missing: name the directory with sources.yaml, connections.yaml and " +
			"playbooks.yaml; samples are in deploy/config, and `keyturn dev` brings its own"))
	}
	log := process.Logger(settings.Log, a.err)
	defer process.Deadline(ctx, settings.Shutdown, log)()
	process.SpareMemory(ctx)
	m, err := newMachine(ctx, a.localOptions(settings, machineOptions{
		ConfigDir: settings.ConfigDir, Log: log, Hangup: process.Hangup(ctx),
	}))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.close()) }()
	process.SpareForSync(ctx, m.broker.Options().Barrier)
	log.InfoContext(ctx, "keyturn serves", "version", version, "public", m.URL(), "admin", m.AdminURL(),
		"store", settings.Store, "durability", m.bus.Durability(), "pid", os.Getpid())
	return m.run(ctx)
}

// ownBroker refuses settings of a NATS server: serve and dev bring their own broker, and would not use it.
func ownBroker(s config.Local) error {
	if s.NATS != (config.NATS{}) {
		return usage(errors.New("KEYTURN_NATS_… names a NATS server, which serve and dev do not use: unset it, or run ingest " +
			"and worker on that server"))
	}
	return nil
}

// localOptions fills in what serve and dev take from the environment alike.
func (a *app) localOptions(s config.Local, o machineOptions) machineOptions {
	o.Store, o.MaxStore, o.DeploymentKey, o.LostKey = s.Store, int64(s.StoreMaxBytes), s.DeploymentKey, s.LostKey
	if a.place.store != "" {
		o.Store = a.place.store
	}
	if _, chosen := os.LookupEnv("KEYTURN_DURABILITY"); chosen {
		o.Durability = stream.Durability(s.Durability)
	}
	o.Announce, o.Public, o.Admin, o.Reload, o.TLS, o.Outcome = true, s.Listen, s.AdminListen, s.Reload, s.TLS, s.Outcome
	return o
}
