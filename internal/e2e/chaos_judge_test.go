//go:build !race

package e2e

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	diff "github.com/google/go-cmp/cmp"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/stream"
)

// judge asks the ledger's records and the providers, and nobody else, what became of everything that was accepted.
type judge struct {
	site    *site
	courier *courier
	effects map[string]int // how often each happened, in the whole run
	seen    int            // the last entry of the journal that is counted
	records int            // of the ledger, all chained
	double  int            // effects that happened twice
	lost    int            // events that were accepted and not planned
}

// finds waits for the end of every case of a round, and judges it. The caller has seen that all events are accepted.
func (j *judge) finds(t *testing.T, r *round) {
	t.Helper()
	var urls []string
	for _, n := range j.site.nodes {
		urls = append(urls, "nats://"+n.Client)
	}
	bus, err := stream.Connect(t.Context(), stream.Options{URL: strings.Join(urls, ","), AssertDurable: true, Name: "judge"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = bus.Close(context.Background()) }()
	book := ledger.New(bus.Log(), nil)
	j.ended(t, book, r)
	last, plans := j.read(t, bus, book)
	for id, d := range r.events {
		for _, fault := range j.faults(last, d) {
			t.Errorf("%s: %s", id, fault)
		}
	}
	if events, _, _ := j.courier.figures(); plans != events {
		t.Errorf("%d plans for %d events", plans, events)
	}
	j.providers(t, r)
}

// ended waits until every case of the round has come to its end.
func (j *judge) ended(t *testing.T, book *ledger.Ledger, r *round) {
	t.Helper()
	open := map[string]string{} // by case, what it is about
	for id := range r.events {
		for _, c := range j.courier.of(id) {
			open[c] = id
		}
	}
	var state string
	looks := 0
	await(t, 4*patience, "every case to end", func() bool {
		j.site.tend(t)
		for c, id := range open {
			rec, err := book.Last(t.Context(), ledger.LifecycleSubject(c))
			if err != nil || !over(rec.State) {
				state = fmt.Sprintf("%s, case %s: %q %v", id, c, rec.State, err)
				if looks++; looks%500 == 0 {
					t.Logf("still open: %s", state)
				}
				return false
			}
			delete(open, c)
		}
		return true
	})
}

// over reports whether a case came to its end.
func over(s ledger.State) bool { return s == ledger.Closed || s == ledger.ClosedWithResidual }

// read checks the chain of every record, and gives the last of each subject and how many cases have a plan.
func (j *judge) read(t *testing.T, bus *stream.Bus, book *ledger.Ledger) (last map[string]ledger.Record, plans int) {
	t.Helper()
	n, broken, err := book.Verify(t.Context(), ledger.Everything())
	if err != nil || len(broken) > 0 {
		t.Errorf("of %d records of the ledger these do not hold: %+v; %v", n, broken, err)
	}
	j.records = n
	last = map[string]ledger.Record{}
	err = book.Range(t.Context(), ledger.AllCases(), time.Time{}, func(r ledger.Record) error {
		last[r.Subject] = r
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for subject := range last {
		if ledger.Entry(subject) == "plan" {
			plans++
		}
	}
	letters := 0
	if err := bus.DeadLetters(t.Context(), func(d events.DeadLetter) error {
		letters++
		t.Errorf("dead letter: %s %s: %s", d.Connection, d.ID, d.Error)
		return nil
	}); err != nil {
		t.Error(err)
	}
	return last, plans
}

// faults says what the ledger does not tell of an event that was accepted.
func (j *judge) faults(last map[string]ledger.Record, d delivery) (list []string) {
	cases := j.courier.of(d.event)
	if len(cases) != 1 {
		return []string{fmt.Sprintf("answered with %d cases", len(cases))}
	}
	plan := last[ledger.PlanSubject(cases[0])]
	if plan.State != ledger.Planned {
		j.lost++
		list = append(list, fmt.Sprintf("its plan is %q: %s", plan.State, plan.Reason))
	}
	var p events.Plan
	if err := json.Unmarshal(plan.Body, &p); err != nil || len(p.Actions) != d.actions {
		list = append(list, fmt.Sprintf("%d actions are planned, want %d; %v", len(p.Actions), d.actions, err))
	}
	for _, a := range p.Actions {
		if rec := last[ledger.ActionSubject(cases[0], a.ID)]; !rec.State.Achieved() {
			list = append(list, fmt.Sprintf("%s is %q: %s", a.ID, rec.State, rec.Reason))
		}
	}
	if life := last[ledger.LifecycleSubject(cases[0])]; !over(life.State) {
		list = append(list, fmt.Sprintf("the case is %q: %s", life.State, life.Reason))
	}
	return list
}

// providers compares what the providers show with what the events ask for: all of that, once, and nothing else.
func (j *judge) providers(t *testing.T, r *round) {
	t.Helper()
	now := j.site.sandbox.Snapshot()
	if d := diff.Diff(lines(r.company.after(r.settled)), lines(now)); d != "" {
		t.Errorf("the providers show (- wanted, + is)\n%s", d)
	}
	for _, entry := range j.site.sandbox.JournalSince(j.seen) {
		j.seen = entry.Seq
		for _, effect := range entry.Effects {
			if j.effects[effect]++; j.effects[effect] == 2 {
				j.double++
				t.Errorf("twice: %s", effect)
			}
		}
	}
	for _, m := range now.Mosaic.Clients {
		kept, err := filepath.Glob(filepath.Join(j.site.sink, m.ID+"*"))
		if slices.Contains(r.company.apps, m.Name) && (err != nil || len(kept) != 1) {
			t.Errorf("secret of %s: kept %d times, %v", m.Name, len(kept), err)
		}
	}
}

// sorted gives the keys of a table in order.
func sorted[K cmp.Ordered, V any](m map[K]V) []K {
	var keys []K
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
