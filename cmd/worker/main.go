// Command worker decides and acts on a NATS cluster: it works off events, and runs the lanes of the connections whose
// leases it gets. Any number of workers may run; one that dies is followed within 15 seconds.
//
// Its settings come from the environment (worker -help lists them). The exit code is 0 after an orderly stop, 1 after
// a failure, 2 for a wrong call or configuration.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"keyturn/internal/admin"
	"keyturn/internal/config"
	"keyturn/internal/events"
	"keyturn/internal/ingest"
	"keyturn/internal/ledger"
	"keyturn/internal/outcome"
	"keyturn/internal/playbook"
	"keyturn/internal/process"
	"keyturn/internal/reload"
	"keyturn/internal/stream"
	"keyturn/internal/worker"
)

// version is set when a release is built.
var version = "dev"

func main() {
	ctx, stop := process.Context()
	err := run(ctx, os.Args[1:], os.Stderr)
	stop()
	os.Exit(process.ExitCode(os.Stderr, "worker", err))
}

// run works until ctx ends.
func run(ctx context.Context, args []string, stderr io.Writer) error {
	if err := process.Flags("worker", args, stderr, &config.Worker{}); err != nil {
		return err
	}
	settings, err := config.WorkerFromEnv()
	reading := reload.NewReading()
	files, ferr := config.Read(settings.ConfigDir, reading.Resolver())
	set, perr := worker.Playbooks(files.Playbooks)
	if err := config.Join(err, ferr, perr); err != nil {
		return process.Misconfigured(err)
	}
	return work(ctx, settings, reading, files.Connections, set, stderr)
}

// work connects to the broker and runs the worker beside its admin listener.
func work(ctx context.Context, settings config.Worker, reading *reload.Reading, list config.Connections, set *playbook.Set,
	stderr io.Writer) (err error) {
	log := process.Logger(settings.Log, stderr)
	hangup := process.Hangup(ctx)
	defer process.Deadline(ctx, settings.Shutdown, log)()
	reg := admin.NewRegistry()
	keyer, err := events.NewKeyer([]byte(settings.DeploymentKey.Reveal()))
	if err != nil {
		return process.Misconfigured(err)
	}
	options := process.Broker(settings.NATS, "keyturn-worker", log, reg)
	options.Replicas = settings.Replicas
	bus, err := stream.Connect(ctx, options)
	if err != nil {
		return process.Unless(ctx, err)
	}
	defer func() { err = errors.Join(err, bus.Close(context.WithoutCancel(ctx))) }()
	w, err := worker.New(worker.Options{
		Bus: bus, Name: name(), Version: version, Keyer: keyer, Connections: list, Playbooks: set, Log: log, Metrics: reg,
		Remap: ingest.Remapper{Dir: settings.ConfigDir}.Remap,
		Sources: func() (config.Sources, error) {
			return config.ReadSources(settings.ConfigDir, config.Resolver{Unresolved: func(config.Fault) {}})
		},
	})
	if err != nil {
		return process.Misconfigured(err)
	}
	teller, err := outcome.New(bus, ledger.New(bus.Log(), time.Now), settings.Outcome)
	if err != nil {
		return process.Misconfigured(err)
	}
	watcher, err := reload.New(reload.Options{
		First: reading, Every: settings.Reload, Hangup: hangup, Log: log, Metrics: reg,
		Load: func(refs config.Resolver) (func(), error) { return load(settings.ConfigDir, refs, w) },
	})
	if err != nil {
		return err
	}
	private, err := net.Listen("tcp", settings.AdminListen)
	if err != nil {
		return fmt.Errorf("listen for health and metrics: %w", err)
	}
	log.InfoContext(ctx, "worker starts", "version", version, "admin", private.Addr().String(), "connections", len(list))
	health := admin.Handler(reg, func() []admin.Check {
		return append([]admin.Check{process.BrokerCheck(bus), watcher.Check()}, w.Checks()...)
	})
	return together(ctx, w.Run, teller.Run, watcher.Run, func(ctx context.Context) error { return admin.Serve(ctx, private, health) })
}

// together runs all parts until ctx ends or one of them fails.
func together(ctx context.Context, parts ...func(context.Context) error) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, run := range parts {
		g.Go(func() error { return run(ctx) })
	}
	return g.Wait()
}

// load reads connections.yaml and playbooks.yaml anew, and gives what lets the worker work by them.
func load(dir string, refs config.Resolver, w *worker.Worker) (func(), error) {
	files, err := config.Read(dir, refs)
	set, perr := worker.Playbooks(files.Playbooks)
	if err := config.Join(err, perr); err != nil {
		return nil, err
	}
	return w.Prepare(files.Connections, set)
}

// name is unique among the workers: two on one machine, and two lives of one, are two holders of a lease.
func name() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return host + "-" + uuid.NewString()[:8]
}
