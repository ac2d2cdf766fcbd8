package actions_test

import (
	"testing"
	"time"

	"keyturn/internal/apiclient"
	"keyturn/internal/events"
	"keyturn/internal/ledger"
)

func TestToldToWaitIsNoAttempt(t *testing.T) {
	w := newWorld(t)
	w.begin(step("suspend", "okta.suspend_user"))
	for range 50 {
		w.scripts["look suspend"] = append(w.scripts["look suspend"],
			&apiclient.Error{Op: "look", Status: 429, Cause: apiclient.Later, RetryAfter: time.Hour})
	}
	out := w.deliver(w.queue[0])
	if out.Verdict != events.Retry || out.Delay < time.Hour || out.Delay > 75*time.Minute {
		t.Errorf("told to wait an hour: %+v", out)
	}
	w.work() // two days of being told to wait
	rec := w.last("suspend")
	if rec.State != ledger.Verified || rec.Attempts != 1 || rec.Tries != 51 {
		t.Errorf("%s after %d attempts, %d tries", rec.State, rec.Attempts, rec.Tries)
	}
}

func TestTransientGivesUpAfterADay(t *testing.T) {
	w := newWorld(t)
	w.begin(step("suspend", "okta.suspend_user"))
	began := w.now
	for range 2000 {
		w.scripts["look suspend"] = append(w.scripts["look suspend"], transient("look"))
	}
	var delays []time.Duration
	for w.last("suspend").State != ledger.Dead {
		out := w.deliver(w.queue[0])
		delays = append(delays, out.Delay)
		w.now = w.now.Add(out.Delay)
		if len(delays) > 2000 {
			t.Fatal("it never gave up")
		}
	}
	if took := w.now.Sub(began); took < 24*time.Hour || took > 25*time.Hour {
		t.Errorf("gave up after %v", took)
	}
	for i, d := range delays[:len(delays)-1] {
		if bound := min(2*time.Second<<min(i, 20), 10*time.Minute); d <= 0 || d > bound {
			t.Errorf("delay %d is %v, beyond %v", i, d, bound)
		}
	}
	d := w.dead["c1:p:suspend"]
	if d.Cause != "transient" || d.Status != 502 || d.Attempts != len(delays) || d.Suggestion == "" {
		t.Errorf("dead letter %+v after %d attempts", d, len(delays))
	}
}

func TestDeniedStopsNobody(t *testing.T) {
	w := newWorld(t)
	w.begin(step("suspend", "okta.suspend_user"))
	for range 3000 {
		w.scripts["look suspend"] = append(w.scripts["look suspend"], &apiclient.Error{Op: "look", Status: 401, Cause: apiclient.Denied})
	}
	for range 3000 { // more than a day of a bad key
		out := w.deliver(w.queue[0])
		if out.Verdict != events.Retry || out.Delay < 20*time.Second {
			t.Fatalf("denied: %+v", out)
		}
		w.now = w.now.Add(out.Delay)
	}
	rec := w.last("suspend")
	if rec.State != ledger.Waiting || rec.Attempts != 0 || len(w.denied) != 3000 || rec.Evidence.Failure.Suggestion == "" {
		t.Errorf("%s, %d attempts, told %d times, %+v", rec.State, rec.Attempts, len(w.denied), rec.Evidence.Failure)
	}
	w.scripts["look suspend"] = []error{transient("look")} // one bad moment after the long wait is not the end
	w.work()
	if rec := w.last("suspend"); rec.State != ledger.Verified {
		t.Errorf("after the key was renewed: %s", rec.State)
	}
}

func TestPermanentIsDeadAtOnce(t *testing.T) {
	w := newWorld(t)
	w.begin(step("suspend", "okta.suspend_user"))
	w.scripts["look suspend"] = []error{&apiclient.Error{
		Op: "okta.getUser", Status: 404, Code: "E0000007", Cause: apiclient.Permanent, RequestID: "req-1",
	}}
	w.work()
	f := w.last("suspend").Evidence.Failure
	if f.Cause != "permanent" || f.Op != "okta.getUser" || f.Status != 404 || f.Code != "E0000007" || f.RequestID != "req-1" || f.Suggestion == "" {
		t.Errorf("failure %+v", f)
	}
	if d := w.dead["c1:p:suspend"]; d.Status != 404 || d.RequestID != "req-1" || d.Attempts != 1 {
		t.Errorf("dead letter %+v", d)
	}
	if w.life().State != ledger.NeedsPerson {
		t.Errorf("case is %s", w.life().State)
	}
}

func TestAlreadyDoneIsLookedAt(t *testing.T) {
	w := newWorld(t)
	w.sets["suspend"] = set("a")
	w.effects["delete a"] = true
	w.scripts["delete a"] = []error{&apiclient.Error{Op: "delete a", Status: 404, Cause: apiclient.AlreadyDone}}
	w.begin(step("suspend", "okta.suspend_user"))
	w.work()
	rec := w.last("suspend")
	if rec.State != ledger.Verified || len(rec.Evidence.Applied) != 0 || w.observe["look suspend"] != 2 {
		t.Errorf("%s, applied %v, looked %d times", rec.State, rec.Evidence.Applied, w.observe["look suspend"])
	}
}
