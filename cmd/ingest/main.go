// Command ingest is Keyturn's public face on a NATS cluster: it takes signed webhooks at POST /hooks/<source> and
// publishes what they say. It may publish to EVENTS and nothing else, reads sources.yaml and nothing else, and links
// nothing that could hold or use a provider's credential.
//
// Its settings come from the environment (ingest -help lists them). The exit code is 0 after an orderly stop, 1 after
// a failure, 2 for a wrong call or configuration.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"keyturn/internal/admin"
	"keyturn/internal/config"
	"keyturn/internal/ingest"
	"keyturn/internal/process"
	"keyturn/internal/reload"
	"keyturn/internal/stream"
)

// version is set when a release is built.
var version = "dev"

func main() {
	ctx, stop := process.Context()
	err := run(ctx, os.Args[1:], os.Stderr)
	stop()
	os.Exit(process.ExitCode(os.Stderr, "ingest", err))
}

// run serves until ctx ends.
func run(ctx context.Context, args []string, stderr io.Writer) error {
	if err := process.Flags("ingest", args, stderr, &config.Ingest{}); err != nil {
		return err
	}
	settings, err := config.IngestFromEnv()
	reading := reload.NewReading()
	sources, serr := config.ReadSources(settings.ConfigDir, reading.Resolver())
	if err := faults(sources, err, serr, sources.CheckListener(settings.TLS)); err != nil {
		return process.Misconfigured(err)
	}
	return serve(ctx, settings, reading, sources, stderr)
}

// faults are all that is wrong with a configuration, as config check tells it: where something is, the expressions of
// what could be read are looked at as well, so that nobody mends a file only to hear of the next fault.
func faults(list config.Sources, errs ...error) error {
	if config.Join(errs...) == nil {
		return nil // whoever makes the sources looks at their expressions
	}
	return config.Join(append(errs, ingest.CheckMappings(list))...)
}

// intake is what answers on both listeners.
type intake struct {
	settings        config.Ingest
	log             *slog.Logger
	metrics         *prometheus.Registry
	bus             *stream.Bus
	handler         *ingest.Handler
	server          *ingest.Server
	watcher         *reload.Watcher
	public, private net.Listener
}

// serve connects to the broker and answers on both listeners until ctx ends. The order of stopping is the reverse: the
// public listener answers what is under way, then the broker's connection ends.
func serve(ctx context.Context, settings config.Ingest, reading *reload.Reading, list config.Sources, stderr io.Writer) error {
	in := &intake{settings: settings, log: process.Logger(settings.Log, stderr), metrics: admin.NewRegistry()}
	hangup := process.Hangup(ctx)
	defer process.Deadline(ctx, settings.Shutdown, in.log)()
	sources, err := ingest.NewSources(list)
	secured, terr := ingest.ListenerTLS(settings.TLS)
	if err := errors.Join(err, terr); err != nil {
		return process.Misconfigured(err)
	}
	if in.bus, err = stream.Connect(ctx, process.Broker(settings.NATS, "keyturn-ingest", in.log, in.metrics)); err != nil {
		return process.Unless(ctx, err)
	}
	defer process.Close(ctx, in.bus, in.log)
	if err := in.bus.CheckTopology(ctx); err != nil {
		in.log.WarnContext(ctx, "not ready: deliveries are answered 503", "error", err)
	}
	if err := in.open(reading, hangup, sources); err != nil {
		return err
	}
	in.server = ingest.NewServer(ingest.ServerOptions{Handler: in.handler, Log: in.log, TLS: secured, Drain: settings.Drain})
	in.log.InfoContext(ctx, "ingest listens", "version", version, "public", in.public.Addr().String(),
		"admin", in.private.Addr().String(), "sources", len(sources))
	return in.run(ctx)
}

// open makes the handler and what watches its configuration, and opens the listeners.
func (in *intake) open(reading *reload.Reading, hangup <-chan os.Signal, sources []*ingest.Source) (err error) {
	if in.handler, err = ingest.NewHandler(ingest.Options{
		Sources: sources, Publisher: in.bus, Log: in.log, Metrics: in.metrics, TooLarge: stream.IsTooLarge,
	}); err != nil {
		return err
	}
	if in.watcher, err = reload.New(reload.Options{
		First: reading, Every: in.settings.Reload, Hangup: hangup, Log: in.log, Metrics: in.metrics,
		Load: func(refs config.Resolver) (func(), error) { return load(in.settings, refs, in.handler) },
	}); err != nil {
		return err
	}
	if in.public, err = net.Listen("tcp", in.settings.Listen); err != nil {
		return fmt.Errorf("listen for webhooks: %w", err)
	}
	if in.private, err = net.Listen("tcp", in.settings.AdminListen); err != nil {
		return errors.Join(fmt.Errorf("listen for health and metrics: %w", err), in.public.Close())
	}
	return nil
}

// run answers until ctx ends. Probes are answered until the public listener has stopped: while it drains, they learn that
// it does.
func (in *intake) run(ctx context.Context) error {
	probed, stopped := context.WithCancel(context.WithoutCancel(ctx))
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { defer stopped(); return in.server.Serve(ctx, in.public) })
	g.Go(func() error { return in.watcher.Run(ctx) })
	g.Go(func() error { return in.handler.Poll(ctx) })
	g.Go(func() error {
		return admin.Serve(probed, in.private, in.handler.Admin(admin.Handler(in.metrics, in.checks)))
	})
	return g.Wait()
}

// checks are what must hold for the intake to be ready.
func (in *intake) checks() []admin.Check {
	return []admin.Check{{Name: "listener", Run: in.server.Ready}, process.BrokerCheck(in.bus), in.watcher.Check(), sourcesCheck(in.handler)}
}

// sourcesCheck shows what the intake believes. It never keeps the process from being ready.
func sourcesCheck(h *ingest.Handler) admin.Check {
	return admin.Check{Name: "sources", Run: func(context.Context) error { return nil }, Notes: h.Notes}
}

// load reads sources.yaml anew, and gives what lets the handler serve what it says.
func load(settings config.Ingest, refs config.Resolver, handler *ingest.Handler) (func(), error) {
	list, err := config.ReadSources(settings.ConfigDir, refs)
	if err := faults(list, err, list.CheckListener(settings.TLS)); err != nil {
		return nil, err
	}
	sources, err := ingest.NewSources(list)
	if err != nil {
		return nil, err
	}
	return func() { _ = handler.Replace(sources) }, nil // its one error is a name given twice, which no file can
}
