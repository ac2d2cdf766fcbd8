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
	"log/slog"
	"net"
	"os"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"keyturn/internal/admin"
	"keyturn/internal/config"
	"keyturn/internal/events"
	"keyturn/internal/ingest"
	"keyturn/internal/ledger"
	"keyturn/internal/outcome"
	"keyturn/internal/planner"
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
	if err := config.Join(err, ferr, perr, outcome.Check(settings.Outcome)); err != nil {
		return process.Misconfigured(err)
	}
	return work(ctx, settings, reading, files.Connections, set, stderr)
}

// site is a worker and what runs beside it.
type site struct {
	settings config.Worker
	log      *slog.Logger
	metrics  *prometheus.Registry
	keyer    events.Keyer
	bus      *stream.Bus
	worker   *worker.Worker
	teller   *outcome.Teller
	watcher  *reload.Watcher
}

// work connects to the broker and runs the worker beside its admin listener until ctx ends.
func work(ctx context.Context, settings config.Worker, reading *reload.Reading, list config.Connections, set *playbook.Set,
	stderr io.Writer) (err error) {
	s := &site{settings: settings, log: process.Logger(settings.Log, stderr), metrics: admin.NewRegistry()}
	hangup := process.Hangup(ctx)
	defer process.Deadline(ctx, settings.Shutdown, s.log)()
	if s.keyer, err = events.NewKeyer([]byte(settings.DeploymentKey.Reveal())); err != nil {
		return process.Misconfigured(err)
	}
	options := process.Broker(settings.NATS, "keyturn-worker", s.log, s.metrics)
	options.Replicas = settings.Replicas
	if s.bus, err = stream.Connect(ctx, options); err != nil {
		return process.Unless(ctx, err)
	}
	defer process.Close(ctx, s.bus, s.log)
	if err := s.make(reading, hangup, list, set); err != nil {
		return err
	}
	private, err := net.Listen("tcp", settings.AdminListen)
	if err != nil {
		return fmt.Errorf("listen for health and metrics: %w", err)
	}
	s.log.InfoContext(ctx, "worker starts", "version", version, "admin", private.Addr().String(), "connections", len(list))
	health := admin.Handler(s.metrics, func() []admin.Check {
		return append([]admin.Check{process.BrokerCheck(s.bus), s.watcher.Check()}, s.worker.Checks()...)
	})
	err = together(ctx, s.worker.Run, s.teller.Run, s.watcher.Run,
		func(ctx context.Context) error { return admin.Serve(ctx, private, health) })
	if errors.Is(err, planner.ErrKey) {
		return process.Misconfigured(err)
	}
	return err
}

// make makes the worker, what tells others of outcomes, and what watches the configuration. It makes no call.
func (s *site) make(reading *reload.Reading, hangup <-chan os.Signal, list config.Connections, set *playbook.Set) (err error) {
	if s.worker, err = worker.New(worker.Options{
		Bus: s.bus, Name: name(), Version: version, Keyer: s.keyer, LostKey: s.settings.LostKey, Connections: list, Playbooks: set, Log: s.log, Metrics: s.metrics,
		Remap: ingest.Remapper{Dir: s.settings.ConfigDir}.Remap,
		Sources: func() (config.Sources, error) {
			return config.ReadSources(s.settings.ConfigDir, config.Resolver{Unresolved: func(config.Fault) {}})
		},
	}); err != nil {
		return process.Misconfigured(err)
	}
	if s.teller, err = outcome.New(s.bus, ledger.New(s.bus.Log(), time.Now), s.settings.Outcome); err != nil {
		return process.Misconfigured(err)
	}
	s.watcher, err = reload.New(reload.Options{
		First: reading, Every: s.settings.Reload, Hangup: hangup, Log: s.log, Metrics: s.metrics,
		Load: func(refs config.Resolver) (func(), error) { return load(s.settings.ConfigDir, refs, s.worker) },
	})
	return err
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
