// Package worker is everything that decides and acts: the planner, and a lane for every connection. cmd/worker runs it
// on a NATS cluster, `keyturn serve` beside the intake on one machine; any number may run at once.
package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"keyturn/internal/actions"
	"keyturn/internal/admin"
	"keyturn/internal/apiclient"
	"keyturn/internal/config"
	"keyturn/internal/events"
	"keyturn/internal/lane"
	"keyturn/internal/ledger"
	"keyturn/internal/planner"
	"keyturn/internal/playbook"
	"keyturn/internal/shield"
	"keyturn/internal/stream"
)

// sweepEvery is how often actions that are done are purged from the broker.
const sweepEvery = time.Minute

// clockEvery is how often the broker is asked for its time: for so long at most a worker goes by a clock that was put wrong
// while it ran.
const clockEvery = 5 * time.Second

// streamsWait is how long a starting worker goes on trying to create the streams. One request that was lost with the
// broker takes ten seconds of it.
const streamsWait = time.Minute

// Options are what a worker is made of. All but LostKey, Remap, Sources, Metrics, Transport, Limits and Meter are needed.
type Options struct {
	Bus         *stream.Bus
	Name        string // in records, leases and logs: unique among the workers
	Version     string
	Keyer       events.Keyer
	LostKey     string // proof of the deployment key that Keyer's replaces (planner.ClaimKey); empty = it replaces none
	Connections config.Connections
	Playbooks   *playbook.Set
	Log         *slog.Logger

	Remap planner.Remap // maps a delivery again that could not be mapped; nil = a redrive of one says so
	// Sources reads sources.yaml where there is one, so that a pause of a source that does not exist is refused; nil = no
	// worker here can say.
	Sources func() (config.Sources, error)

	Metrics   prometheus.Registerer // where the figures of lanes and held plans go; nil = nowhere
	Transport http.RoundTripper     // of every connection, in tests; nil = a transport for each
	Limits    actions.Limits        // of the runner; zero = its own
	// Meter, when given, stands between the calls of an action and their gate, to count them.
	Meter func(a events.Action, g apiclient.Gate) apiclient.Gate
}

// Worker is a planner and the lanes.
type Worker struct {
	opts    Options
	bus     *stream.Bus
	log     *slog.Logger
	runner  actions.Runner // what the runners of all lanes have in common
	planner *planner.Planner
	set     atomic.Pointer[playbook.Set] // the playbooks in force
	begun   atomic.Bool                  // its streams are made, and it works
	fleet   fleet
	strays  strays
	holds   holds
	pauses  pauses
	gauges  *gauges // nil = nobody wants to know
}

// Playbooks compiles the playbooks against the kinds of actions that there are. The error is config.Faults.
func Playbooks(p config.Playbooks) (*playbook.Set, error) { return playbook.Compile(p, Kinds()) }

// Kinds describes the kinds of actions that there are to those who only name them.
func Kinds() []playbook.Kind {
	var kinds []playbook.Kind
	for _, k := range actions.Kinds() {
		kinds = append(kinds, playbook.Kind{Name: k.Name, Approvers: k.Approvers, Parameters: parametersOf(k.Parameters)})
	}
	return kinds
}

func parametersOf(list []actions.Parameter) []playbook.Parameter {
	var parameters []playbook.Parameter
	for _, q := range list {
		parameters = append(parameters, playbook.Parameter{
			Name: q.Name, Required: q.Required, Form: formOf(q.Form), Words: q.Words, Fields: parametersOf(q.Fields)})
	}
	return parameters
}

// formOf is the playbooks' word for the form of a parameter.
func formOf(f actions.Form) playbook.Form {
	switch f {
	case actions.Flag:
		return playbook.Flag
	case actions.Object:
		return playbook.Object
	case actions.List:
		return playbook.List
	case actions.Any:
		return ""
	}
	return playbook.Text
}

// New makes a worker. It makes no call, neither to the broker nor to a provider.
func New(o Options) (*Worker, error) {
	w := &Worker{opts: o, bus: o.Bus, log: o.Log, fleet: fleet{enlist: o.Bus.Enlist, log: o.Log}, strays: strays{look: make(chan struct{}, 1)}}
	w.fleet.ended = w.strays.ask
	records := ledger.New(o.Bus.Log(), o.Bus.Now)
	w.runner = actions.Runner{
		Ledger: records, Queue: o.Bus, Morgue: o.Bus, Worker: o.Name, Process: o.Bus.ID(), NewID: uuid.NewString, Log: o.Log, Limits: o.Limits,
		Now: o.Bus.Now,
	}
	w.planner = &planner.Planner{
		Ledger: records, Queue: o.Bus, Timetable: o.Bus, Morgue: o.Bus, Keyer: o.Keyer,
		Latest: func() planner.Plans { return w.set.Load() },
		Remap:  o.Remap, Intake: o.Bus,
		Pausable: w.pausable,
		Follow:   w.runner.Follow, Worker: o.Name, Process: o.Bus.ID(), NewID: uuid.NewString, Log: o.Log,
		Now: o.Bus.Now, Come: o.Bus.Come,
	}
	if o.Metrics != nil {
		if err := w.holds.register(o.Metrics, o.Bus.Now); err != nil {
			return nil, err
		}
	}
	late, err := lateCounter(o.Metrics)
	if err != nil {
		return nil, err
	}
	w.planner.Late = func(class events.Class, missed bool) {
		late.WithLabelValues(string(class), map[bool]string{true: "missed", false: "near"}[missed]).Inc()
	}
	apply, err := w.Prepare(o.Connections, o.Playbooks)
	if err != nil {
		return nil, err
	}
	apply()
	if o.Metrics != nil {
		w.gauges = &gauges{worker: w}
		if err := o.Metrics.Register(w.gauges); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return w, nil
}

// Prepare makes what other connections and playbooks need, and gives what puts them in force in place of those of now;
// it may be called while the worker runs, by one goroutine at a time. A message that is being planned is planned by the
// playbooks that it began with. A connection that is the same as before keeps its lane and the lease; one that changed
// or is gone finishes what it has in hand. Nothing has changed when there is an error, nor before apply is called.
func (w *Worker) Prepare(connections config.Connections, set *playbook.Set) (apply func(), err error) {
	next, err := w.fleet.prepare(connections, w.newLane)
	if err != nil {
		return nil, err
	}
	set = Sparing(set, connections)
	return func() {
		w.set.Store(set)
		w.fleet.replace(next)
		w.strays.ask()
	}, nil
}

// newLane makes the lane of a connection.
func (w *Worker) newLane(c config.Connection) (*lane.Lane, error) {
	fresh := func() (actions.Clients, error) {
		made, err := clients(c, apiclient.Wiring{Transport: w.opts.Transport, Version: w.opts.Version})
		made.Now = w.bus.Now // the ends of access that are written down
		made.Protected = func(ids []events.Identifier) string { return w.set.Load().Protects(ids) }
		made.LastAdmin = func() bool { return w.set.Load().SparesLastAdmin(c.Name) }
		return made, err
	}
	made, err := fresh()
	if err != nil {
		return nil, err
	}
	d := &desk{Bus: w.bus, connection: c, made: made, fresh: fresh, patience: readPatience, log: w.log,
		census: census{ledger: w.runner.Ledger, now: w.bus.Now, wanted: func() []playbook.Count { return w.set.Load().Counts() }}}
	d.lane = &lane.Lane{
		Connection: c.Name, Holder: w.opts.Name, Concurrency: c.Concurrency, Budget: budgetOf(c.Budget), Bus: d, Probe: probe(made), Log: w.log,
		Paused: w.paused, TokenHeld: tokenHeld(made), Renew: renew(made),
		Runner: func(t *lane.Tenure) *actions.Runner {
			r := w.runner
			r.Epoch, r.Denied, r.Away, r.Pause, r.Room, r.May = t.Epoch, t.Denied, t.Away, t.Pause, t.Room, t.May
			r.ReadFirst = made.LastAdmin // a search for another administrator goes by who is about to end
			r.Build = func(a events.Action, pins map[string]string) (actions.Kind, error) {
				g := t.Gate(a)
				if w.opts.Meter != nil {
					g = w.opts.Meter(a, g)
				}
				return gated(made, g).Build(a, pins)
			}
			return &r
		},
	}
	return d.lane, nil
}

// Run works until ctx ends; its error is then nil. It creates or updates the streams first. A ledger that was made with
// another deployment key is left as it is: the error wraps planner.ErrKey.
func (w *Worker) Run(ctx context.Context) error {
	if err := w.createStreams(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // stopped while it started: the next start makes what is missing
		}
		if errors.Is(err, planner.ErrKey) {
			return err
		}
		return fmt.Errorf("create streams: %w", err)
	}
	w.begun.Store(true)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return w.planner.Run(ctx, w.bus) })
	g.Go(func() error { return w.fleet.run(ctx) })
	for what, run := range w.beside() {
		g.Go(func() error { shield.Keep(ctx, w.log, what, run); return nil })
	}
	return g.Wait()
}

// beside is what a worker does beside the planner and the lanes. None of it may end them.
func (w *Worker) beside() map[string]func(context.Context) {
	all := map[string]func(context.Context){
		"the janitor":                       func(ctx context.Context) { w.bus.Janitor(ctx, sweepEvery) },
		"the watch of the clock":            func(ctx context.Context) { w.bus.KeepTime(ctx, clockEvery) },
		"the watch of actions without lane": w.watchStrays,
		"the watch of held plans":           w.watchHolds,
		"the answer which playbooks hold":   w.serveActive,
	}
	if w.gauges != nil {
		all["the count of what waits"] = w.gauges.run
	}
	return all
}

// working says why the worker does not work yet: streams that an earlier version made may be there before its own are.
func (w *Worker) working(context.Context) error {
	if !w.begun.Load() {
		return errors.New("the streams are not made or brought up to date yet: is the broker there, with a leader?")
	}
	return nil
}

// createStreams creates or updates the streams, and holds the ledger in them against the deployment key
// (planner.ErrKey). A broker that goes away meanwhile, or that has no leader yet, is waited for.
func (w *Worker) createStreams(ctx context.Context) error {
	once := func() error {
		err := w.bus.CreateTopology(ctx)
		if err == nil {
			err = w.bus.CheckTopology(ctx) // nothing is decided before the broker's time is known
		}
		if err == nil {
			err = planner.ClaimKey(ctx, w.runner.Ledger, w.opts.Keyer, w.opts.Name, w.opts.LostKey)
		}
		if err != nil && !errors.Is(err, stream.ErrUnavailable) {
			return backoff.Permanent(err)
		}
		return err
	}
	policy := backoff.NewExponentialBackOff(backoff.WithMaxElapsedTime(streamsWait))
	return backoff.RetryNotify(once, backoff.WithContext(policy, ctx), func(err error, d time.Duration) {
		w.log.WarnContext(ctx, "streams not created yet", "error", err, "retry_in", d)
	})
}

// Checks are the worker's part of /readyz at the moment: whether it has begun, a lane that stands still because its
// credential was refused or its provider is away, and work that nobody does.
func (w *Worker) Checks() []admin.Check {
	checks := []admin.Check{{Name: "worker", Run: w.working}, w.strayCheck(), w.holdCheck()}
	for _, l := range w.fleet.lanes() {
		checks = append(checks, admin.Check{
			Name:      "lane " + l.Connection,
			Elsewhere: true,
			Run:       func(context.Context) error { return l.Err() },
			Notes: func() string {
				if why := l.Halted(); why != "" {
					return why
				}
				if state, held := l.State(); held {
					note := fmt.Sprintf("held, epoch %d", state.Epoch)
					for _, lack := range state.Lacks {
						note += fmt.Sprintf("; the credential lacks %s, actions that wait for it: %d", lack.Right, lack.Actions)
					}
					return note
				}
				return "held by another worker, or by none yet"
			},
		})
	}
	return checks
}
