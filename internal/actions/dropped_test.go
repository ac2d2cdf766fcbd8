package actions_test

import (
	"errors"
	"testing"
	"time"

	"keyturn/internal/apiclient"
	"keyturn/internal/events"
	"keyturn/internal/ledger"
)

// drop gives an action up as a person does, and has its case moved.
func (w *world) drop(step string) {
	w.t.Helper()
	last := w.last(step)
	_, err := w.ledger().Append(w.t.Context(), last, ledger.Record{
		Subject: last.Subject, State: ledger.Cancelled, Evidence: last.Evidence, Tries: last.Tries, Attempts: last.Attempts,
	})
	if err == nil {
		err = w.runner().Follow(w.t.Context(), "c1")
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// refused is what a provider says that will never make a change.
func refused(op string) error {
	return &apiclient.Error{Op: op, Status: 400, Cause: apiclient.Permanent, Err: errors.New("refused")}
}

// TestWhatIsDroppedLeavesNoResidual: what an action that was given up had seen to outlive it is nothing that its case waits
// for: nobody looks at it again. What the others say of the case stays.
func TestWhatIsDroppedLeavesNoResidual(t *testing.T) {
	undone := func(w *world) {
		w.begin(watched(step("a", "okta.suspend_user"), "", hour), step("b", "okta.suspend_user"))
		w.work()
		w.sets["a"]["x"] = true
		w.fire()
		w.work()
	}
	died := func(w *world) {
		w.scripts["delete x"] = []error{refused("delete x")}
		w.begin(step("a", "okta.suspend_user"), step("b", "okta.suspend_user"))
		w.work()
	}
	for name, tc := range map[string]struct {
		until  func(w *world) // it is to be dropped
		state  ledger.State
		before func(w *world)
		life   ledger.State
		why    string
		end    ledger.State // when every look was made
	}{
		"undone":                        {undone, ledger.Regressed, nil, ledger.Closed, "", ledger.Closed},
		"died after a look":             {died, ledger.Dead, nil, ledger.Closed, "", ledger.Closed},
		"undone, and another's is left": {undone, ledger.Regressed, func(w *world) { w.ends["b"] = 24 * time.Hour }, ledger.ClosedWithResidual, "tokens of b", ledger.Closed},
		"died, and another's is left":   {died, ledger.Dead, func(w *world) { w.ends["b"] = 24 * time.Hour }, ledger.ClosedWithResidual, "tokens of b", ledger.Closed},
		"undone, and another died": {undone, ledger.Regressed, func(w *world) {
			w.ends["b"], w.sets["b"], w.scripts["delete y"] = 24*time.Hour, set("y"), []error{refused("delete y")}
		}, ledger.NeedsPerson, "b is dead", ledger.NeedsPerson},
		"both died": {died, ledger.Dead, func(w *world) {
			w.ends["b"], w.sets["b"], w.scripts["delete y"] = 24*time.Hour, set("y"), []error{refused("delete y")}
		}, ledger.NeedsPerson, "b is dead", ledger.NeedsPerson},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.sets["a"], w.ends["a"] = set("x"), 3*time.Hour
			if tc.before != nil {
				tc.before(w)
			}
			tc.until(w)
			if rec := w.last("a"); rec.State != tc.state || len(rec.Evidence.Residual) == 0 || w.life().State != ledger.NeedsPerson {
				t.Fatalf("%s %+v, case %s", rec.State, rec.Evidence, w.life().State)
			}
			w.drop("a")
			if life := w.life(); life.State != tc.life || life.Reason != tc.why {
				t.Errorf("dropped: %s: %q", life.State, life.Reason)
			}
			w.workOn()
			if life := w.life(); life.State != tc.end {
				t.Errorf("in the end: %s: %q", life.State, life.Reason)
			}
			w.verify()
		})
	}
}

// TestACaseThatWaitsForNothingGoesOn: one that a version before this one left with the residual of what was dropped is
// closed by whoever moves it next, be it a late copy of a look that nothing asks for.
func TestACaseThatWaitsForNothingGoesOn(t *testing.T) {
	for name, move := range map[string]func(w *world){
		"followed": func(w *world) {
			if err := w.runner().Follow(w.t.Context(), "c1"); err != nil {
				w.t.Fatal(err)
			}
		},
		"looked at": func(w *world) {
			late := w.plan.Actions[0]
			late.Visit = &events.Visit{At: w.now, Kind: events.VisitResidual}
			w.queue = []events.Action{late}
			w.work()
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.sets["a"], w.ends["a"] = set("x"), 3*time.Hour
			w.begin(step("a", "okta.suspend_user"))
			w.scripts["delete x"] = []error{refused("delete x")}
			w.work()
			w.drop("a")
			for _, s := range []ledger.State{ledger.Open, ledger.ClosedWithResidual} {
				life := w.life()
				if _, err := w.ledger().Append(t.Context(), life, ledger.Record{Subject: life.Subject, State: s, Reason: "tokens of a"}); err != nil {
					t.Fatal(err)
				}
			}
			looks := w.observe["look a"]
			move(w)
			if life := w.life(); life.State != ledger.Closed || w.observe["look a"] != looks {
				t.Errorf("%s: %q, %d looks", life.State, life.Reason, w.observe["look a"]-looks)
			}
			w.verify()
		})
	}
}
