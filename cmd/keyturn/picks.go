package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/pflag"

	"keyturn/internal/config"
	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/planner"
	"keyturn/internal/view"
)

// picks chooses cases for one command upon many: by ids, or by filters.
type picks struct {
	word
	ids          []string
	filter       view.Filter
	since, until string
	all          bool
	// about says what a person should know of what is chosen before they confirm it; nil = nothing.
	about func(rows []view.CaseRow) string
	// as gives the verb upon a case where it is not the word's; nil = the word's upon all.
	as func(r view.CaseRow) events.Verb
	// before is done when the person has said yes, before the first command; nil = nothing.
	before func(ctx context.Context, s *session) error
	// left says why cases are left out that are chosen and may not be meant.
	left string
}

// flags adds the filters and what goes with them. Without a filter nothing is chosen but by --all.
func (p *picks) flags(f *pflag.FlagSet) {
	p.filters(f)
	f.BoolVar(&p.all, "all", false, "all of them")
	p.word.flags(f, "required")
}

// filters adds the filters alone.
func (p *picks) filters(f *pflag.FlagSet) {
	f.StringVar(&p.filter.Type, "type", "", "event: user.terminated, device.lost …")
	f.StringVar(&p.filter.Source, "source", "", "from this source (its dedup_scope where it has one, else its name)")
	f.StringVar(&p.filter.Playbook, "playbook", "", "that this playbook matched")
	f.StringVar(&p.filter.Principal, "person", "", "part of the principal's name")
	f.StringVar(&p.filter.Brake, "brake", "", "held by this brake (a part of its name)")
	f.StringVar(&p.since, "since", "", "accepted since: 90m, 24h, 7d, 2026-03-02, or an RFC 3339 time")
	f.StringVar(&p.until, "until", "", "accepted before, in the same forms")
}

// empty reports whether nothing was chosen.
func (p *picks) empty() bool {
	f := p.filter
	return len(p.ids) == 0 && !p.all && f.Type+f.Source+f.Playbook+f.Principal+f.Brake+p.since+p.until == ""
}

// one reports whether exactly one case is named, and nothing else.
func (p *picks) one() bool {
	ids := p.ids
	p.ids = nil
	defer func() { p.ids = ids }()
	return len(ids) == 1 && p.empty() && !p.dry
}

// bound is one end of a span of time, as a person says it.
type bound struct {
	text string
	to   *time.Time
}

// times reads the bounds that were said.
func (a *app) times(bounds ...bound) error {
	for _, b := range bounds {
		if b.text == "" {
			continue
		}
		t, err := sinceTime(a.now(), a.zone, b.text)
		if err != nil {
			return usage(err)
		}
		*b.to = t
	}
	return nil
}

// knownType refuses an event that the catalogue does not have: nothing of it is held, which would be a wrong comfort.
func knownType(name string) error {
	var names []string
	for _, row := range events.Catalogue() {
		names = append(names, row.Name)
	}
	if name == "" || slices.Contains(names, name) {
		return nil
	}
	return usage(fmt.Errorf("type %q: no such event%s", name, config.Suggest(name, names)))
}

// brakeName writes the window at the end of a brake's name as names have it: what the configuration has as 90m or 1d is
// 1h30m0s or 24h0m0s there. And what names 1h means no brake per 1h30m.
func brakeName(text string) string {
	at := strings.LastIndex(text, brakePer)
	if at < 0 {
		return text
	}
	d, err := config.ParseDuration(text[at+len(brakePer):])
	if err != nil {
		return text // a part of it
	}
	return text[:at] + brakePer + d.String()
}

// brakePer stands before the window in a brake's name.
const brakePer = "per "

// rows reads the cases that are chosen, oldest first: who waited longest goes first.
func (p *picks) rows(ctx context.Context, a *app, s *session) ([]view.CaseRow, error) {
	if err := knownType(p.filter.Type); err != nil {
		return nil, err
	}
	if err := a.times(bound{p.since, &p.filter.Since}, bound{p.until, &p.filter.Until}); err != nil {
		return nil, err
	}
	f := p.filter
	f.Brake = brakeName(f.Brake)
	wanted := map[string]bool{}
	for _, id := range p.ids {
		full, err := s.view.Resolve(ctx, id)
		if err != nil {
			return nil, err
		}
		wanted[full] = true
	}
	all, err := s.view.Cases(ctx, f)
	if err != nil {
		return nil, err
	}
	chosen := []view.CaseRow{}
	for i := range all {
		row := all[len(all)-1-i]
		if len(p.ids) == 0 || wanted[row.ID] { // wanted is empty again when the last of them was found
			chosen = append(chosen, row)
			delete(wanted, row.ID)
		}
	}
	for id := range wanted {
		return nil, notFound(fmt.Errorf("case %s: nothing of it waits, or a filter leaves it out", id))
	}
	return chosen, nil
}

// run gives one command upon every case that is chosen and may be meant by it, and waits for what comes of them.
func (p *picks) run(ctx context.Context, a *app, verb events.Verb, may func(view.CaseRow) bool) error {
	p.verb, p.thing = verb, "case"
	s, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	all, err := p.rows(ctx, a, s)
	if err != nil {
		return err
	}
	rows := []view.CaseRow{}
	for _, r := range all {
		if may(r) {
			rows = append(rows, r)
		}
	}
	if left := len(all) - len(rows); left > 0 {
		a.note("%s left out: %s", plural(left, "case"), cmp.Or(p.left, "your word about it is given, or does not count"))
	}
	if len(rows) == 0 {
		return notFound(errors.New("nothing is chosen"))
	}
	if p.about != nil {
		if text := p.about(rows); text != "" {
			a.note("%s", text)
		}
	}
	if p.dry {
		return a.print(rows, func(sc *screen) { sc.holdRows(rows) })
	}
	if err := p.confirm(a, len(rows), chosenLines(rows)); err != nil {
		return err
	}
	if p.before != nil {
		if err := p.before(ctx, s); err != nil {
			return err
		}
	}
	return p.give(ctx, a, s, rows)
}

// chosenLines tells what is chosen, a line each, to whoever confirms it.
func chosenLines(rows []view.CaseRow) []string {
	lines := make([]string, len(rows))
	for i, r := range rows {
		lines[i] = fmt.Sprintf("%s  %s of %s: %s", short(r.ID), r.Event, r.Principal, first(r.Reason, 80))
	}
	return lines
}

// give stores the command upon each case, and waits for what comes of them. Interrupted, it may be repeated: what is
// decided is not chosen again, and what is stored is the same command.
func (p *picks) give(ctx context.Context, a *app, s *session, rows []view.CaseRow) error {
	began := time.Now()
	var list []said
	for _, r := range rows {
		verb := p.verb
		if p.as != nil {
			verb = p.as(r)
		}
		list = append(list, said{target: r.ID, shown: shown(verb, r), id: caseCommand(verb, r, a.actor()), verb: verb})
	}
	outcomes, err := a.tell(ctx, s, p.word, list)
	if err != nil {
		return err
	}
	late, err := hearAll(ctx, s, outcomes, p.wait)
	if err != nil {
		return err
	}
	for i := range outcomes {
		if !outcomes[i].Settled {
			break
		}
		if err := outcomes[i].heard(ctx, s); err != nil {
			return err
		}
	}
	return cmp.Or(a.printMany(p.word, outcomes, time.Since(began)), late, refusedMany(outcomes))
}

// caseCommand names a command upon a case by where the case stood. A cancel of a plan that goes on is one of its own each
// time: it leaves what a lane has in hand at that moment, and given again when that waits once more it must count.
func caseCommand(verb events.Verb, r view.CaseRow, actor string) string {
	if (verb == events.Cancel || verb == events.Withdraw) && r.Plan == ledger.Planned {
		return uuid.NewString()
	}
	return commandID(verb, r.ID, actor, string(r.Plan), r.HeldAt.Format(time.RFC3339Nano), fmt.Sprint(r.Tally))
}

// shown is what a command says to have seen of a case: an approval lets nothing else go.
func shown(verb events.Verb, r view.CaseRow) string {
	if verb != events.Approve {
		return ""
	}
	return r.Shown
}

// heard finds whether a command had its effect upon its case.
func (o *outcome) heard(ctx context.Context, s *session) error {
	rec, err := s.ledger.Last(ctx, ledger.PlanSubject(o.Target))
	if err != nil || rec.Seq == 0 {
		return err
	}
	d, err := planner.Decode(rec)
	if err != nil {
		return err
	}
	o.State = rec.State
	o.Done = rec.Attempt == o.Command || d.Denied != nil && d.Denied.Command == o.Command
	if d.Hold != nil {
		o.Done = o.Done || slices.ContainsFunc(d.Hold.Given, func(w planner.Consent) bool { return w.Command == o.Command })
	}
	o.Done = o.Done || o.Verb == events.Withdraw // said again, it finds it so
	if o.Done || rec.State != ledger.Planned || o.Verb != events.Cancel {
		return nil
	}
	recs, err := s.ledger.Case(ctx, o.Target) // its actions were cancelled, not its plan
	o.Done = slices.ContainsFunc(recs, func(r ledger.Record) bool { return r.Attempt == o.Command })
	return err
}

// held reports whether the plan is held and the actor's word about it may still count.
func (a *app) held(verb events.Verb) func(view.CaseRow) bool {
	return func(r view.CaseRow) bool {
		if r.Plan != ledger.Held || r.Hold == nil {
			return false
		}
		if verb != events.Approve {
			return true
		}
		for _, w := range r.Hold.Given {
			if w.Actor == a.actor() {
				return false
			}
		}
		return r.Hold.Need > 0
	}
}
