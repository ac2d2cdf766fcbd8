package unlimited

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"keyturn/internal/apiclient"
	"keyturn/internal/config"
	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/planner"
	"keyturn/internal/process"
	"keyturn/internal/secret"
	"keyturn/internal/stream"
	"keyturn/internal/stream/embedded"
	"keyturn/internal/worker"
)

const (
	connection = "okta-prod"
	// lookEvery is how often it is looked whether the queue is empty: what that is late by is part of the time. The broker is
	// asked for it when all calls have been made: the answer costs more than an action.
	lookEvery = 5 * time.Millisecond
)

// lanes has a worker bring the actions about: they stand in the queue with their plans, as a planner left them, and the
// time runs from the first call to the last acknowledgement, which stands behind the outcome on disk.
func (b *bench) lanes(ctx context.Context, j jobs) (got spent, err error) {
	// Garbage is collected, and a processor to spare, as keyturn serve does; the calls alone keep to what Go does by itself.
	gc := debug.SetGCPercent(100)
	debug.SetGCPercent(gc)
	defer debug.SetGCPercent(gc)
	sparing, spared := context.WithCancel(ctx)
	defer spared()
	process.SpareMemory(sparing)
	dir, err := os.MkdirTemp(b.dir, "keyturn-bench-")
	if err != nil {
		return spent{}, err
	}
	defer os.RemoveAll(dir)
	broker, err := embedded.Start(embedded.Options{Dir: filepath.Join(dir, "store"), Durability: stream.Group, MaxStore: 8 << 30})
	if err != nil {
		return spent{}, err
	}
	defer func() { err = errors.Join(err, broker.Close()) }()
	process.SpareForSync(sparing, broker.Options().Barrier)
	bus, err := stream.Connect(ctx, broker.Options())
	if err != nil {
		return spent{}, err
	}
	defer func() { err = errors.Join(err, bus.Close(context.WithoutCancel(ctx))) }()
	if err := bus.CreateTopology(ctx); err != nil {
		return spent{}, err
	}
	records := ledger.New(bus.Log(), nil)
	if err := j.plan(ctx, bus, records); err != nil {
		return spent{}, fmt.Errorf("plan: %w", err)
	}
	if got, err = b.work(ctx, bus, j); err != nil {
		return spent{}, err
	}
	return got, j.check(ctx, records)
}

// plan writes what a planner leaves behind: the plan of each case, its state, and its action in the queue.
func (j jobs) plan(ctx context.Context, bus *stream.Bus, records *ledger.Ledger) error {
	g, planning := errgroup.WithContext(ctx)
	g.SetLimit(64)
	for i := range j.count {
		g.Go(func() error {
			p := j.planOf(i)
			body, err := json.Marshal(p)
			if err != nil {
				return err
			}
			var last ledger.Record
			for _, rec := range []ledger.Record{
				{Subject: ledger.PlanSubject(p.Case), State: ledger.Planned, By: "planner", Attempt: p.Case, Body: body},
				{Subject: ledger.LifecycleSubject(p.Case), State: ledger.Open, By: "planner", Attempt: p.Case},
			} {
				if last, err = records.Append(planning, ledger.Record{}, rec); err != nil {
					return err
				}
			}
			a := p.Actions[0]
			a.Sole = planner.Sole(p, last, bus.ID())
			return bus.PublishAction(planning, a)
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return bus.Barrier(ctx)
}

// planOf is the plan of one case: suspend one user.
func (j jobs) planOf(i int) events.Plan {
	id := fmt.Sprintf("case%022d", i)
	user := j.user(i)
	with := json.RawMessage(fmt.Sprintf(`{"user":{"okta_id":%q,"login":"%s@acme.example"}}`, user, user))
	e := events.Event{ID: id, Source: "https://hr.acme.example", Type: "dev.keyturn.user.terminated.v1", Subject: "user:" + user + "@acme.example",
		Time: j.now, Class: events.Normal, Scope: "hr-relay", Data: with}
	return events.Plan{Case: id, Event: e, Accepted: j.now, Class: events.Normal, Playbooks: []string{"offboard"}, Actions: []events.Action{{
		ID: events.ActionID(id, "offboard", "suspend"), Case: id, Playbook: "offboard", Step: "suspend", Do: "okta.suspend_user",
		Connection: connection, Class: events.Normal, Target: e.Subject, With: with,
	}}}
}

// work runs a worker until its queue is empty.
func (b *bench) work(ctx context.Context, bus *stream.Bus, j jobs) (spent, error) {
	called := b.provider.calls.Load() + int64(j.count*len(callsOf("", j.suspended)))
	keyer, err := events.NewKeyer([]byte("sample deployment key of acme.example"))
	if err != nil {
		return spent{}, err
	}
	set, err := worker.Playbooks(config.Playbooks{})
	if err != nil {
		return spent{}, err
	}
	first := make(chan func() spent, 1)
	tell := sync.OnceFunc(func() { first <- watch() })
	w, err := worker.New(worker.Options{Bus: bus, Name: "worker-1", Version: "bench", Keyer: keyer, Playbooks: set,
		Log: slog.New(slog.DiscardHandler), Connections: config.Connections{{Name: connection, Provider: config.ProviderOkta,
			BaseURL: b.provider.URL, Concurrency: inFlight, Auth: config.Auth{SSWS: &config.SSWS{Token: secret.New("sample")}}}},
		Meter: func(_ events.Action, g apiclient.Gate) apiclient.Gate { tell(); return g },
	})
	if err != nil {
		return spent{}, err
	}
	working, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- w.Run(working) }()
	var measured func() spent
	select {
	case measured = <-first:
	case err := <-ended:
		return spent{}, fmt.Errorf("the worker ended: %w", err)
	case <-ctx.Done():
		return spent{}, ctx.Err()
	}
	if err := b.empty(ctx, bus, called); err != nil {
		return spent{}, err
	}
	got := measured()
	stop()
	return got, <-ended
}

// empty waits until the provider counts so many calls, and nothing is left in any queue.
func (b *bench) empty(ctx context.Context, bus *stream.Bus, called int64) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		if b.provider.calls.Load() < called {
			continue
		}
		lags, err := bus.Lag(ctx)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(lags, func(l stream.Lag) bool { return l.Waiting > 0 || l.InHand > 0 }) {
			return nil
		}
	}
}

// check reads from the ledger that every case is closed by a verified action.
func (j jobs) check(ctx context.Context, records *ledger.Ledger) error {
	verified, closed := 0, 0
	err := records.Range(ctx, ledger.AllCases(), time.Time{}, func(r ledger.Record) error {
		switch r.State {
		case ledger.Verified:
			verified++
		case ledger.Closed:
			closed++
		}
		return nil
	})
	if err == nil && (verified != j.count || closed != j.count) {
		err = fmt.Errorf("of %d actions %d are verified, and %d cases are closed", j.count, verified, closed)
	}
	return err
}
