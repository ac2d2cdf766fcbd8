package planner_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/planner"
	"keyturn/internal/playbook"
)

// mostPassing is what a brake may let pass at most, by its schema.
const mostPassing = 2000

// tallyRecord finds the only tally there is.
func tallyRecord(t *testing.T, w *world) ledger.Record {
	t.Helper()
	var found ledger.Record
	err := w.ledger().Range(t.Context(), ledger.Everything(), time.Time{}, func(r ledger.Record) error {
		if strings.Contains(r.Subject, ".brake-") {
			found = r
		}
		return nil
	})
	if err != nil || found.Seq == 0 {
		t.Fatalf("no tally: %v", err)
	}
	return found
}

// fill lets so many more have passed a minute ago, each by a name of their own and some by two.
func fill(t *testing.T, w *world, n, twice int) {
	t.Helper()
	rec := tallyRecord(t, w)
	var body map[string]any
	if err := json.Unmarshal(rec.Body, &body); err != nil {
		t.Fatal(err)
	}
	list, _ := body["passed"].([]any)
	key := func(what string, i int) string { return w.keyer.Key(fmt.Sprint(what, i)) }
	for i := range n {
		names := []string{key("name", i)}
		if i < twice {
			names = append(names, key("second", i))
		}
		list = append(list, map[string]any{"who": key("who", i), "names": names, "case": key("case", i), "time": w.clock.Add(-time.Minute)})
	}
	body["passed"] = list
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.ledger().Append(t.Context(), rec, ledger.Record{Subject: rec.Subject, State: ledger.Kept, Body: text, By: "worker-1", Attempt: "fill"}); err != nil {
		t.Fatal(err)
	}
}

// TestBrakeAtItsCap: a brake that may let as many pass as any brake may counts the last of them as exactly as the first,
// in a record that can always be stored, and lets pass again when its window is over.
func TestBrakeAtItsCap(t *testing.T) {
	w := newWorld(t)
	w.armed = false
	of := playbook.Count{Connection: "okta-prod", What: "active_users"}
	w.rules.brakes = []playbook.Brake{{Name: "share", Per: time.Hour, Share: &playbook.Share{Percent: 100, Of: of}}}
	count := planner.Count{Connection: of.Connection, What: of.What, N: 1_000_000, Read: w.clock}
	if err := planner.SaveCount(t.Context(), w.ledger(), ledger.Record{}, "worker-1", count); err != nil {
		t.Fatal(err)
	}
	all := people(w, 4)
	if n := passed(w, all[0]); n != 1 {
		t.Fatal("nobody passes")
	}
	fill(t, w, mostPassing-2, mostPassing/4-1) // 1,999 persons under 2,498 names
	if n := passed(w, all[1:]...); n != 1 {
		t.Errorf("%d passed as the 2,000th, want 1", n)
	}
	if n := passed(w, all[0], all[1]); n != 2 {
		t.Errorf("%d of those who passed are let pass when they are sent again, want 2", n)
	}
	if rec := tallyRecord(t, w); len(rec.Body) > 600<<10 {
		t.Errorf("a tally of %d bytes: it must fit into a message with room to spare", len(rec.Body))
	}
	why := w.last(ledger.PlanSubject(all[3].Case())).Reason
	if !strings.Contains(why, "2000 have passed and no more than 2000 may") {
		t.Errorf("held because of %q", why)
	}
	w.advance(time.Hour)
	if n := passed(w, people(w, 3)...); n != 3 {
		t.Errorf("%d passed an hour later, want 3", n)
	}
}

// TestBrakeUnderTooManyNamesAtItsCap: names above the cap and a quarter stop everybody new, and nobody for ever.
func TestBrakeUnderTooManyNamesAtItsCap(t *testing.T) {
	w := newWorld(t)
	w.armed = false
	w.rules.brakes = []playbook.Brake{{Name: "terminations", Max: mostPassing, Per: time.Hour}}
	all := people(w, 3)
	if n := passed(w, all[0]); n != 1 {
		t.Fatal("nobody passes")
	}
	fill(t, w, 1400, 1099) // 1,401 persons under 2,500 names
	if n := passed(w, all[1:]...); n != 0 {
		t.Errorf("%d passed under names above the cap, want none", n)
	}
	w.advance(time.Hour)
	if n := passed(w, people(w, 2)...); n != 2 {
		t.Errorf("%d passed an hour later, want 2", n)
	}
}

// TestPlannersThatRemember: what a planner remembers of a tally, which others change meanwhile, lets nobody pass too
// many, and stops nobody.
func TestPlannersThatRemember(t *testing.T) {
	w := newWorld(t)
	w.armed = false
	w.rules.brakes = []playbook.Brake{{Name: "terminations", Max: 9, Per: time.Hour}}
	both := []*planner.Planner{w.planner(), w.planner()}
	turns := 0
	states := func(list []events.Event) map[ledger.State]int {
		found := map[ledger.State]int{}
		for _, e := range list {
			turns++
			if out := both[turns%3/2].Event(t.Context(), e, w.clock); out.Verdict != events.Done {
				t.Fatalf("%+v", out)
			}
			found[w.state(ledger.PlanSubject(e.Case()))]++
		}
		return found
	}
	all := people(w, 20)
	if got := states(all); got[planned] != 9 || got[ledger.Held] != 11 {
		t.Errorf("of 20: %v, want 9 planned", got)
	}
	w.advance(30 * time.Minute)
	if got := states(slices.Concat(all[:9], people(w, 10)[9:])); got[planned] != 9 || got[ledger.Held] != 1 {
		t.Errorf("sent again, and one more: %v", got)
	}
	w.advance(30 * time.Minute)
	if got := states(people(w, 10)); got[planned] != 9 {
		t.Errorf("an hour later: %v, want 9 planned", got)
	}
}
