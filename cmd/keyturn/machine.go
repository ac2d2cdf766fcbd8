package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"keyturn/internal/actions"
	"keyturn/internal/admin"
	"keyturn/internal/apiclient"
	"keyturn/internal/config"
	"keyturn/internal/events"
	"keyturn/internal/ingest"
	"keyturn/internal/ledger"
	outcomes "keyturn/internal/outcome"
	"keyturn/internal/planner"
	"keyturn/internal/playbook"
	"keyturn/internal/reload"
	"keyturn/internal/secret"
	"keyturn/internal/stream"
	"keyturn/internal/stream/embedded"
	"keyturn/internal/worker"
)

// machineOptions say what a machine is made of.
type machineOptions struct {
	Store         string
	Announce      bool // let the broker listen on loopback, so that the operator's tool finds it
	Durability    stream.Durability
	MaxStore      int64
	DeploymentKey secret.Value // empty: the store's own
	LostKey       string       // proof of the one that it replaces; empty = it replaces none
	ConfigDir     string
	Outcome       config.Outcome   // who is told over HTTP what becomes of things; zero = nobody
	Reload        time.Duration    // how often the configuration's files are looked at; 0 = never
	Hangup        <-chan os.Signal // loads the configuration at once; nil = never
	Public, Admin string           // addresses to listen on
	TLS           config.PublicTLS // of the public one; empty = none
	Log           *slog.Logger
	Limits        actions.Limits                                     // of the runner; zero = its own
	Meter         func(events.Action, apiclient.Gate) apiclient.Gate // counts calls; nil = nobody does
}

// machine is Keyturn on one machine: the broker, the intake and a worker in one process.
type machine struct {
	broker  *embedded.Server
	bus     *stream.Bus
	keyer   events.Keyer
	worker  *worker.Worker
	handler *ingest.Handler
	teller  *outcomes.Teller
	server  *ingest.Server
	secured bool // the public listener speaks TLS
	public  net.Listener
	private net.Listener
	admin   http.Handler
	watcher *reload.Watcher
	sources []config.Source
	log     *slog.Logger
}

// newMachine reads the configuration, starts the broker and opens the listeners. It takes no delivery and makes no
// call before run. What it started it stops when it fails.
func newMachine(ctx context.Context, o machineOptions) (_ *machine, err error) {
	reading := reload.NewReading()
	files, err := readFiles(o, reading.Resolver())
	if err = config.Join(err, outcomes.Check(o.Outcome)); err != nil {
		return nil, usage(err)
	}
	m := &machine{sources: files.sources, log: o.Log}
	defer func() {
		if err != nil {
			err = errors.Join(err, m.close())
		}
	}()
	if m.broker, err = embedded.Start(embedded.Options{
		Dir: o.Store, Listen: o.Announce, Durability: o.Durability, MaxStore: o.MaxStore, Log: o.Log,
	}); err != nil {
		return m, err
	}
	reg := admin.NewRegistry()
	options := m.broker.Options()
	options.Name, options.Log, options.Metrics = "keyturn", o.Log, reg
	if m.bus, err = stream.Connect(ctx, options); err != nil {
		return m, err
	}
	if err = m.key(o); err != nil {
		return m, err
	}
	if m.worker, err = worker.New(worker.Options{
		Bus: m.bus, Name: workerName(), Version: version, Keyer: m.keyer, LostKey: o.LostKey, Connections: files.Connections, Playbooks: files.set,
		Log: o.Log, Metrics: reg, Limits: o.Limits, Meter: o.Meter, Remap: ingest.Remapper{Dir: o.ConfigDir}.Remap,
		Sources: func() (config.Sources, error) {
			return config.ReadSources(o.ConfigDir, config.Resolver{Unresolved: func(config.Fault) {}})
		},
	}); err != nil {
		return m, usage(err)
	}
	if m.teller, err = outcomes.New(m.bus, ledger.New(m.bus.Log(), time.Now), o.Outcome); err != nil {
		return m, usage(err)
	}
	return m, m.face(o, reading, files.made, reg)
}

// face makes what the outside meets: the intake, health and metrics, and what watches the configuration.
func (m *machine) face(o machineOptions, reading *reload.Reading, sources []*ingest.Source, reg *prometheus.Registry) error {
	handler, err := ingest.NewHandler(ingest.Options{
		Sources: sources, Publisher: m.bus, Log: o.Log, Metrics: reg, TooLarge: stream.IsTooLarge,
	})
	if err != nil {
		return err
	}
	if m.watcher, err = reload.New(reload.Options{
		First: reading, Every: o.Reload, Hangup: o.Hangup, Log: o.Log, Metrics: reg,
		Load: func(refs config.Resolver) (func(), error) { return m.load(o, refs, handler) },
	}); err != nil {
		return err
	}
	secured, err := ingest.ListenerTLS(o.TLS)
	if err != nil {
		return usage(err)
	}
	m.secured = secured != nil
	m.handler, m.server = handler, ingest.NewServer(ingest.ServerOptions{Handler: handler, Log: o.Log, TLS: secured})
	m.admin = handler.Admin(admin.Handler(reg, func() []admin.Check { return append(m.checks(), m.worker.Checks()...) }))
	return m.listen(o)
}

// files are what the machine is configured by.
type files struct {
	config.Config
	sources config.Sources
	made    []*ingest.Source
	set     *playbook.Set
}

// readFiles reads and checks the three files. The error has the faults of all.
func readFiles(o machineOptions, refs config.Resolver) (f files, err error) {
	var faults [6]error
	f.sources, faults[0] = config.ReadSources(o.ConfigDir, refs)
	f.Config, faults[1] = config.Read(o.ConfigDir, refs)
	f.set, faults[2] = worker.Playbooks(f.Playbooks)
	if faults[0] == nil {
		f.made, faults[3] = ingest.NewSources(f.sources)
		faults[4] = f.sources.CheckListener(o.TLS)
		faults[5] = f.Playbooks.Guards.CheckScopes(f.sources)
	}
	return f, config.Join(faults[:]...)
}

// load reads the files anew, and gives what puts all three in force.
func (m *machine) load(o machineOptions, refs config.Resolver, handler *ingest.Handler) (func(), error) {
	f, err := readFiles(o, refs)
	if err != nil {
		return nil, err
	}
	work, err := m.worker.Prepare(f.Connections, f.set)
	if err != nil {
		return nil, err
	}
	return func() {
		work()
		_ = handler.Replace(f.made) // its one error is a name given twice, which no file can
	}, nil
}

// key settles the deployment key: the configured one, or the one that the store generated for itself.
func (m *machine) key(o machineOptions) error {
	key := o.DeploymentKey
	if key.IsZero() {
		var err error
		if key, err = embedded.DeploymentKey(o.Store); err != nil {
			return err
		}
	}
	var err error
	m.keyer, err = events.NewKeyer([]byte(key.Reveal()))
	return err
}

// listen opens both listeners.
func (m *machine) listen(o machineOptions) error {
	var err error
	if m.public, err = net.Listen("tcp", o.Public); err != nil {
		return fmt.Errorf("listen for webhooks: %w", err)
	}
	if m.private, err = net.Listen("tcp", o.Admin); err != nil {
		return fmt.Errorf("listen for health and metrics: %w", err)
	}
	return nil
}

// checks are what must hold for the machine to be ready, besides the worker's.
func (m *machine) checks() []admin.Check {
	return []admin.Check{
		{Name: "listener", Run: m.server.Ready},
		{Name: "broker", Run: m.bus.Ready, Notes: func() string { return "durability " + string(m.bus.Durability()) }},
		m.watcher.Check(), {Name: "sources", Run: func(context.Context) error { return nil }, Notes: m.handler.Notes},
	}
}

// URL is where the machine takes webhooks.
func (m *machine) URL() string {
	if m.secured {
		return "https://" + m.public.Addr().String()
	}
	return "http://" + m.public.Addr().String()
}

// AdminURL is where it serves health and metrics.
func (m *machine) AdminURL() string { return "http://" + m.private.Addr().String() }

// run takes deliveries and works until ctx ends, or until the disk can be trusted no more: then the process must end,
// and nothing that was not on disk was answered as stored.
func (m *machine) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		err := m.worker.Run(ctx)
		if errors.Is(err, planner.ErrKey) {
			return usage(err)
		}
		return err
	})
	g.Go(func() error { return m.teller.Run(ctx) })
	g.Go(func() error { return m.watcher.Run(ctx) })
	g.Go(func() error { return m.handler.Poll(ctx) })
	g.Go(func() error { return m.server.Serve(ctx, m.public) })
	g.Go(func() error { return admin.Serve(ctx, m.private, m.admin) })
	g.Go(func() error {
		select {
		case <-m.broker.Failed():
			return m.broker.Err()
		case <-ctx.Done():
			return nil
		}
	})
	return g.Wait()
}

// closeTimeout bounds the end of the broker's connection.
const closeTimeout = 10 * time.Second

// close stops what newMachine started, the broker last.
func (m *machine) close() error {
	var errs []error
	for _, l := range []net.Listener{m.public, m.private} {
		if l != nil {
			_ = l.Close() // the servers closed it already, if they ran
		}
	}
	if m.bus != nil {
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		errs = append(errs, m.bus.Close(ctx))
	}
	if m.broker != nil {
		errs = append(errs, m.broker.Close())
	}
	return errors.Join(errs...)
}

// workerName names this process in leases and records: two lives of one machine are two holders.
func workerName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return host + "-" + uuid.NewString()[:8]
}
