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
	"net"
	"os"

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

// serve connects to the broker and answers on both listeners. The order of stopping is the reverse: the public
// listener answers what is under way, then the broker's connection ends.
func serve(ctx context.Context, settings config.Ingest, reading *reload.Reading, list config.Sources, stderr io.Writer) (err error) {
	log := process.Logger(settings.Log, stderr)
	hangup := process.Hangup(ctx)
	defer process.Deadline(ctx, settings.Shutdown, log)()
	reg := admin.NewRegistry()
	sources, err := ingest.NewSources(list)
	secured, terr := ingest.ListenerTLS(settings.TLS)
	if err := errors.Join(err, terr); err != nil {
		return process.Misconfigured(err)
	}
	bus, err := stream.Connect(ctx, process.Broker(settings.NATS, "keyturn-ingest", log, reg))
	if err != nil {
		return process.Unless(ctx, err)
	}
	defer func() { err = errors.Join(err, bus.Close(context.WithoutCancel(ctx))) }()
	if err := bus.CheckTopology(ctx); err != nil {
		log.WarnContext(ctx, "not ready: deliveries are answered 503", "error", err)
	}
	handler, err := ingest.NewHandler(ingest.Options{
		Sources: sources, Publisher: bus, Log: log, Metrics: reg, TooLarge: stream.IsTooLarge,
	})
	if err != nil {
		return err
	}
	watcher, err := reload.New(reload.Options{
		First: reading, Every: settings.Reload, Hangup: hangup, Log: log, Metrics: reg,
		Load: func(refs config.Resolver) (func(), error) { return load(settings, refs, handler) },
	})
	if err != nil {
		return err
	}
	public, err := net.Listen("tcp", settings.Listen)
	if err != nil {
		return fmt.Errorf("listen for webhooks: %w", err)
	}
	private, err := net.Listen("tcp", settings.AdminListen)
	if err != nil {
		return errors.Join(fmt.Errorf("listen for health and metrics: %w", err), public.Close())
	}
	server := ingest.NewServer(ingest.ServerOptions{Handler: handler, Log: log, TLS: secured, Drain: settings.Drain})
	log.InfoContext(ctx, "ingest listens", "version", version, "public", public.Addr().String(),
		"admin", private.Addr().String(), "sources", len(sources))
	// Probes are answered until the public listener has stopped: while it drains, they learn that it does.
	probed, stopped := context.WithCancel(context.WithoutCancel(ctx))
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { defer stopped(); return server.Serve(ctx, public) })
	g.Go(func() error { return watcher.Run(ctx) })
	g.Go(func() error { return handler.Poll(ctx) })
	g.Go(func() error {
		return admin.Serve(probed, private, handler.Admin(admin.Handler(reg, func() []admin.Check {
			return []admin.Check{{Name: "listener", Run: server.Ready}, process.BrokerCheck(bus), watcher.Check(), sourcesCheck(handler)}
		})))
	})
	return g.Wait()
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
