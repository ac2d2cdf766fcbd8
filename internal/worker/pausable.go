package worker

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"keyturn/internal/config"
	"keyturn/internal/events"
	"keyturn/internal/lane"
	"keyturn/internal/ledger"
	"keyturn/internal/planner"
)

// pauses are what was read of them last, by lanes that begin actions.
type pauses struct {
	mu    sync.Mutex
	list  []planner.Pause // never changed
	asked time.Time       // when they were asked for
}

// pausesFresh is how long what was read serves the actions that begin next: a lane that begins a thousand a second reads forty
// times.
const pausesFresh = 25 * time.Millisecond

// read gives the pauses that hold, as they stood less than planner.PausesHold ago. An answer that took longer is none.
func (p *pauses) read(ctx context.Context, l *ledger.Ledger, come func() time.Time) ([]planner.Pause, error) {
	now := time.Now()
	p.mu.Lock()
	list, asked := p.list, p.asked
	p.mu.Unlock()
	if now.Sub(asked) < pausesFresh {
		return list, nil
	}
	list, err := planner.Pauses(ctx, l, come())
	if err != nil {
		return nil, err
	}
	if took := time.Since(now); took >= planner.PausesHold {
		return nil, fmt.Errorf("the broker took %s to tell the pauses: others may hold by now", took.Round(time.Millisecond))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if now.After(p.asked) {
		p.list, p.asked = list, now
	}
	return list, nil
}

// paused says whether an operator lets the lane of an action's connection begin nothing, or lets this action not begin.
// An action carries its playbook; the source stands in its plan, which is read while a source is paused.
func (w *Worker) paused(ctx context.Context, a events.Action) (lane.Pause, error) {
	list, err := w.pauses.read(ctx, w.runner.Ledger, w.bus.Come)
	if err != nil {
		return lane.Pause{}, err
	}
	source := ""
	if slices.ContainsFunc(list, planner.Pause.OfSource) {
		if source, err = w.sourceOf(ctx, a.Case); err != nil {
			return lane.Pause{}, err
		}
	}
	var p lane.Pause
	for _, said := range list {
		switch {
		case said.Stops(a.Connection):
			return lane.Pause{Lane: said.String()}, nil
		case said.StopsAction(a.Playbook, source):
			p = lane.Pause{Action: said.String(), Until: said.Until}
		}
	}
	return p, nil
}

// sourceOf is the source of a case's event, as its plan says.
func (w *Worker) sourceOf(ctx context.Context, caseID string) (string, error) {
	rec, err := w.runner.Ledger.Last(ctx, ledger.PlanSubject(caseID))
	if err != nil || rec.Seq == 0 {
		return "", err
	}
	var plan struct {
		Event struct {
			Scope string `json:"scope"`
		} `json:"event"`
	}
	if err := json.Unmarshal(rec.Body, &plan); err != nil {
		return "", fmt.Errorf("plan of case %s: %w", caseID, err)
	}
	return plan.Event.Scope, nil
}

// pausable says what a pause of a target is about here. as is the target by which it stops something: that of a source is
// its dedup_scope. no says that there is no such thing, and what was probably meant; note what nobody here knows.
func (w *Worker) pausable(target string) (as, no, note string) {
	kind, name, _ := strings.Cut(target, ":")
	var known []string
	switch kind {
	case "connection":
		known = w.fleet.names()
	case "playbook":
		known = w.set.Load().Names()
	case "source":
		return w.pausableSource(target, name)
	default:
		return target, "", ""
	}
	if !slices.Contains(known, name) {
		no = "there is no " + kind + " of that name" + config.Suggest(name, known)
	}
	return target, no, ""
}

func (w *Worker) pausableSource(target, name string) (as, no, note string) {
	if w.opts.Sources == nil {
		return target, "", unsure
	}
	list, err := w.opts.Sources()
	if err != nil {
		return target, "", unsure
	}
	var known []string
	for _, s := range list {
		if s.DedupScope == name {
			return target, "", ""
		}
		known = append(known, s.Name)
	}
	if s, ok := list.Find(name); ok {
		return "source:" + s.DedupScope, "", "its events carry its dedup_scope, and so do those of every source that shares it"
	}
	return target, "there is no source of that name" + config.Suggest(name, known), ""
}

// unsure warns of a pause that may stop nothing.
const unsure = "no worker here reads sources.yaml: make sure that the name is a source's dedup_scope, or its name where it has none"
