package actions_test

import (
	"context"
	"encoding/json"
	"testing"

	"keyturn/internal/actions"
	"keyturn/internal/events"
	"keyturn/internal/ledger"
)

// counted counts the reads of a log.
type counted struct {
	ledger.Log
	reads int
}

func (c *counted) Last(ctx context.Context, subject string) (uint64, []byte, error) {
	c.reads++
	return c.Log.Last(ctx, subject)
}

// TestTheOnlyActionOfAPlanReadsNothing: it is begun, brought about and its case closed without a read of the ledger.
func TestTheOnlyActionOfAPlanReadsNothing(t *testing.T) {
	w := newWorld(t)
	w.sets["suspend"] = set("a")
	w.begin(step("suspend", "okta.suspend_user"))
	log := &counted{Log: &w.log}
	r := w.runner()
	r.Ledger = ledger.New(log, nil)
	if out := r.Begin(t.Context(), w.queue[0]); out.Verdict != events.Done || log.reads != 0 {
		t.Errorf("%+v after %d reads", out, log.reads)
	}
	if len(w.deletes) != 1 || w.last("suspend").State != ledger.Verified || w.life().State != ledger.Closed {
		t.Errorf("%d changes, action %s, case %s", len(w.deletes), w.last("suspend").State, w.life().State)
	}
	w.verify()
}

// TestBeginOfWhatHasARecord: whoever begins without reading, and finds that the action has a record, does as if he had read.
func TestBeginOfWhatHasARecord(t *testing.T) {
	for _, tc := range []struct {
		has, ends ledger.State
		changes   int
	}{
		{ledger.Cancelled, ledger.Cancelled, 0}, // called back before it began
		{ledger.Started, ledger.Verified, 1},
		{ledger.Waiting, ledger.Verified, 1},
	} {
		w := newWorld(t)
		w.sets["suspend"] = set("a")
		w.begin(step("suspend", "okta.suspend_user"))
		if _, err := w.ledger().Append(t.Context(), ledger.Record{}, ledger.Record{
			Subject: ledger.ActionSubject("c1", "c1:p:suspend"), State: tc.has, Attempt: "another", Tries: 1,
		}); err != nil {
			t.Fatal(err)
		}
		out := w.runner().Begin(t.Context(), w.queue[0])
		if rec := w.last("suspend"); out.Verdict != events.Done || rec.State != tc.ends || len(w.deletes) != tc.changes {
			t.Errorf("%s: %+v, %s, %d changes", tc.has, out, rec.State, len(w.deletes))
		}
		if w.life().State != ledger.Closed {
			t.Errorf("%s: the case is %s", tc.has, w.life().State)
		}
		w.verify()
	}
}

// peeked tells the context in which a kind observes.
type peeked struct {
	actions.Kind
	in *context.Context
}

func (k peeked) Observe(ctx context.Context) (actions.Observation, error) {
	*k.in = ctx
	return k.Kind.Observe(ctx)
}

// clearing is a morgue that reports whether a context was over when it was asked to remove a letter.
type clearing struct {
	actions.Morgue
	in   *context.Context
	over bool
}

func (c *clearing) Unbury(ctx context.Context, id string) error {
	c.over = (*c.in).Err() != nil
	return c.Morgue.Unbury(ctx, id)
}

// TestAWrongGuessHoldsNothing: what a look holds for its attempt, as an administrator who is about to be let go, is free as
// soon as it shows that there was nothing to begin.
func TestAWrongGuessHoldsNothing(t *testing.T) {
	w := newWorld(t)
	w.sets["suspend"] = set("a")
	w.begin(step("suspend", "okta.suspend_user"))
	if _, err := w.ledger().Append(t.Context(), ledger.Record{}, ledger.Record{
		Subject: ledger.ActionSubject("c1", "c1:p:suspend"), State: ledger.Cancelled, Attempt: "another",
	}); err != nil {
		t.Fatal(err)
	}
	var in context.Context
	r := w.runner()
	build, morgue := r.Build, &clearing{Morgue: r.Morgue, in: &in}
	r.Build = func(a events.Action, pins map[string]string) (actions.Kind, error) {
		k, err := build(a, pins)
		return peeked{k, &in}, err
	}
	r.Morgue = morgue
	if out := r.Begin(t.Context(), w.queue[0]); out.Verdict != events.Done || !morgue.over {
		t.Errorf("%+v; what the look held was free: %t", out, morgue.over)
	}
}

// TestTheCaseOfAnOnlyActionMoved: what became of the case since its action was sent stays in its next record.
func TestTheCaseOfAnOnlyActionMoved(t *testing.T) {
	w := newWorld(t)
	w.begin(step("suspend", "okta.suspend_user"))
	late := json.RawMessage(`{"late":{"said":"x","due":"2030-01-02T03:00:00Z","missed":true}}`)
	if _, err := w.ledger().Append(t.Context(), w.life(), ledger.Record{Subject: ledger.LifecycleSubject("c1"), State: ledger.Open, Body: late}); err != nil {
		t.Fatal(err)
	}
	if out := w.runner().Begin(t.Context(), w.queue[0]); out.Verdict != events.Done {
		t.Errorf("%+v", out)
	}
	if life := w.life(); life.State != ledger.Closed || string(life.Body) != string(late) {
		t.Errorf("the case is %s with %s", life.State, life.Body)
	}
	w.verify()
}

// TestWhatAnotherProcessKnewIsRead: a record that the process before a power cut wrote may be gone, and another may stand in
// its very place.
func TestWhatAnotherProcessKnewIsRead(t *testing.T) {
	w := newWorld(t)
	w.begin(step("suspend", "okta.suspend_user"))
	a := w.queue[0]
	sole := *a.Sole
	sole.Process, sole.Hash = "process-of-before", "another"
	a.Sole = &sole
	if out := w.runner().Begin(t.Context(), a); out.Verdict != events.Done || w.life().State != ledger.Closed {
		t.Errorf("%+v, the case is %s", out, w.life().State)
	}
	w.verify()
}

// TestWhatWasCalledBackIsNotLookedAtWhereThatMatters: the search for another administrator counts whoever is looked at as one
// who is about to go.
func TestWhatWasCalledBackIsNotLookedAtWhereThatMatters(t *testing.T) {
	w := newWorld(t)
	w.begin(step("suspend", "okta.suspend_user"))
	if _, err := w.ledger().Append(t.Context(), ledger.Record{}, ledger.Record{
		Subject: ledger.ActionSubject("c1", "c1:p:suspend"), State: ledger.Cancelled, Attempt: "another",
	}); err != nil {
		t.Fatal(err)
	}
	r := w.runner()
	r.ReadFirst = func() bool { return true }
	if out := r.Begin(t.Context(), w.queue[0]); out.Verdict != events.Done || len(w.observe) != 0 {
		t.Errorf("%+v, looked at %v", out, w.observe)
	}
}
