package actions_test

import (
	"strings"
	"testing"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
)

func TestRedrivenBeginsAnew(t *testing.T) {
	w := newWorld(t)
	w.stale = time.Hour
	w.begin(step("onboard", "transmit.ensure_client"), step("next", "okta.deactivate_user", "onboard"))
	w.sets["next"] = set("n")
	w.work()
	if w.last("onboard").State != ledger.Contested || w.last("next").State != "" || w.life().State != ledger.NeedsPerson {
		t.Fatalf("%s, %s, %+v", w.last("onboard").State, w.last("next").State, w.life())
	}
	if !strings.Contains(w.life().Reason, "next is held behind c1:p:onboard") {
		t.Errorf("lifecycle says %q", w.life().Reason)
	}
	w.created, w.stale = nil, 0 // a person cleaned up at the provider
	last := w.last("onboard")
	_, err := w.ledger().Append(t.Context(), last, ledger.Record{
		Subject: last.Subject, State: ledger.Redriven, By: "user:op", Attempt: "cmd-1", Attempts: last.Attempts,
	})
	if err != nil {
		t.Fatal(err)
	}
	again := w.plan.Actions[0]
	again.Redrive = 1
	w.queue = []events.Action{again}
	w.work()
	rec := w.last("onboard")
	if rec.State != ledger.Verified || len(w.created) != 1 || rec.Attempts != 1 || len(rec.Evidence.Applied) != 3 || !rec.Evidence.Applied[0].Past {
		t.Errorf("%s, %d clients, %d attempts, applied %+v", rec.State, len(w.created), rec.Attempts, rec.Evidence.Applied)
	}
	if w.last("next").State != ledger.Verified || w.life().State != ledger.Closed {
		t.Errorf("its successor %s, the case %s", w.last("next").State, w.life().State)
	}
	w.verify()
}

// TestRedrivenGoesAfterWhatIsBeforeIt: two that died are redriven, and the second one, which is not sent while the first one has
// not come to an end, goes then, or is held if that died again and the playbook says so.
func TestRedrivenGoesAfterWhatIsBeforeIt(t *testing.T) {
	for _, tc := range []struct {
		name    string
		mended  bool
		onDead  events.OnDead
		next    ledger.State
		life    ledger.State
		because string
	}{
		{"it is done", true, events.Stop, ledger.Verified, ledger.Closed, ""},
		{"it dies again", false, events.Continue, ledger.Verified, ledger.NeedsPerson, "first is dead"},
		{"it dies again, and that stops", false, events.Stop, ledger.Redriven, ledger.NeedsPerson, "next is held behind c1:p:first"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			second := step("next", "okta.suspend_user", "first")
			second.OnDead = tc.onDead
			w.begin(step("first", "no.such_kind"), second)
			w.queue = nil
			for _, a := range w.plan.Actions {
				rec := ledger.Record{}
				for _, state := range []ledger.State{ledger.Dead, ledger.Redriven} {
					var err error
					rec, err = w.ledger().Append(t.Context(), rec, ledger.Record{Subject: ledger.ActionSubject("c1", a.ID), State: state})
					if err != nil {
						t.Fatal(err)
					}
				}
			}
			first := w.plan.Actions[0]
			first.Redrive = 1
			if tc.mended {
				first.Do = "okta.suspend_user"
			}
			w.queue = []events.Action{first}
			w.work()
			if w.last("next").State != tc.next || w.life().State != tc.life || !strings.Contains(w.life().Reason, tc.because) {
				t.Errorf("next is %s, the case %s: %q", w.last("next").State, w.life().State, w.life().Reason)
			}
		})
	}
}

func TestFollow(t *testing.T) {
	for _, tc := range []struct {
		name   string
		onDead events.OnDead
		do     string
		next   ledger.State
		life   ledger.State
	}{
		{"goes on", events.Continue, "okta.suspend_user", ledger.Verified, ledger.NeedsPerson},
		{"stops", events.Stop, "okta.suspend_user", "", ledger.NeedsPerson},
		{"destroys", events.Continue, "okta.deactivate_user", "", ledger.NeedsPerson},
	} {
		w := newWorld(t)
		second := step("second", tc.do, "first")
		second.OnDead = tc.onDead
		w.begin(step("first", "no.such_kind"), second, step("third", "okta.suspend_user", "second"))
		w.work()
		third := ledger.Verified
		if tc.next == "" {
			third = ""
		}
		if w.last("second").State != tc.next || w.last("third").State != third || w.life().State != tc.life {
			t.Errorf("%s: second %q, third %q, case %s", tc.name, w.last("second").State, w.last("third").State, w.life().State)
		}
		// A person gives the dead one up; whoever ends it so asks for what follows.
		if tc.next == "" {
			last := w.last("first")
			if _, err := w.ledger().Append(t.Context(), last, ledger.Record{Subject: last.Subject, State: ledger.Cancelled}); err != nil {
				t.Fatal(err)
			}
			if err := w.runner().Follow(t.Context(), "c1"); err != nil || w.life().State != ledger.NeedsPerson {
				t.Errorf("%s: follow after a drop: %v, %s", tc.name, err, w.life().State)
			}
		}
	}
}

func TestLifecycleRace(t *testing.T) {
	w := newWorld(t)
	w.begin(step("one", "okta.suspend_user"), step("two", "okta.suspend_user"))
	first, second := w.plan.Actions[0], w.plan.Actions[1]
	nested := false
	w.log.Before = func(subject string) error {
		// Just before the first would close the case, the second closes it.
		if ledger.Entry(subject) == "lifecycle" && !nested {
			nested = true
			if out := w.runner().Run(t.Context(), second); out.Verdict != events.Done {
				t.Errorf("second: %+v", out)
			}
		}
		return nil
	}
	r := w.runner()
	if out := r.Run(t.Context(), second); out.Verdict != events.Done {
		t.Fatalf("%+v", out)
	}
	if out := r.Run(t.Context(), first); out.Verdict != events.Done {
		t.Fatalf("%+v", out)
	}
	if !nested || w.life().State != ledger.Closed {
		t.Errorf("nested %v, case %s", nested, w.life().State)
	}
	w.verify()
}
