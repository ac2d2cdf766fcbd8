package actions_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"keyturn/internal/actions"
	"keyturn/internal/apiclient"
	"keyturn/internal/events"
	"keyturn/internal/ledger"
)

func transient(op string) error { return &apiclient.Error{Op: op, Status: 502} }

func set(items ...string) map[string]bool {
	m := map[string]bool{}
	for _, i := range items {
		m[i] = true
	}
	return m
}

func TestRunContradicted(t *testing.T) {
	w := newWorld(t)
	w.sets["suspend"] = set("a")
	w.begin(step("suspend", "okta.suspend_user"))
	w.scripts["delete a"] = nil
	runner := w.runner()
	runner.Build = func(a events.Action, pins map[string]string) (actions.Kind, error) {
		return observer(func() (actions.Observation, error) {
			return actions.Observation{Needed: []actions.Change{{Call: "delete", Target: "a",
				Apply: func(context.Context) (string, error) { w.deletes = append(w.deletes, "a"); return "", nil }}}}, nil
		}), nil
	}
	out := runner.Run(t.Context(), w.plan.Actions[0])
	rec := w.last("suspend")
	if out.Verdict != events.Done || rec.State != ledger.Contested || len(w.deletes) != 5 {
		t.Errorf("%+v, %s after %d deletes, want contested after 5", out, rec.State, len(w.deletes))
	}
	if d := w.dead["c1:p:suspend"]; d.Cause != "contested" || d.Suggestion == "" || d.Principal != "user:maria@acme.example" || d.Source != "hr-relay" {
		t.Errorf("dead letter %+v", d)
	}
	if life := w.life(); life.State != ledger.NeedsPerson {
		t.Errorf("case is %s", life.State)
	}
}

type observer func() (actions.Observation, error)

func (o observer) Observe(context.Context) (actions.Observation, error) { return o() }

func TestStaleReadIsNoSecondCreate(t *testing.T) {
	for _, stale := range []time.Duration{0, time.Second, 9 * time.Second, time.Hour} {
		w := newWorld(t)
		w.stale = stale
		w.begin(step("onboard", "transmit.ensure_client"))
		w.work()
		want := ledger.Verified
		if stale == time.Hour {
			want = ledger.Contested
		}
		if rec := w.last("onboard"); rec.State != want || len(w.created) != 1 {
			t.Errorf("stale for %v: %s with %d clients", stale, rec.State, len(w.created))
		}
	}
}

// TestCreateOfUnknownOutcome: a create that timed out, with or without effect, is repeated only after two looks.
func TestCreateOfUnknownOutcome(t *testing.T) {
	for _, effect := range []bool{false, true} {
		for _, stale := range []time.Duration{0, 4 * time.Second} {
			w := newWorld(t)
			w.stale, w.effects["create"] = stale, effect
			w.scripts["create"] = []error{&apiclient.Error{Op: "create", Err: context.DeadlineExceeded}}
			w.begin(step("onboard", "transmit.ensure_client"))
			began := w.now
			w.work()
			if rec := w.last("onboard"); rec.State != ledger.Verified || len(w.created) != 1 || rec.Tries != 2 {
				t.Errorf("effect %v, stale %v: %s with %d clients after %d tries", effect, stale, rec.State, len(w.created), rec.Tries)
			}
			if took := w.now.Sub(began); !effect && took < 8*time.Second {
				t.Errorf("repeated after %v, before the first call could be over and a second look", took)
			}
		}
	}
}

func TestCreateThatWasRefusedIsNotUnknown(t *testing.T) {
	w := newWorld(t)
	w.scripts["create"] = []error{&apiclient.Error{Op: "create", Status: 429, Cause: apiclient.Later, RetryAfter: time.Second}}
	w.begin(step("onboard", "transmit.ensure_client"))
	w.deliver(w.queue[0])
	if rec := w.last("onboard"); rec.State != ledger.Waiting || rec.Evidence.Pending != "" || rec.Attempts != 0 {
		t.Errorf("after a 429: %+v %+v", rec, rec.Evidence)
	}
	w.work()
	if len(w.created) != 1 {
		t.Errorf("%d clients", len(w.created))
	}
}

// TestOldHolderInMidCall: a worker that lost its lease is still creating when the new one starts.
func TestOldHolderInMidCall(t *testing.T) {
	w := newWorld(t)
	w.begin(step("onboard", "transmit.ensure_client"))
	a := w.queue[0]
	old, taken := w.runner(), false
	old.Build = func(events.Action, map[string]string) (actions.Kind, error) {
		return observer(func() (actions.Observation, error) {
			return actions.Observation{Needed: []actions.Change{{Call: "create", Target: "onboard", Once: true,
				Apply: func(context.Context) (string, error) {
					if !taken {
						taken = true
						w.epoch++
						newer := w.runner()
						newer.Pause = func(_ context.Context, d time.Duration) error {
							w.now = w.now.Add(d)
							if len(w.created) == 0 {
								w.created = append(w.created, w.now) // the old holder's call lands now
							}
							return nil
						}
						if out := newer.Run(t.Context(), a); out.Verdict != events.Done {
							t.Errorf("the new holder: %+v", out)
						}
					}
					return "late", nil
				}}}}, nil
		}), nil
	}
	out := old.Run(t.Context(), a)
	if out.Verdict != events.Retry || !errors.Is(out.Err, ledger.ErrConflict) || out.Delay != 5*time.Second {
		t.Errorf("the old holder: %+v", out)
	}
	if len(w.created) != 1 || w.last("onboard").State != ledger.Verified {
		t.Errorf("%d clients, %s", len(w.created), w.last("onboard").State)
	}
	w.verify()
	if out := old.Run(t.Context(), a); out.Verdict != events.Done {
		t.Errorf("looking again: %+v", out)
	}
}

func TestNewerLeaseIsLeftAlone(t *testing.T) {
	w := newWorld(t)
	w.sets["suspend"] = set("a")
	w.begin(step("suspend", "okta.suspend_user"))
	_, err := w.ledger().Append(t.Context(), ledger.Record{}, ledger.Record{
		Subject: ledger.ActionSubject("c1", "c1:p:suspend"), State: ledger.Started, Attempt: "other", Epoch: 7,
	})
	if err != nil {
		t.Fatal(err)
	}
	if out := w.deliver(w.queue[0]); out.Verdict != events.Retry || out.Delay != 5*time.Second || len(w.deletes) != 0 {
		t.Errorf("with a newer lease at work: %+v, deletes %v", out, w.deletes)
	}
	w.now = w.now.Add(time.Hour) // the lease bucket was lost; its epochs began anew
	if out := w.deliver(w.queue[0]); out.Verdict != events.Done || w.last("suspend").State != ledger.Verified {
		t.Errorf("an hour later: %+v", out)
	}
}

func TestLostContextAbandons(t *testing.T) {
	w := newWorld(t)
	w.sets["suspend"] = set("a")
	w.begin(step("suspend", "okta.suspend_user"))
	ctx, cancel := context.WithCancelCause(t.Context())
	lost := errors.New("lease lost")
	r := w.runner()
	r.Build = func(events.Action, map[string]string) (actions.Kind, error) {
		return observer(func() (actions.Observation, error) {
			cancel(lost)
			return actions.Observation{}, &apiclient.Error{Op: "look", Err: context.Canceled}
		}), nil
	}
	out := r.Run(ctx, w.queue[0])
	if out.Verdict != events.Abandon || !errors.Is(out.Err, lost) || w.last("suspend").State != "" {
		t.Errorf("after losing the lease: %+v, %s", out, w.last("suspend").State)
	}
}

func TestOneStubbornChangeShieldsNoOther(t *testing.T) {
	w := newWorld(t)
	w.sets["suspend"] = set("a", "b", "c")
	w.scripts["delete a"] = []error{&apiclient.Error{Op: "delete a", Status: 400, Cause: apiclient.Permanent}}
	w.scripts["delete b"] = []error{transient("delete b")}
	w.begin(step("suspend", "okta.suspend_user"))
	w.deliver(w.queue[0])
	rec := w.last("suspend")
	if rec.State != ledger.Waiting || rec.Evidence.Failure.Op != "delete b" || fmt.Sprint(w.deletes) != "[c]" {
		t.Errorf("%s, failure %+v, deleted %v", rec.State, rec.Evidence.Failure, w.deletes)
	}
	w.scripts["delete a"] = []error{&apiclient.Error{Op: "delete a", Status: 400, Cause: apiclient.Permanent}}
	w.work()
	rec = w.last("suspend")
	if rec.State != ledger.Dead || rec.Evidence.Failure.Status != 400 || fmt.Sprint(w.deletes) != "[c b]" || len(rec.Evidence.Applied) != 2 {
		t.Errorf("%s, failure %+v, deleted %v", rec.State, rec.Evidence.Failure, w.deletes)
	}
}

func TestPinsAreForEver(t *testing.T) {
	w := newWorld(t)
	w.begin(step("suspend", "okta.suspend_user"))
	who := "u1"
	r := w.runner()
	var given []map[string]string
	r.Build = func(_ events.Action, pins map[string]string) (actions.Kind, error) {
		given = append(given, pins)
		return observer(func() (actions.Observation, error) {
			return actions.Observation{Pins: map[string]string{"user": who}, Needed: []actions.Change{{Call: "delete", Target: who,
				Apply: func(context.Context) (string, error) { return "", transient("delete") }}}}, nil
		}), nil
	}
	r.Run(t.Context(), w.queue[0])
	who = "u2" // the login was given to someone else meanwhile
	out := r.Run(t.Context(), w.queue[0])
	rec := w.last("suspend")
	if rec.State != ledger.Dead || out.Verdict != events.Done || !strings.Contains(rec.Reason, "u1") || given[1]["user"] != "u1" {
		t.Errorf("%s %q, pins given %v", rec.State, rec.Reason, given)
	}
}

func TestBuildFaultIsDead(t *testing.T) {
	w := newWorld(t)
	w.begin(step("odd", "okta.no_such_thing"))
	w.work()
	rec := w.last("odd")
	if rec.State != ledger.Dead || rec.Evidence.Failure.Cause != "permanent" || rec.Evidence.Failure.Suggestion == "" {
		t.Errorf("%s %+v", rec.State, rec.Evidence.Failure)
	}
	if d := w.dead["c1:p:odd"]; d.Kind != events.DeadAction || len(d.Original) == 0 || d.Do != "okta.no_such_thing" {
		t.Errorf("dead letter %+v", d)
	}
}
