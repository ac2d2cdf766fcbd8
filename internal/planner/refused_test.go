package planner_test

import (
	"fmt"
	"slices"
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

// dying is a termination that was planned, and of which one action died.
type dying struct {
	*world
	plan   ledger.Record
	action events.Action
}

func newDying(w *world) dying {
	w.t.Helper()
	w.armed = false
	e := w.happening("user.terminated", "1", "maria", w.clock, time.Time{})
	w.send(e)
	w.plan()
	d := dying{world: w, plan: w.last(ledger.PlanSubject(e.Case())), action: w.decision(e.Case()).Actions[0]}
	d.put(ledger.Record{}, ledger.Record{Subject: d.subject(), State: ledger.Dead})
	letter := events.DeadLetter{ID: d.action.ID, Kind: events.DeadAction, Time: w.last(d.subject()).Time}
	for _, b := range []broker{w.now, w.disk} {
		b.letters[letter.ID] = letter
	}
	return d
}

func (d dying) subject() string { return ledger.ActionSubject(d.action.Case, d.action.ID) }

// put appends what a lane would, and has it on disk.
func (d dying) put(prev, rec ledger.Record) {
	d.t.Helper()
	rec.By, rec.Attempt = "worker-1", d.newID()
	if _, err := d.ledger().Append(d.t.Context(), prev, rec); err != nil {
		d.t.Fatal(err)
	}
	d.log.Barrier()
}

// refuse is what a lane does that found out who is meant.
func (d dying) refuse() {
	d.put(d.plan, ledger.Record{Subject: d.plan.Subject, State: ledger.Refused, Reason: "refused: protected", Body: d.plan.Body})
}

// tell gives a command upon the action, and what came of it.
func (d dying) tell(id string, verb events.Verb) string {
	d.send(events.Command{ID: id, Verb: verb, Target: d.action.ID, Actor: "lee@acme.example", Reason: "why not", Time: d.clock})
	d.world.plan()
	return d.receipt(id).Outcome
}

// TestNothingOfARefusedCaseIsSentAgain: what had died at another provider would act upon the same person, under a name that
// no list has. It can be dropped.
func TestNothingOfARefusedCaseIsSentAgain(t *testing.T) {
	d := newDying(newWorld(t))
	d.refuse()
	for _, c := range []struct {
		verb events.Verb
		says string
		want ledger.State
	}{{events.RedriveVerb, "the case is refused: protected", ledger.Dead}, {events.Drop, "dropped", ledger.Cancelled}} {
		if got := d.tell("c-"+string(c.verb), c.verb); !strings.HasPrefix(got, c.says) || d.state(d.subject()) != c.want {
			t.Errorf("%s: %q, the action is %s", c.verb, got, d.state(d.subject()))
		}
	}
}

// TestARedriveThatMeetsTheRefusal: the lane refuses the case between what the redrive reads and what it writes, and passes by
// what was dead. Whatever strikes any write after that, the action is not sent, and its letter stands exactly as long as it
// is dead.
func TestARedriveThatMeetsTheRefusal(t *testing.T) {
	explore(t, scenario{"redriven while a lane refuses the case", func(w *world) {
		d := newDying(w)
		d.armed, d.meetAt, d.meet = true, w.step, d.refuse
		if got := d.tell("c1", events.RedriveVerb); !strings.HasPrefix(got, "the case is refused: protected") {
			w.t.Errorf("said: %q", got)
		}
		state := w.state(d.subject())
		if _, buried := w.now.letters[d.action.ID]; buried != (state == ledger.Dead) || !buried && state != ledger.Cancelled {
			w.t.Errorf("the action is %s, its letter stands: %t", state, buried)
		}
		if slices.Contains(w.steps, "publish "+d.action.ID) {
			w.t.Error("it was sent")
		}
	}})
}

// TestWhatARefusedCaseDidIsListed: a rehire lists what was done of a termination before a lane refused the rest.
func TestWhatARefusedCaseDidIsListed(t *testing.T) {
	w := newWorld(t)
	w.armed = false
	e := w.happening("user.terminated", "1", "maria", w.clock, time.Time{})
	w.send(e)
	w.plan()
	w.work()
	plan := w.last(ledger.PlanSubject(e.Case()))
	rec := ledger.Record{Subject: plan.Subject, State: ledger.Refused, Reason: "refused: protected", Body: plan.Body, By: "worker-1", Attempt: "x"}
	if _, err := w.ledger().Append(t.Context(), plan, rec); err != nil {
		t.Fatal(err)
	}
	back := w.happening("user.rehired", "2", "maria", w.clock.Add(time.Hour), time.Time{})
	w.send(back)
	w.plan()
	if d := w.decision(back.Case()); len(d.Begun) != 1 || d.Begun[0].Action != action(e.Case(), "suspend") {
		t.Errorf("begun: %+v", d.Begun)
	}
	w.want("rehire", back.Case(), planned, needs)
}

// TestOneRedriveForOneDeath: of two people who saw the same letter, the second sends nothing when the action was sent again
// and died again meanwhile.
func TestOneRedriveForOneDeath(t *testing.T) {
	w := newWorld(t)
	w.armed = false
	e := w.happening("user.terminated", "1", "maria", w.clock, time.Time{})
	id := action(e.Case(), "suspend")
	w.dies[id] = 2
	w.send(e)
	w.settle()
	seen := planner.Death(w.now.letters[id].Time)
	for i, who := range []string{"ann", "bob"} {
		w.clock = w.clock.Add(time.Minute)
		c := w.command(fmt.Sprint("c", i), events.RedriveVerb, id, who)
		c.Shown = seen
		w.send(c)
		w.settle()
	}
	if got := w.answer("c1"); !strings.Contains(got, "died again") {
		t.Errorf("the second is told %q", got)
	}
	w.wantRest(id)
	c := w.command("c2", events.RedriveVerb, id, "bob")
	c.Shown = planner.Death(w.now.letters[id].Time)
	w.send(c)
	w.settle()
	w.want("redriven", e.Case(), planned, closed)
	w.wantDone(both(e.Case())...)
	w.wantRest()
}
