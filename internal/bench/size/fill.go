package size

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/stream"
	"keyturn/internal/stream/embedded"
)

// keysOfCase is how many ledger keys an offboarding leaves: its plan, its state, four actions, the person's order, and
// the case under two names.
const keysOfCase = 9

// open runs f over the broker of a store, and stops it in order.
func open(ctx context.Context, store string, f func(*stream.Bus) error) (err error) {
	if _, err := embedded.DeploymentKey(store); err != nil { // a store with a ledger is refused without it
		return err
	}
	broker, err := embedded.Start(embedded.Options{Dir: store, Durability: stream.Group, MaxStore: 8 << 30})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, broker.Close()) }()
	bus, err := stream.Connect(ctx, broker.Options())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bus.Close(context.WithoutCancel(ctx))) }()
	if err := bus.CreateTopology(ctx); err != nil {
		return err
	}
	return f(bus)
}

// each runs f for 0..n-1, many at a time.
func each(ctx context.Context, n int, f func(ctx context.Context, i int) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(128)
	for i := range n {
		g.Go(func() error { return f(ctx, i) })
	}
	return g.Wait()
}

// fill writes a ledger of so many keys: cases that are closed, with the records that brought them there.
func fill(ctx context.Context, store string, keys int) error {
	return open(ctx, store, func(bus *stream.Bus) error {
		records := ledger.New(bus.Log(), nil)
		return each(ctx, keys/keysOfCase+1, func(ctx context.Context, i int) error { return closed(ctx, records, i) })
	})
}

// closed writes the records of one case.
func closed(ctx context.Context, records *ledger.Ledger, i int) error {
	p := planOf(i, "suspend", "sessions", "tokens", "devices")
	body, err := json.Marshal(p)
	if err != nil {
		return err
	}
	var list []ledger.Record
	add := func(subject string, body []byte, evidence *ledger.Evidence, states ...ledger.State) {
		for _, s := range states {
			list = append(list, ledger.Record{Subject: subject, State: s, By: "worker-1", Attempt: p.Case, Evidence: evidence, Body: body})
		}
	}
	add(ledger.OrderSubject(fmt.Sprintf("order%059d", i)), body, nil, ledger.Kept)
	add(ledger.PlanSubject(p.Case), body, nil, ledger.Planned)
	add(ledger.LifecycleSubject(p.Case), nil, nil, ledger.Open, ledger.Closed)
	for n := range 2 {
		add(ledger.PersonSubject(fmt.Sprintf("name%d%059d", n, i), p.Case), nil, nil, ledger.Kept)
	}
	for _, a := range p.Actions {
		add(ledger.ActionSubject(p.Case, a.ID), nil, &ledger.Evidence{Pins: map[string]string{"user": a.Target},
			Seen: []ledger.Fact{{What: "user " + a.Target + " status", Value: "SUSPENDED"}}}, ledger.Started, ledger.Verified)
	}
	var last ledger.Record
	for _, rec := range list {
		if last.Subject != rec.Subject {
			last = ledger.Record{}
		}
		if last, err = records.Append(ctx, last, rec); err != nil {
			return err
		}
	}
	return nil
}

// queue fills the queue of the connection with actions and their plans, as a planner leaves them.
func queue(ctx context.Context, store string, actions int) error {
	return open(ctx, store, func(bus *stream.Bus) error {
		records := ledger.New(bus.Log(), nil)
		err := each(ctx, actions, func(ctx context.Context, i int) error {
			p := planOf(i, "suspend")
			body, err := json.Marshal(p)
			if err != nil {
				return err
			}
			for _, rec := range []ledger.Record{
				{Subject: ledger.PlanSubject(p.Case), State: ledger.Planned, By: "worker-1", Attempt: p.Case, Body: body},
				{Subject: ledger.LifecycleSubject(p.Case), State: ledger.Open, By: "worker-1", Attempt: p.Case},
			} {
				if _, err := records.Append(ctx, ledger.Record{}, rec); err != nil {
					return err
				}
			}
			return bus.PublishAction(ctx, p.Actions[0])
		})
		if err != nil {
			return err
		}
		return bus.Barrier(ctx)
	})
}

// planOf is the plan of a leaver, with these steps.
func planOf(i int, steps ...string) events.Plan {
	id, user := fmt.Sprintf("case%048d", i), fmt.Sprintf("00u%017d", i)
	with := json.RawMessage(fmt.Sprintf(`{"user":{"okta_id":%q,"login":"%s@acme.example"}}`, user, user))
	now := time.Now().UTC().Round(time.Second)
	e := events.Event{ID: id, Source: "https://hr.acme.example", Type: "dev.keyturn.user.terminated.v1",
		Subject: "user:" + user + "@acme.example", Time: now, Class: events.Normal, Scope: sourceName, Data: with}
	p := events.Plan{Case: id, Event: e, Accepted: now, Class: events.Normal, Playbooks: []string{"offboard"}}
	for _, s := range steps {
		p.Actions = append(p.Actions, events.Action{ID: events.ActionID(id, "offboard", s), Case: id, Playbook: "offboard", Step: s,
			Do: "okta.suspend_user", Connection: connection, Class: events.Normal, Target: e.Subject, With: with})
	}
	return p
}
