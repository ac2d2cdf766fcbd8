package planner_test

import (
	"strings"
	"testing"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/planner"
)

// TestRefusedByALane: what a lane found out stands, also when the event comes again, and a person's word closes what was
// done before.
func TestRefusedByALane(t *testing.T) {
	w := newWorld(t)
	w.armed = false
	e := w.happening("user.terminated", "1", "maria", w.clock, time.Time{})
	w.send(e)
	w.plan()
	plan := w.last(ledger.PlanSubject(e.Case()))
	life := w.last(ledger.LifecycleSubject(e.Case()))
	put := func(prev, rec ledger.Record) {
		t.Helper()
		rec.By, rec.Attempt = "worker-1", w.newID()
		if _, err := w.ledger().Append(t.Context(), prev, rec); err != nil {
			t.Fatal(err)
		}
	}
	put(plan, ledger.Record{Subject: plan.Subject, State: ledger.Refused, Reason: "refused: protected", Body: plan.Body})
	d, err := planner.Decode(plan)
	if err != nil || len(d.Actions) == 0 {
		t.Fatalf("%+v, %v", d, err)
	}
	put(ledger.Record{}, ledger.Record{Subject: ledger.ActionSubject(e.Case(), d.Actions[0].ID), State: ledger.Cancelled})
	put(life, ledger.Record{Subject: life.Subject, State: ledger.NeedsPerson, Body: life.Body})
	w.send(e)
	w.plan()
	if s := w.state(life.Subject); s != ledger.NeedsPerson {
		t.Errorf("after the event came again the case is %s", s)
	}
	w.send(events.Command{ID: "c1", Verb: events.Cancel, Target: e.Case(), Actor: "lee@acme.example", Reason: "seen to", Time: w.clock})
	w.plan()
	if s, p := w.state(life.Subject), w.state(plan.Subject); s != ledger.Closed || p != ledger.Refused {
		t.Errorf("after the word of a person the case is %s, its plan %s", s, p)
	}
	w.send(events.Command{ID: "c2", Verb: events.Cancel, Target: e.Case(), Actor: "lee@acme.example", Reason: "again", Time: w.clock})
	w.plan()
	if s := w.state(plan.Subject); s != ledger.Refused {
		t.Errorf("the plan is %s", s)
	}
}

// TestNothingOfARefusedCaseIsSentAgain: what had died at another provider would act upon the same person, under a name that
// no list has. It can be dropped.
func TestNothingOfARefusedCaseIsSentAgain(t *testing.T) {
	w := newWorld(t)
	w.armed = false
	e := w.happening("user.terminated", "1", "maria", w.clock, time.Time{})
	w.send(e)
	w.plan()
	plan := w.last(ledger.PlanSubject(e.Case()))
	d, err := planner.Decode(plan)
	if err != nil || len(d.Actions) == 0 {
		t.Fatalf("%+v, %v", d, err)
	}
	dead := ledger.ActionSubject(e.Case(), d.Actions[0].ID)
	for _, put := range []struct{ prev, rec ledger.Record }{
		{ledger.Record{}, ledger.Record{Subject: dead, State: ledger.Dead}},
		{plan, ledger.Record{Subject: plan.Subject, State: ledger.Refused, Reason: "refused: protected", Body: plan.Body}},
	} {
		put.rec.By, put.rec.Attempt = "worker-1", w.newID()
		if _, err := w.ledger().Append(t.Context(), put.prev, put.rec); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		verb events.Verb
		says string
		want ledger.State
	}{{events.RedriveVerb, "the case is refused: protected", ledger.Dead}, {events.Drop, "dropped", ledger.Cancelled}} {
		id := "c-" + string(c.verb)
		w.send(events.Command{ID: id, Verb: c.verb, Target: d.Actions[0].ID, Actor: "lee@acme.example", Reason: "why not", Time: w.clock})
		w.plan()
		if got := w.receipt(id).Outcome; !strings.HasPrefix(got, c.says) || w.state(dead) != c.want {
			t.Errorf("%s: %q, the action is %s", c.verb, got, w.state(dead))
		}
	}
}

// TestARedriveThatMeetsTheRefusal: the lane refuses the case between what the redrive reads and what it writes, and passes by
// what was dead.
func TestARedriveThatMeetsTheRefusal(t *testing.T) {
	w := newWorld(t)
	w.armed = false
	e := w.happening("user.terminated", "1", "maria", w.clock, time.Time{})
	w.send(e)
	w.plan()
	plan := w.last(ledger.PlanSubject(e.Case()))
	d, err := planner.Decode(plan)
	if err != nil || len(d.Actions) == 0 {
		t.Fatalf("%+v, %v", d, err)
	}
	a := d.Actions[0].ID
	put := func(prev, rec ledger.Record) {
		rec.By, rec.Attempt = "worker-1", w.newID()
		if _, err := w.ledger().Append(t.Context(), prev, rec); err != nil {
			t.Fatal(err)
		}
	}
	put(ledger.Record{}, ledger.Record{Subject: ledger.ActionSubject(e.Case(), a), State: ledger.Dead})
	sent := len(w.steps)
	w.armed, w.meetAt = true, w.step
	w.meet = func() {
		put(plan, ledger.Record{Subject: plan.Subject, State: ledger.Refused, Reason: "refused: protected", Body: plan.Body})
	}
	w.send(events.Command{ID: "c1", Verb: events.RedriveVerb, Target: a, Actor: "lee@acme.example", Reason: "why not", Time: w.clock})
	w.plan()
	if got := w.receipt("c1").Outcome; !strings.HasPrefix(got, "the case is refused: protected") {
		t.Errorf("said: %q", got)
	}
	if s := w.state(ledger.ActionSubject(e.Case(), a)); s != ledger.Cancelled {
		t.Errorf("the action is %s", s)
	}
	for _, step := range w.steps[sent:] {
		if strings.HasPrefix(step, "publish "+a) {
			t.Errorf("it was sent: %s", step)
		}
	}
}
