package view

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"keyturn/internal/ledger"
)

// Filter chooses cases. What is empty chooses all.
type Filter struct {
	Since     time.Time    // accepted at or after
	Until     time.Time    // accepted before
	State     ledger.State // where the case or its plan stands
	Type      string       // catalogue name of the event, "user.terminated", or its full CloudEvents type
	Principal string       // exact, or a part of it
	Source    string       // who sent the event: the configured source's name, or its dedup_scope
	Playbook  string       // one that matched the event
	Brake     string       // of a plan that is or was held: part of the name of the brake that it was too much for
	Unbegun   bool         // something of the case has not begun and could be cancelled
	Limit     int          // how many of the newest; 0 = all
}

// clockMargin is how far the clock of whoever accepted an event may run ahead of the one that keeps the ledger before
// a listing by time misses it.
const clockMargin = 2 * time.Minute

// Cases lists the cases that f chooses, newest first. An empty answer is not nil.
func (r *Reader) Cases(ctx context.Context, f Filter) ([]CaseRow, error) {
	from := f.Since
	if !from.IsZero() {
		from = from.Add(-clockMargin)
	}
	folds := map[string]*fold{}
	err := r.ledger.Range(ctx, ledger.AllCases(), from, func(rec ledger.Record) error {
		id := ledger.CaseOf(rec.Subject)
		if folds[id] == nil {
			folds[id] = newFold(id)
		}
		folds[id].add(rec)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("cases: %w", err)
	}
	rows := []CaseRow{}
	for _, c := range folds {
		if row := c.row(); f.matches(row) && f.fits(c, row) {
			rows = append(rows, row)
		}
	}
	newestFirst(rows)
	if f.Limit > 0 && len(rows) > f.Limit {
		rows = slices.Clip(rows[:f.Limit])
	}
	return rows, nil
}

// fits reports whether f chooses the case by what its row does not show.
func (f Filter) fits(c *fold, r CaseRow) bool {
	switch {
	case f.Source != "" && f.Source != c.plan.Event.Scope:
		return false
	case f.Playbook != "" && !slices.Contains(c.plan.Playbooks, f.Playbook):
		return false
	case f.Brake != "" && (c.plan.Hold == nil || !strings.Contains(c.plan.Hold.Brake, f.Brake)):
		return false
	}
	return !f.Unbegun || r.unbegun()
}

// unbegun reports whether something of the case waits that no lane has begun.
func (r CaseRow) unbegun() bool {
	switch r.Plan {
	case ledger.Scheduled, ledger.Held, ledger.Conflict:
		return true
	case ledger.Planned:
		takesBack := r.Event == "user.termination_rescinded" || r.Event == "user.rehired"
		return r.Tally.Open+r.Tally.Waiting+r.Tally.Dead > 0 || takesBack && (r.Tally.Total == 0 || r.Tally.Done > 0)
	}
	return false
}

// matches reports whether f chooses the row.
func (f Filter) matches(r CaseRow) bool {
	switch {
	case !f.Since.IsZero() && r.came().Before(f.Since):
		return false
	case !f.Until.IsZero() && !r.came().Before(f.Until):
		return false
	case f.State != "" && f.State != r.State && f.State != r.Plan:
		return false
	case f.Type != "" && f.Type != r.Event && f.Type != "dev.keyturn."+r.Event+".v1":
		return false
	}
	return strings.Contains(strings.ToLower(r.Principal), strings.ToLower(f.Principal))
}

// Person lists every case of the principals whose keys are given, and of all other names of the same person, newest
// first. An empty answer is not nil.
func (r *Reader) Person(ctx context.Context, keys ...string) ([]CaseRow, error) {
	ids := map[string]bool{}
	keys, err := r.everyName(ctx, keys)
	if err != nil {
		return nil, err
	}
	for _, key := range keys {
		err := r.ledger.Range(ctx, ledger.PersonFilter(key), time.Time{}, func(rec ledger.Record) error {
			if id := ledger.CaseOf(rec.Subject); id != "" {
				ids[id] = true
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("person: %w", err)
		}
	}
	rows := []CaseRow{}
	for _, id := range sortedKeys(ids) {
		f := newFold(id)
		err := r.ledger.Range(ctx, ledger.CaseFilter(id), time.Time{}, func(rec ledger.Record) error {
			f.add(rec)
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("person: case %s: %w", id, err)
		}
		rows = append(rows, f.row())
	}
	newestFirst(rows)
	return rows, nil
}
