package worker

import (
	"testing"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/planner"
	"keyturn/internal/sandbox"
)

const clockRules = `playbooks:
  - name: offboard
    on: [user.terminated]
    actions: [{step: suspend, do: okta.suspend_user, at: okta-prod, with: {user: "${{ event.data.user }}"}}]
guards:
  brake: [{on: [user.terminated], sources: [hr-relay], max: 1, per: 1h, then: hold}]
  approve: [{on: [user.terminated], when: "event.source == '/hr/board'", approvers: 1, expires: 1h, then: proceed}]
`

// TestWorkersWhoseClocksAreADayOff: they end nobody's access before the day, let no more pass a brake than one whose clock is
// right left over, grant the time in which a plan can be denied, and obey a pause for as long as it holds.
func TestWorkersWhoseClocksAreADayOff(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	if err := s.tool.CreateTopology(t.Context()); err != nil {
		t.Fatal(err)
	}
	set := readRules(t, clockRules)
	stop := s.work("right", nil, nil, func(w *Worker) { w.set.Store(set) })
	s.decides(leaves(t, "1", `{"email":"p1@acme.example"}`), ledger.Planned)
	stop()
	for name, off := range map[string]time.Duration{"ahead": 24 * time.Hour, "behind": -24 * time.Hour} {
		s.off = off
		var wrong *Worker
		stop := s.work(name, nil, nil, func(w *Worker) { w.set.Store(set); wrong = w })
		now := time.Now().UTC()
		later := leaves(t, "later "+name, `{"email":"later-`+name+`@acme.example"}`)
		later.EffectiveAt = now.Add(time.Hour)
		s.decides(later, ledger.Scheduled)
		s.decides(leaves(t, "second "+name, `{"email":"second-`+name+`@acme.example"}`), ledger.Held)
		board := leaves(t, "board "+name, `{"email":"board-`+name+`@acme.example"}`)
		board.Source, board.Scope = "/hr/board", "board"
		d, err := planner.Decode(s.decides(board, ledger.Held))
		if err != nil || d.Hold.Until.Sub(now.Add(time.Hour)).Abs() > time.Minute {
			t.Errorf("%s: held until %s, %v", name, d.Hold.Until, err)
		}
		// What the machine of an operator says of the time makes no command the last word.
		for _, c := range []events.Command{
			{Verb: events.Pause, Actor: "ann@desk", Time: now.Add(48 * time.Hour), Until: now.Add(-10 * time.Minute), Lasts: 10 * time.Minute},
			{Verb: events.Resume, Actor: "ben@desk", Time: now},
		} {
			c.ID, c.Target, c.Reason = string(c.Verb)+name, planner.PauseAll, "Okta is being moved"
			if err := s.tool.PublishCommand(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			s.until(name+": "+string(c.Verb), func() bool {
				p, err := wrong.paused(t.Context(), events.Action{ID: "x", Case: "x", Connection: "okta-prod"})
				return err == nil && (p.Lane != "") == (c.Verb == events.Pause)
			})
		}
		stop()
	}
}

// decides sends an event, and gives the plan that is made of it.
func (s *site) decides(e events.Event, want ledger.State) (rec ledger.Record) {
	s.t.Helper()
	if err := s.tool.PublishEvents(s.t.Context(), []events.Event{e}); err != nil {
		s.t.Fatal(err)
	}
	records := ledger.New(s.tool.Log(), nil)
	s.until("a plan of "+e.ID, func() bool {
		var err error
		rec, err = records.Last(s.t.Context(), ledger.PlanSubject(e.Case()))
		return err == nil && rec.Seq > 0
	})
	if rec.State != want || time.Since(rec.Time).Abs() > time.Minute {
		s.t.Errorf("%s: %s at %s, want %s", e.ID, rec.State, rec.Time, want)
	}
	return rec
}
