package playbook

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"cel.dev/cel-go/common/types"

	"keyturn/internal/events"
	"keyturn/internal/expr"
)

// Plan gives the plan of an event: the actions of every playbook that matches it, in the order of the file. An event
// that none matches has a plan without actions. Actions at one connection follow each other within a playbook; what
// follows a step that is needed waits for it as well. What a playbook on trial would do stands in DryRuns alone.
//
// The error says that the event is none of the catalogue's, or that an expression has no value for it (config.Faults,
// with the place in the file). Then nothing is planned: half a plan would be a rule that did not fire. A playbook on
// trial is no part of what is done, and its faults are recorded instead.
func (s *Set) Plan(e events.Event) (events.Plan, error) {
	id := e.Case()
	payload, err := events.Decode(e)
	if err != nil {
		return events.Plan{}, fmt.Errorf("plan %s: %w", id, err)
	}
	plan := events.Plan{Case: id, Event: e, Hash: e.ContentHash(), Class: e.Class, EffectiveAt: e.EffectiveAt, Config: s.config}
	books := s.books[e.Name()]
	if len(books) == 0 {
		return plan, nil
	}
	event, err := s.shapes[e.Name()].bind(e, payload)
	if err != nil {
		return events.Plan{}, fmt.Errorf("plan %s: %w", id, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), expr.MaxTime)
	defer cancel()
	spend := newBudget(ctx)
	for _, b := range books {
		if b.dryRun {
			continue
		}
		actions, err := b.apply(spend, e, event)
		if err != nil {
			return events.Plan{}, fmt.Errorf("plan %s: playbook %s: %w", id, b.name, err)
		}
		if len(actions) > 0 {
			plan.Playbooks = append(plan.Playbooks, b.name)
			plan.Actions = append(plan.Actions, actions...)
		}
	}
	plan.DryRuns = try(books, e, event)
	plan.Class = mostUrgent(plan)
	if len(plan.Actions) > 0 {
		plan.SLA = s.sla[plan.Class]
	}
	return plan, nil
}

// apply gives the actions of a playbook for one event; none means that it does not match.
func (b book) apply(spend *budget, e events.Event, event any) ([]events.Action, error) {
	ev := spend.evaluate(event, b.variables)
	matches, err := b.matches(ev)
	if err != nil || !matches {
		return nil, err
	}
	return b.actions(e, ev)
}

func (b book) matches(ev *evaluation) (bool, error) {
	if b.when == nil {
		return true, nil
	}
	out, err := ev.eval(b.when)
	if err != nil {
		return false, err
	}
	matches, ok := out.(types.Bool)
	if !ok {
		return false, b.when.Fault("is neither true nor false for this event")
	}
	return bool(matches), nil
}

// actions resolves the steps of a playbook for one event.
func (b book) actions(e events.Event, ev *evaluation) ([]events.Action, error) {
	id, class := e.Case(), e.Class
	if b.class != "" {
		class = b.class
	}
	list := make([]events.Action, 0, len(b.steps))
	for _, s := range b.steps {
		with, whom, err := b.parameters(s, e, ev, list)
		if err != nil {
			return nil, fmt.Errorf("step %s: %w", s.name, err)
		}
		a := events.Action{
			ID: events.ActionID(id, b.name, s.name), Case: id, Playbook: b.name, Step: s.name, Do: s.do, Connection: s.at,
			Class: class, Target: whom, With: with, OnDead: s.onDead,
			Recheck: b.recheck, Regressed: b.regressed,
		}
		for _, name := range s.after {
			a.After = append(a.After, events.ActionID(id, b.name, name))
		}
		list = append(list, a)
	}
	return list, nil
}

// parameters resolves those of a step, and whom or what it acts upon. Most steps of a playbook have the same: the one
// that this one is like stands among those before it.
func (b book) parameters(s step, e events.Event, ev *evaluation, before []events.Action) (json.RawMessage, string, error) {
	if s.like != "" {
		for _, a := range before {
			if a.Step == s.like {
				return a.With, a.Target, nil
			}
		}
	}
	with, err := s.with.encode(ev)
	if err != nil {
		return nil, "", err
	}
	return with, target(e, with), nil
}

// mostUrgent is the class of a plan: that of its most urgent action, and without one the event's.
func mostUrgent(p events.Plan) events.Class {
	for _, c := range events.Classes() {
		if slices.ContainsFunc(p.Actions, func(a events.Action) bool { return a.Class == c }) {
			return c
		}
	}
	return p.Event.Class
}

// subjects is what the parameters of every kind call the things that they act upon.
type subjects struct {
	User     events.UserRef `json:"user"`
	ClientID string         `json:"client_id"`
	App      events.App     `json:"app"`
}

// identifiers lists whom and what the parameters name: a person first, so that all that is done to one person at a
// connection is done in turn, then a client or an app.
func identifiers(with json.RawMessage) []events.Identifier {
	members, err := events.Split(with)
	if err != nil {
		return nil
	}
	// One by one: a parameter that has another form than expected says nothing, and hides none of the others.
	var s subjects
	read := func(name string, into any) {
		if raw, given := members[name]; given {
			_ = json.Unmarshal(raw, into)
		}
	}
	read("client_id", &s.ClientID)
	read("app", &s.App)
	if raw, given := members["user"]; given {
		_ = s.User.UnmarshalJSON(raw)
	}
	ids := s.User.Identifiers()
	for _, named := range []events.Identifier{{Kind: events.ClientID, Value: s.ClientID}, {Kind: events.AppKey, Value: s.App.Key}} {
		if id, ok := events.NewIdentifier(named.Kind, named.Value); ok {
			ids = append(ids, id)
		}
	}
	return ids
}

// touched lists whom and what actions name, in their order. What several have in common is read once.
func touched(list []events.Action) []events.Identifier {
	var ids []events.Identifier
	for i, a := range list {
		known := func(o events.Action) bool { return bytes.Equal(o.With, a.With) }
		if !slices.ContainsFunc(list[:i], known) {
			ids = append(ids, identifiers(a.With)...)
		}
	}
	return ids
}

// target is whom or what an action acts upon: what its parameters name, and otherwise the person or the subject of
// the event. A lane runs one action per target at a time.
func target(e events.Event, with json.RawMessage) string {
	if ids := identifiers(with); len(ids) > 0 {
		return ids[0].Principal()
	}
	return events.Person(e)
}
