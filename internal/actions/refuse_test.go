package actions_test

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/sandbox"
)

// glass makes a case about the emergency account, by a name that the list does not have: it is found out at Okta.
func glass(t *testing.T) (*org, []events.Action) {
	t.Helper()
	o := newOrg(t, 0, sandbox.Options{})
	o.clients.Protected = protecting(t, "user:"+o.acme.BreakGlass.OktaID)
	user := map[string]any{"user": events.UserRef{Login: o.acme.BreakGlass.Login, ASAUsername: o.acme.BreakGlass.ASAName}}
	return o, []events.Action{act("okta", "okta.suspend_user", user), act("sessions", "okta.clear_sessions", user, "okta"), act("asa", "asa.revoke_clients", user)}
}

// planState is where the plan stands.
func (w *world) planState() ledger.Record {
	w.t.Helper()
	rec, err := w.ledger().Last(w.t.Context(), ledger.PlanSubject("c1"))
	if err != nil {
		w.t.Fatal(err)
	}
	return rec
}

// TestFoundOutIsRefused: whoever turns out at one provider to be protected is acted upon at none, with an alert, and no
// dead letter asks for it to be done all the same.
func TestFoundOutIsRefused(t *testing.T) {
	o, list := glass(t)
	var log strings.Builder
	o.wide = slog.New(slog.NewTextHandler(&log, nil))
	o.run(list...)
	for _, step := range []string{"okta", "sessions", "asa"} {
		o.ends(step, ledger.Cancelled)
	}
	plan, life := o.planState(), o.life()
	if plan.State != ledger.Refused || !strings.Contains(plan.Reason, "is the protected principal") || life.State != ledger.Closed {
		t.Errorf("plan %s (%s), case %s", plan.State, plan.Reason, life.State)
	}
	if len(o.dead) != 0 || len(o.sb.Journal().Effects()) != 0 || !strings.Contains(log.String(), "alert=") {
		t.Errorf("letters %v, effects %v, log %s", o.dead, o.sb.Journal().Effects(), log.String())
	}
	o.verify()
}

// TestFoundOutTooLate: what was done before at another provider is for a person, and nothing more is done.
func TestFoundOutTooLate(t *testing.T) {
	o, list := glass(t)
	o.run(list[2], list[0], list[1])
	o.ends("asa", ledger.Verified)
	o.ends("okta", ledger.Cancelled)
	if plan, life := o.planState(), o.life(); plan.State != ledger.Refused || life.State != ledger.NeedsPerson || !strings.Contains(life.Reason, "begun before: 1") {
		t.Errorf("plan %s, case %s: %s", plan.State, life.State, life.Reason)
	}
}

// TestRefusalSurvivesFaults: wherever the worker dies or the broker fails, the case ends refused and nothing is changed.
func TestRefusalSurvivesFaults(t *testing.T) {
	o, list := glass(t)
	list[2].After = []string{list[0].ID} // else it may be first, and had begun
	o.run(list...)
	points := o.points
	for _, m := range []mode{dieThere, powerCut, failThere} {
		for at := 1; at <= points; at++ {
			t.Run(fmt.Sprint(m, " ", at), func(t *testing.T) {
				o, list := glass(t)
				list[2].After = []string{list[0].ID}
				o.faults = map[int]mode{at: m}
				o.run(list...)
				if plan, life := o.planState(), o.life(); plan.State != ledger.Refused || life.State != ledger.Closed {
					t.Errorf("plan %s, case %s: %s", plan.State, life.State, life.Reason)
				}
				if effects := o.sb.Journal().Effects(); len(effects) != 0 || len(o.dead) != 0 {
					t.Errorf("effects %v, letters %v", effects, o.dead)
				}
				o.verify()
			})
		}
	}
}

// TestRefusedAmongLanes: an action that is in hand at another lane comes to its end, and what follows it does not go.
func TestRefusedAmongLanes(t *testing.T) {
	o, list := glass(t)
	user := map[string]any{"user": events.UserRef{OktaID: o.acme.Leaver.OktaID}}
	other, behind := act("other", "okta.suspend_user", user), act("behind", "okta.clear_sessions", user, "other")
	other.Target = "user:other"
	o.begin(list[0], other, behind)
	o.after = sync.OnceFunc(func() { // it has changed something, and meanwhile the first one is refused
		if out := o.deliver(list[0]); out.Verdict != events.Done {
			t.Errorf("%+v", out)
		}
	})
	o.deliver(other)
	o.work()
	o.ends("other", ledger.Verified)
	o.ends("behind", ledger.Cancelled)
	if plan, life := o.planState(), o.life(); plan.State != ledger.Refused || life.State != ledger.NeedsPerson {
		t.Errorf("plan %s, case %s: %s", plan.State, life.State, life.Reason)
	}
}

// TestRefusalEndsWhatCameBack: an action that was found undone and waits for a person is ended with its case, and its letter
// goes, wherever the lane that refuses the case died before.
func TestRefusalEndsWhatCameBack(t *testing.T) {
	for _, died := range []bool{false, true} {
		o, list := glass(t)
		other := act("other", "okta.suspend_user", map[string]any{"user": events.UserRef{OktaID: o.acme.Leaver.OktaID}})
		o.begin(list[0], other)
		states := []ledger.State{ledger.Started, ledger.Verified, ledger.Regressed}
		if died { // behind the record, before the letter
			states = append(states, ledger.Cancelled)
		}
		var rec ledger.Record
		for _, s := range states {
			var err error
			next := ledger.Record{Subject: ledger.ActionSubject("c1", other.ID), State: s, By: "worker-1", Tries: 1}
			if rec, err = o.ledger().Append(t.Context(), rec, next); err != nil {
				t.Fatal(err)
			}
		}
		o.dead[other.ID] = events.DeadLetter{ID: other.ID, Kind: events.DeadAction}
		if out := o.deliver(list[0]); out.Verdict != events.Done {
			t.Errorf("%+v", out)
		}
		o.ends("other", ledger.Cancelled)
		if len(o.dead) != 0 {
			t.Errorf("letters %v", o.dead)
		}
	}
}
