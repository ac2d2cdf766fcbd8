package actions_test

import (
	"slices"
	"testing"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
)

// flow is a plan and how it must end.
type flow struct {
	name  string
	steps []events.Action
	ends  map[string]ledger.State // by step
	sets  map[string][]string     // items that the steps delete, by step
	life  ledger.State
}

// flows: an idempotent kind, a blind one after it, a create, and one that destroys at the end; and its parts.
func flows() []flow {
	suspend, clear := step("suspend", "okta.suspend_user"), step("clear", "okta.clear_sessions", "suspend")
	onboard, deactivate := step("onboard", "transmit.ensure_client"), step("deactivate", "okta.deactivate_user", "clear")
	return []flow{
		{
			"create", []events.Action{onboard}, map[string]ledger.State{"onboard": ledger.Verified}, nil, ledger.Closed,
		},
		{
			"revoke", []events.Action{suspend, clear},
			map[string]ledger.State{"suspend": ledger.Verified, "clear": ledger.Applied},
			map[string][]string{"suspend": {"a", "b"}}, ledger.ClosedWithResidual,
		},
		{
			"all", []events.Action{suspend, clear, onboard, deactivate},
			map[string]ledger.State{
				"suspend": ledger.Verified, "clear": ledger.Applied, "onboard": ledger.Verified, "deactivate": ledger.Verified,
			},
			map[string][]string{"suspend": {"a", "b"}, "deactivate": {"z"}}, ledger.ClosedWithResidual,
		},
	}
}

// begin starts the flow in a world.
func (f flow) begin(w *world) {
	for name, items := range f.sets {
		w.sets[name] = set(items...)
	}
	w.begin(f.steps...)
}

// check checks the end of the flow: every effect, each create and delete once, evidence complete, case closed.
func (f flow) check(t *testing.T, w *world) {
	t.Helper()
	w.verify()
	for name, state := range f.ends {
		rec := w.last(name)
		if rec.State != state || rec.Evidence == nil || len(rec.Evidence.Seen) == 0 || len(rec.Evidence.Pins) == 0 ||
			rec.Evidence.Pending != "" || len(rec.Evidence.Needed) != 0 || rec.Evidence.Failure != nil || rec.Attempts == 0 {
			t.Errorf("%s ended as %s: %+v", name, rec.State, rec.Evidence)
		}
	}
	for name, items := range f.sets {
		for _, item := range items {
			if n := count(w.deletes, item); n != 1 || w.sets[name][item] {
				t.Errorf("%s was deleted %d times", item, n)
			}
		}
	}
	if _, creates := f.ends["onboard"]; creates && (len(w.created) != 1 || !w.stored) {
		t.Errorf("created %d clients, secret stored %v", len(w.created), w.stored)
	}
	if _, clears := f.ends["clear"]; clears && w.cleared == 0 {
		t.Error("no session was cleared")
	}
	if life := w.life(); life.State != f.life || len(w.dead) != 0 {
		t.Errorf("the case is %s: %s; dead letters %v", life.State, life.Reason, w.dead)
	}
	f.noted(t, w)
}

// noted checks that the ledger accounts for each change of the flow.
func (f flow) noted(t *testing.T, w *world) {
	t.Helper()
	if _, ok := f.ends["onboard"]; ok {
		noted(t, w, "onboard", "create onboard")
	}
	for _, m := range w.faults {
		if m == powerCut {
			return // an intention to make an idempotent change has no barrier: it may be lost with what followed it
		}
	}
	for name, items := range f.sets {
		for _, item := range items {
			noted(t, w, name, "delete "+item)
		}
	}
	if _, ok := f.ends["onboard"]; ok {
		noted(t, w, "onboard", "store cl1")
	}
	if _, ok := f.ends["clear"]; ok {
		noted(t, w, "clear", "clear u1")
	}
}

func count(list []string, s string) int {
	n := 0
	for _, v := range list {
		if v == s {
			n++
		}
	}
	return n
}

// noted checks that the terminal record accounts for each change: with its request id, or as one whose reply nobody
// recorded.
func noted(t *testing.T, w *world, step string, changes ...string) {
	t.Helper()
	ev := w.last(step).Evidence
	for _, c := range changes {
		applied := slices.ContainsFunc(ev.Applied, func(e ledger.Effect) bool { return e.Call+" "+e.Target == c })
		intended := false
		_ = w.ledger().Range(t.Context(), ledger.ActionSubject("c1", "c1:p:"+step), time.Time{}, func(r ledger.Record) error {
			intended = intended || r.Evidence != nil && slices.Contains(r.Evidence.Needed, c)
			return nil
		})
		if !intended || !applied {
			t.Errorf("%s: %q intended %v, applied %v: %+v", step, c, intended, applied, ev)
		}
	}
}

func TestRunEndsProven(t *testing.T) {
	f := flows()[2]
	w := newWorld(t)
	f.begin(w)
	if n := w.work(); n != 4 {
		t.Errorf("%d deliveries, want 4", n)
	}
	f.check(t, w)
	rec := w.last("suspend")
	if rec.Tries != 1 || rec.Attempts != 1 || rec.Evidence.Pins["user"] != "u-suspend" || rec.Evidence.Applied[0].RequestID != "req-a" {
		t.Errorf("record %+v, evidence %+v", rec, rec.Evidence)
	}
	if w.cleared != 1 || w.barriers != 1 {
		t.Errorf("cleared %d times with %d barriers before creates", w.cleared, w.barriers)
	}
}

// strike runs a flow with faults.
func (f flow) strike(t *testing.T, faults map[int]mode) {
	t.Helper()
	w := newWorld(t)
	w.faults = faults
	f.begin(w)
	w.work()
	f.check(t, w)
	if t.Failed() {
		for p, m := range faults {
			t.Logf("fault %d at %d: %s", m, p, w.names[min(p, len(w.names))-1])
		}
		t.FailNow()
	}
}

// TestRunSurvivesFaults strikes at every point with a death, a power cut and an error, and in the shorter flows at
// every pair of points.
func TestRunSurvivesFaults(t *testing.T) {
	modes := []mode{dieThere, powerCut, failThere}
	for _, f := range flows() {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			dry := newWorld(t)
			f.begin(dry)
			dry.work()
			for i := 1; i <= dry.points; i++ {
				for _, m := range modes {
					f.strike(t, map[int]mode{i: m})
				}
			}
			if f.name == "all" {
				return
			}
			for i := 1; i <= dry.points; i++ {
				for j := i + 1; j <= dry.points+12; j += stride { // the second may strike in the repair of the first
					k := (i*31 + j) % 9 // the modes take turns
					f.strike(t, map[int]mode{i: modes[k/3], j: modes[k%3]})
				}
			}
		})
	}
}
