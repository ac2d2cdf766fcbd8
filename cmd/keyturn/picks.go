package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/view"
)

// picks chooses cases for one command upon many: by ids, or by filters.
type picks struct {
	ids          []string
	filter       view.Filter
	since, until string
	all          bool
	reason       string
	yes, dry     bool
	wait         time.Duration
}

// flags adds the filters and what goes with them. Without a filter nothing is chosen but by --all.
func (p *picks) flags(f *pflag.FlagSet) {
	p.filters(f)
	f.BoolVar(&p.all, "all", false, "all of them")
	f.StringVar(&p.reason, "reason", "", "why, for the ledger (required)")
	f.BoolVarP(&p.yes, "yes", "y", false, "do not ask")
	f.BoolVar(&p.dry, "dry-run", false, "only list what is chosen")
	f.DurationVar(&p.wait, "wait", defaultWait, "how long to wait for each outcome; 0 to only store the commands")
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

// times reads the bounds of time.
func (p *picks) times(a *app) error {
	for _, bound := range []struct {
		text string
		to   *time.Time
	}{{p.since, &p.filter.Since}, {p.until, &p.filter.Until}} {
		if bound.text == "" {
			continue
		}
		t, err := sinceTime(a.now(), a.zone, bound.text)
		if err != nil {
			return usage(err)
		}
		*bound.to = t
	}
	return nil
}

// rows reads the cases that are chosen, oldest first: who waited longest goes first.
func (p *picks) rows(ctx context.Context, a *app, s *session) ([]view.CaseRow, error) {
	if err := p.times(a); err != nil {
		return nil, err
	}
	wanted := map[string]bool{}
	for _, id := range p.ids {
		full, err := s.view.Resolve(ctx, id)
		if err != nil {
			return nil, err
		}
		wanted[full] = true
	}
	all, err := s.view.Cases(ctx, p.filter)
	if err != nil {
		return nil, err
	}
	chosen := []view.CaseRow{}
	for i := range all {
		row := all[len(all)-1-i]
		if len(wanted) == 0 || wanted[row.ID] {
			chosen = append(chosen, row)
			delete(wanted, row.ID)
		}
	}
	for id := range wanted {
		return nil, notFound(fmt.Errorf("case %s: nothing of it waits, or a filter leaves it out", id))
	}
	return chosen, nil
}

// confirm says what is chosen and asks.
func (p *picks) confirm(a *app, verb events.Verb, rows []view.CaseRow) error {
	if p.yes {
		return nil
	}
	for _, r := range rows[:min(maxShown, len(rows))] {
		a.note("  %s  %s of %s: %s", short(r.ID), r.Event, r.Principal, first(r.Reason, 80))
	}
	if rest := len(rows) - maxShown; rest > 0 {
		a.note("  … and %d more (--dry-run lists all)", rest)
	}
	_, _ = fmt.Fprintf(a.err, "%s %s? [y/N] ", verb, plural(len(rows), "case"))
	line, _ := bufio.NewReader(a.in).ReadString('\n') // no answer is no
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "y", "yes":
		return nil
	}
	return errNotConfirmed
}

// run gives one command upon every case that is chosen and may be meant by it, and waits for what comes of them.
func (p *picks) run(ctx context.Context, a *app, verb events.Verb, may func(view.CaseRow) bool) error {
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
		a.note("%s left out: your word about it is given, or does not count", plural(left, "case"))
	}
	if len(rows) == 0 {
		return notFound(errors.New("nothing is chosen"))
	}
	if p.dry {
		return a.print(rows, func(sc *screen) { sc.holdRows(rows) })
	}
	if err := p.confirm(a, verb, rows); err != nil {
		return err
	}
	return a.orderMany(ctx, s, verb, rows, p.reason, p.wait)
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
