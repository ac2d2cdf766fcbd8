package actions_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"keyturn/internal/apiclient"
	"keyturn/internal/events"
	"keyturn/internal/ledger"
)

const hour = events.Span(time.Hour)

// watched makes an action that is looked at again.
func watched(a events.Action, then events.Regressed, after ...events.Span) events.Action {
	a.Recheck, a.Regressed = after, then
	return a
}

// states lists what the ledger says about an action or, by "lifecycle", about the case.
func states(t *testing.T, w *world, entry string) string {
	t.Helper()
	if entry != "lifecycle" {
		entry = "c1:p:" + entry
	}
	var all []string
	err := w.ledger().Range(t.Context(), "ledger.c1."+entry, time.Time{}, func(r ledger.Record) error {
		all = append(all, string(r.State))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(all, " ")
}

func TestResidualsEndAfterAnotherLook(t *testing.T) {
	w := newWorld(t)
	w.sets["a"], w.ends["a"], w.ends["b"] = set("x"), 2*time.Hour, 24*time.Hour
	w.begin(step("a", "okta.suspend_user"), step("b", "okta.suspend_user"))
	began := w.now
	w.work()
	if life := w.life(); life.State != ledger.ClosedWithResidual || life.Reason != "tokens of a; tokens of b" {
		t.Fatalf("%s: %s", life.State, life.Reason)
	}
	w.fire()
	w.work()
	if life := w.life(); life.State != ledger.ClosedWithResidual || life.Reason != "tokens of b" {
		t.Fatalf("after the first end: %s: %s", life.State, life.Reason)
	}
	w.workOn()
	if life := w.life(); life.State != ledger.Closed || w.now.Sub(began) < 24*time.Hour || w.now.Sub(began) > 25*time.Hour {
		t.Errorf("%s after %s", life.State, w.now.Sub(began))
	}
	rec := w.last("b")
	if rec.State != ledger.Verified || len(rec.Evidence.Residual) != 0 || rec.Evidence.Looks.Made != 1 || len(rec.Evidence.Seen) == 0 ||
		rec.Tries != 1 || rec.Attempts != 1 {
		t.Errorf("%+v, evidence %+v", rec, rec.Evidence)
	}
	if got := states(t, w, "lifecycle"); got != "open closed_with_residual closed_with_residual closed" || len(w.deletes) != 1 {
		t.Errorf("%s, deleted %v", got, w.deletes)
	}
	w.verify()
}

func TestAResidualWithoutAnEndStays(t *testing.T) {
	w := newWorld(t)
	w.ends["suspend"] = time.Hour
	w.begin(step("clear", "okta.clear_sessions"), step("suspend", "okta.suspend_user"))
	w.workOn()
	if life := w.life(); life.State != ledger.ClosedWithResidual || life.Reason != "sessions that apps keep" || w.cleared != 1 {
		t.Errorf("%s: %s, cleared %d times", life.State, life.Reason, w.cleared)
	}
}

func TestARecheckProvesThatItHolds(t *testing.T) {
	w := newWorld(t)
	w.sets["suspend"] = set("x")
	w.begin(watched(step("suspend", "okta.suspend_user"), "", hour, 24*hour, 7*24*hour),
		watched(step("clear", "okta.clear_sessions"), "", hour))
	began := w.now
	w.workOn()
	rec := w.last("suspend")
	if rec.State != ledger.Verified || rec.Evidence.Looks.Made != 3 || rec.Proven().Sub(began) > time.Minute ||
		w.now.Sub(began) < 7*24*time.Hour || !strings.Contains(rec.Reason, "168h0m0s after the proof: it still holds") {
		t.Errorf("%s %q %+v after %s", rec.State, rec.Reason, rec.Evidence.Looks, w.now.Sub(began))
	}
	if n := w.observe["look clear"]; n != 2 || w.last("clear").Evidence.Looks != nil {
		t.Errorf("what nobody can read back was looked at %d times", n)
	}
	if len(w.deletes) != 1 || w.life().State != ledger.ClosedWithResidual {
		t.Errorf("deleted %v, case %s", w.deletes, w.life().State)
	}
	w.verify()
}

func TestWhatCameBackAlerts(t *testing.T) {
	w := newWorld(t)
	w.sets["suspend"] = set("x")
	w.begin(watched(step("suspend", "okta.suspend_user"), "", hour))
	var log bytes.Buffer
	w.wide = slog.New(slog.NewTextHandler(&log, nil))
	w.work()
	w.sets["suspend"]["x"] = true
	w.workOn()
	if n := strings.Count(log.String(), "alert="); n != 1 {
		t.Errorf("%d alerts: %s", n, &log)
	}
	rec, life := w.last("suspend"), w.life()
	if rec.State != ledger.Regressed || life.State != ledger.NeedsPerson || !w.sets["suspend"]["x"] || len(w.deletes) != 1 {
		t.Fatalf("%s, case %s, deleted %v", rec.State, life.State, w.deletes)
	}
	letter := w.dead["c1:p:suspend"]
	if letter.Cause != "regressed" || letter.Suggestion == "" || !strings.Contains(letter.Error, "delete x") || strings.Contains(string(letter.Original), "visit") {
		t.Errorf("%+v", letter)
	}
	// A person sends it again: it is taken away, and watched anew.
	if _, err := w.ledger().Append(t.Context(), rec, ledger.Record{Subject: rec.Subject, State: ledger.Redriven, Tries: rec.Tries}); err != nil {
		t.Fatal(err)
	}
	w.queue = []events.Action{w.plan.Actions[0]}
	w.workOn()
	if rec = w.last("suspend"); rec.State != ledger.Verified || w.life().State != ledger.Closed || len(w.dead) != 0 || rec.Evidence.Looks.Made != 1 {
		t.Errorf("%s, case %s, letters %v", rec.State, w.life().State, w.dead)
	}
	w.verify()
}

func TestWhatCameBackIsTakenAwayAgain(t *testing.T) {
	w := newWorld(t)
	w.sets["suspend"] = set("x")
	w.begin(watched(step("suspend", "okta.suspend_user"), events.Act, hour))
	w.work()
	w.sets["suspend"]["x"] = true
	w.workOn()
	if got := states(t, w, "suspend"); got != "started verified regressed started started verified verified" {
		t.Error(got)
	}
	if got := states(t, w, "lifecycle"); got != "open closed open closed" || w.sets["suspend"]["x"] || len(w.dead) != 0 {
		t.Errorf("%s, letters %v", got, w.dead)
	}
	w.verify()
}

// TestAStaleReadIsNoRegression: one look that shows it undone is followed by another.
func TestAStaleReadIsNoRegression(t *testing.T) {
	w := newWorld(t)
	w.begin(watched(step("suspend", "okta.suspend_user"), "", hour))
	w.work()
	w.sets["suspend"] = set("x")
	w.fire()
	r := w.runner()
	pause := r.Pause
	r.Pause = func(ctx context.Context, d time.Duration) error { w.sets["suspend"] = nil; return pause(ctx, d) }
	if out := r.Run(t.Context(), w.queue[0]); out.Verdict != events.Done || w.last("suspend").State != ledger.Verified {
		t.Errorf("%+v, %s", out, w.last("suspend").State)
	}
}

// TestWhatIsNotWatchedAnyMore: a newer event, or a person, ended the looks; the ends of residuals come all the same.
func TestWhatIsNotWatchedAnyMore(t *testing.T) {
	w := newWorld(t)
	w.sets["suspend"], w.ends["suspend"] = set("x"), 2*time.Hour
	w.begin(watched(step("suspend", "okta.suspend_user"), events.Act, hour, 24*hour))
	w.work()
	life := w.life()
	_, err := w.ledger().Append(t.Context(), life, ledger.Record{Subject: life.Subject, State: life.State, Reason: life.Reason,
		Body: []byte(`{"unwatched":"overtaken by user.rehired c2"}`)})
	if err != nil {
		t.Fatal(err)
	}
	w.sets["suspend"]["x"] = true // the access is rightly back
	looks := w.observe["look suspend"]
	w.workOn()
	rec := w.last("suspend")
	if rec.State != ledger.Verified || w.life().State != ledger.Closed || w.observe["look suspend"] != looks || len(w.deletes) != 1 ||
		!strings.Contains(rec.Reason, "not looked at again: overtaken by user.rehired c2") || rec.Evidence.Looks.Made != 0 {
		t.Errorf("%s %q, case %s, %d looks", rec.State, rec.Reason, w.life().State, w.observe["look suspend"]-looks)
	}
	if l, err := w.life().Life(); err != nil || l.Unwatched == "" {
		t.Error("it is forgotten that nobody looks any more")
	}
	w.verify()
}

func TestALookThatCannotBeMade(t *testing.T) {
	for _, tc := range []struct {
		name   string
		err    error
		faults int
		made   int
		life   ledger.State
	}{
		{"told to wait", &apiclient.Error{Status: 429, Cause: apiclient.Later, RetryAfter: time.Minute}, 5, 1, ledger.Closed},
		{"down for a while", transient("look"), 5, 1, ledger.Closed},
		{"down for days", transient("look"), 300, 0, ledger.ClosedWithResidual},
		{"not to be seen", &apiclient.Error{Status: 404, Cause: apiclient.Permanent}, 1, 0, ledger.ClosedWithResidual},
	} {
		w := newWorld(t)
		w.ends["suspend"] = time.Hour
		w.begin(step("suspend", "okta.suspend_user"))
		w.work()
		for range tc.faults {
			w.scripts["look suspend"] = append(w.scripts["look suspend"], tc.err)
		}
		w.workOn()
		rec := w.last("suspend")
		if rec.State != ledger.Verified || rec.Evidence.Looks.Made != tc.made || w.life().State != tc.life ||
			(tc.made == 0) != (rec.Evidence.Failure != nil) || rec.Attempts != 1 {
			t.Errorf("%s: %s %q %+v, case %s", tc.name, rec.State, rec.Reason, rec.Evidence.Looks, w.life().State)
		}
	}
}

// TestVisitsSurviveFaults strikes at every point, and at pairs of points, of a case that is looked at again, regresses
// and is brought about once more.
func TestVisitsSurviveFaults(t *testing.T) {
	run := func(faults map[int]mode) *world {
		w := newWorld(t)
		w.faults = faults
		w.sets["suspend"], w.ends["suspend"] = set("x"), 90*time.Minute
		w.begin(watched(step("suspend", "okta.suspend_user"), events.Act, hour, 3*hour))
		w.work()
		for n := 0; w.fire(); n++ {
			if n == 1 {
				w.sets["suspend"]["x"] = true
			}
			if n > 100 {
				t.Fatal("visits without end")
			}
			w.work()
		}
		return w
	}
	check := func(faults map[int]mode) {
		w := run(faults)
		w.verify()
		rec := w.last("suspend")
		if rec.State != ledger.Verified || rec.Evidence.Looks == nil || len(rec.Evidence.Residual) != 0 || w.life().State != ledger.Closed ||
			len(w.sets["suspend"]) != 0 && w.sets["suspend"]["x"] || len(w.dead) != 0 || rec.Evidence.Looks.Made < 1 {
			for p, m := range faults {
				t.Logf("fault %d at %d: %s", m, p, w.names[min(p, len(w.names))-1])
			}
			t.Fatalf("%s %q %+v, case %s: %s", rec.State, rec.Reason, rec.Evidence, w.life().State, w.life().Reason)
		}
	}
	modes := []mode{dieThere, powerCut, failThere}
	points := run(nil).points
	for i := 1; i <= points; i++ {
		for _, m := range modes {
			check(map[int]mode{i: m})
		}
		for j := i + 1; j <= points+12; j += 3 * stride {
			k := (i*31 + j) % 9
			check(map[int]mode{i: modes[k/3], j: modes[k%3]})
		}
	}
}

// TestAnOutageIsNoFailureOfALook: an outage of days, a budget that is spent, a refused credential and a lane that stands
// still leave a look to be made; only hours of being tried end it.
func TestAnOutageIsNoFailureOfALook(t *testing.T) {
	refused := &apiclient.Error{Op: "look", Status: 401, Cause: apiclient.Denied}
	full := &apiclient.Error{Op: "look", Status: 429, Cause: apiclient.Later, RetryAfter: time.Hour}
	for _, tc := range []struct {
		name string
		err  error
		away bool
	}{{"away", transient("look"), true}, {"refused", refused, false}, {"told to wait", full, false}, {"a few tries", transient("look"), false}} {
		w := newWorld(t)
		w.ends["suspend"] = time.Hour
		w.begin(step("suspend", "okta.suspend_user"))
		w.work()
		proven := w.last("suspend").Proven()
		w.fire()
		w.failing("suspend", 12, transient("look")) // before the lane knows
		w.tries(4)
		w.scripts["look suspend"], w.away = nil, tc.away
		w.failing("suspend", 60, tc.err)
		for range 8 {
			w.now = w.now.Add(20 * time.Hour) // behind the breaker, or paused
			w.tries(1)
		}
		w.scripts["look suspend"], w.away = nil, false
		w.workOn()
		rec := w.last("suspend")
		if rec.State != ledger.Verified || len(rec.Evidence.Residual) != 0 || rec.Evidence.Failure != nil || rec.Evidence.Looks.Made != 1 ||
			rec.Evidence.Looks.Failing != nil || w.life().State != ledger.Closed || !rec.Proven().Equal(proven) || rec.Attempts != 1 {
			t.Errorf("%s: %s %q %+v, case %s", tc.name, rec.State, rec.Reason, rec.Evidence, w.life().State)
		}
		w.verify()
	}
}

// TestALookThatIsLateIsTried: one that comes days after it was due, as after an outage, is not given up at its first fault.
func TestALookThatIsLateIsTried(t *testing.T) {
	w := newWorld(t)
	w.ends["suspend"] = time.Hour
	w.begin(step("suspend", "okta.suspend_user"))
	w.work()
	w.fire()
	w.now = w.now.Add(72 * time.Hour)
	w.failing("suspend", 5, transient("look"))
	w.workOn()
	if rec := w.last("suspend"); len(rec.Evidence.Residual) != 0 || w.life().State != ledger.Closed {
		t.Errorf("%q %+v, case %s", rec.Reason, rec.Evidence, w.life().State)
	}
}
