package planner_test

import (
	"context"
	"maps"
	"slices"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/planner"
)

// state is where a subject of the ledger stands.
func (w *world) state(subject string) ledger.State {
	w.t.Helper()
	return w.last(subject).State
}

func (w *world) last(subject string) ledger.Record {
	w.t.Helper()
	rec, err := w.ledger().Last(context.Background(), subject)
	if err != nil {
		w.t.Fatal(err)
	}
	return rec
}

func (w *world) decision(caseID string) planner.Decision {
	w.t.Helper()
	d, err := planner.Decode(w.last(ledger.PlanSubject(caseID)))
	if err != nil {
		w.t.Fatal(err)
	}
	return d
}

// want checks where a case stands.
func (w *world) want(what, caseID string, plan, life ledger.State) {
	w.t.Helper()
	if got := w.state(ledger.PlanSubject(caseID)); got != plan {
		w.t.Errorf("%s: plan %q, want %q", what, got, plan)
	}
	if got := w.state(ledger.LifecycleSubject(caseID)); got != life {
		w.t.Errorf("%s: case %q, want %q", what, got, life)
	}
}

// wantDone checks what was changed at the provider: each of these actions once, and nothing else.
func (w *world) wantDone(ids ...string) {
	w.t.Helper()
	want := map[string]int{}
	for _, id := range ids {
		want[id] = 1
	}
	if !maps.Equal(w.done, want) {
		w.t.Errorf("changes made: %v, want %v", w.done, want)
	}
}

// wantRest checks what must hold in the end of everything: nothing waits but these dead letters, and the ledger is
// whole.
func (w *world) wantRest(letters ...string) {
	w.t.Helper()
	if len(w.inbox) > 0 || len(w.now.actions) > 0 || len(w.now.scheduled) > 0 {
		w.t.Errorf("left: %d messages, %d actions, %d scheduled", len(w.inbox), len(w.now.actions), len(w.now.scheduled))
	}
	slices.Sort(letters)
	if got := slices.Sorted(maps.Keys(w.now.letters)); !slices.Equal(got, letters) {
		w.t.Errorf("dead letters %v, want %v", got, letters)
	}
	if len(w.faults) > 1 {
		return // the chain was verified with each of these faults alone
	}
	if _, broken, err := w.ledger().Verify(context.Background(), ledger.Everything()); err != nil || len(broken) > 0 {
		w.t.Errorf("ledger broken: %v %v", broken, err)
	}
}

// identity is the person of an event as guards count it.
func (w *world) identity(e events.Event) planner.Called {
	w.t.Helper()
	c, err := w.planner().Identity(context.Background(), e)
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}
