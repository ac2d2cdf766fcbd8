package planner_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
)

// wantLate checks that the case says once that its time is nearly over, and once, if missed, that it is over.
func (w *world) wantLate(caseID string, missed bool) {
	w.t.Helper()
	var near, over int
	var last ledger.Life
	err := w.ledger().Range(w.t.Context(), ledger.LifecycleSubject(caseID), time.Time{}, func(r ledger.Record) error {
		life, err := r.Life()
		if r.Says(life.Late) && life.Late.Missed {
			over++
		} else if r.Says(life.Late) {
			near++
		}
		last = life
		return err
	})
	want := map[bool]int{true: 1}[missed]
	if err != nil || near > 1 || over != want || (last.Late == nil) != (near+over == 0) || last.Late != nil && last.Late.Missed != missed {
		w.t.Errorf("late: %d near, %d over, want %d over: %+v, %v", near, over, want, last.Late, err)
	}
}

// lateScenarios are those of a case that is not verified in its time.
func lateScenarios() []scenario {
	return []scenario{
		{"not done in time", func(w *world) {
			w.rules.sla = events.Span(time.Hour)
			e := w.happening("user.terminated", "1", "maria", w.clock, time.Time{})
			w.send(e)
			w.plan()
			w.advance(e.Time.Add(50 * time.Minute).Sub(w.clock))
			w.plan()
			w.wantLate(e.Case(), false)
			w.advance(e.Time.Add(61 * time.Minute).Sub(w.clock))
			w.plan()
			w.wantLate(e.Case(), true)
			w.settle()
			w.want("termination", e.Case(), planned, closed)
			w.wantDone(both(e.Case())...)
			w.wantRest()
		}},
		{"held for longer than its time", func(w *world) {
			w.rules.sla = events.Span(time.Hour)
			w.rules.approvers = 1
			e := w.happening("user.terminated", "1", "maria", w.clock, time.Time{})
			w.send(e)
			w.plan()
			w.advance(e.Time.Add(50 * time.Minute).Sub(w.clock))
			w.plan()
			w.want("termination", e.Case(), ledger.Held, needs)
			w.wantLate(e.Case(), false)
			w.advance(e.Time.Add(2 * time.Hour).Sub(w.clock))
			w.plan()
			w.wantLate(e.Case(), true)
			w.send(w.command("a1", events.Approve, e.Case(), "ann"))
			w.settle()
			w.wantLate(e.Case(), true)
			w.want("termination", e.Case(), planned, closed)
			w.wantDone(both(e.Case())...)
			w.wantRest()
		}},
		{"goes on by itself when its time is over too", func(w *world) {
			w.rules.sla = events.Span(time.Hour)
			w.rules.approvers, w.rules.expires, w.rules.proceed = 1, 90*time.Minute, true
			e := w.happening("user.terminated", "1", "maria", w.clock, time.Time{})
			w.send(e)
			w.plan()
			w.want("termination", e.Case(), ledger.Held, needs)
			w.advance(e.Time.Add(2 * time.Hour).Sub(w.clock)) // nobody works until then: what comes back first does all looks
			w.plan()
			w.wantLate(e.Case(), true)
			w.settle()
			w.want("termination", e.Case(), planned, closed)
			w.wantDone(both(e.Case())...)
			w.wantRest()
		}},
	}
}

// TestTheEndOfAHoldAndTheClock: both bring a held plan back, and neither takes the other's place in the timetable.
func TestTheEndOfAHoldAndTheClock(t *testing.T) {
	for _, expires := range []time.Duration{30 * time.Minute, 55 * time.Minute, 3 * time.Hour} {
		w := newWorld(t)
		w.rules.sla, w.rules.approvers, w.rules.expires = events.Span(time.Hour), 1, expires
		e := w.happening("user.terminated", "1", "maria", w.clock, time.Time{})
		w.send(e)
		w.plan()
		for range 48 {
			w.advance(5 * time.Minute)
			w.settle()
		}
		w.want("nobody approved it", e.Case(), cancelled, closed)
		life, err := w.last(ledger.LifecycleSubject(e.Case())).Life()
		switch told := life.Late; {
		case err != nil:
			t.Error(err)
		case expires < 48*time.Minute && told != nil, expires > 48*time.Minute && (told == nil || told.Missed != (expires > time.Hour)):
			t.Errorf("held for %s: %+v", expires, told)
		}
		w.wantRest()
	}
}

// TestWhatIsDoneTooLateIsToldThough: the case closes before its clock can be looked at.
func TestWhatIsDoneTooLateIsToldThough(t *testing.T) {
	for _, after := range []time.Duration{59 * time.Minute, 61 * time.Minute} {
		w := newWorld(t)
		w.rules.sla = events.Span(time.Hour)
		e := w.happening("user.terminated", "1", "maria", w.clock, time.Time{})
		w.send(e)
		w.plan()
		w.clock = e.Time.Add(after)
		for w.work() { // the planner is away
		}
		w.want("termination", e.Case(), planned, closed)
		w.clock = e.Time.Add(2 * time.Hour)
		w.settle()
		w.wantLate(e.Case(), after > time.Hour)
		w.want("termination", e.Case(), planned, closed)
		w.wantRest()
	}
}

func TestACaseThatIsVerifiedInTimeIsNotLate(t *testing.T) {
	w := newWorld(t)
	w.rules.sla = events.Span(time.Hour)
	e := w.happening("user.terminated", "1", "maria", w.clock, time.Time{})
	w.send(e)
	w.settle()
	w.advance(2 * time.Hour)
	w.settle()
	w.want("termination", e.Case(), planned, closed)
	life, err := w.last(ledger.LifecycleSubject(e.Case())).Life()
	if err != nil || life.Late != nil {
		t.Errorf("%+v, %v", life.Late, err)
	}
	w.wantRest()
}

func TestTheClockCountsFromTheEffectiveTimeAndAlerts(t *testing.T) {
	w := newWorld(t)
	w.rules.sla = events.Span(time.Hour)
	at := w.clock.Add(24 * time.Hour)
	e := w.happening("user.terminated", "1", "maria", w.clock, at)
	w.send(e)
	w.settle()
	w.advance(at.Sub(w.clock))
	w.plan() // no lane works
	w.want("termination", e.Case(), planned, ledger.Open)
	if got := w.now.scheduled[e.Case()].EffectiveAt; !got.Equal(at.Add(48 * time.Minute)) {
		t.Errorf("the clock rings at %s", got)
	}
	var b bytes.Buffer
	told := map[bool]int{}
	for _, after := range []time.Duration{48 * time.Minute, time.Hour} {
		w.advance(at.Add(after).Sub(w.clock))
		p := w.planner()
		p.Log = slog.New(slog.NewTextHandler(&b, nil))
		p.Late = func(_ events.Class, missed bool) { told[missed]++ }
		m := w.inbox[0]
		for range 2 { // as after a lost acknowledgement
			if out := p.Due(t.Context(), m.event, m.stored); out.Verdict != events.Done {
				t.Fatal(out)
			}
		}
		w.inbox = w.inbox[1:]
	}
	if told[false] != 1 || told[true] != 1 || strings.Count(b.String(), "alert=") != 2 || !strings.Contains(b.String(), "its time of 1h0m0s is over") {
		t.Errorf("told %v\n%s", told, b.String())
	}
	w.settle()
	w.wantLate(e.Case(), true)
	w.want("termination", e.Case(), planned, closed)
}

// TestTheCasesClockBehindTheBrokers: what the broker gives back as due is due, also to a worker whose clock is behind it:
// asked for the same time again, it would give it back at once.
func TestTheCasesClockBehindTheBrokers(t *testing.T) {
	w := newWorld(t)
	w.armed = false
	w.rules.sla = events.Span(time.Hour)
	e := w.happening("user.terminated", "1", "maria", w.clock, time.Time{})
	p := w.planner()
	p.Now = func() time.Time { return w.clock.Add(-10 * time.Minute) }
	if out := p.Event(t.Context(), w.overWire(e), w.clock); out.Verdict != events.Done {
		t.Fatal(out)
	}
	for _, after := range []time.Duration{48 * time.Minute, time.Hour} {
		due := w.now.scheduled[e.Case()]
		if want := e.Time.Add(after); !due.EffectiveAt.Equal(want) {
			t.Fatalf("comes at %s, want %s", due.EffectiveAt, want)
		}
		w.clock = due.EffectiveAt
		delete(w.now.scheduled, e.Case())
		for range 2 { // as after a lost acknowledgement
			if out := p.Due(t.Context(), due, w.clock); out.Verdict != events.Done {
				t.Fatal(out)
			}
		}
		w.wantLate(e.Case(), after == time.Hour)
	}
	if len(w.now.scheduled) > 0 {
		t.Errorf("comes again: %v", w.now.scheduled)
	}
}

// TestTheCasesClockIsKnownByItsTime: wound when its time has passed at the broker and not here, it comes back as what it is,
// and not as an event whose plan is to be sent once more.
func TestTheCasesClockIsKnownByItsTime(t *testing.T) {
	w := newWorld(t)
	w.armed = false
	w.rules.sla = events.Span(time.Hour)
	at := w.clock.Add(24 * time.Hour)
	e := w.happening("user.terminated", "1", "maria", w.clock, at)
	w.send(e)
	w.plan()
	w.clock = at.Add(50 * time.Minute)
	p := w.planner()
	p.Come = func() time.Time { return w.clock.Add(-10 * time.Minute) }
	if out := p.Due(t.Context(), w.now.scheduled[e.Case()], w.clock); out.Verdict != events.Done {
		t.Fatal(out)
	}
	w.want("termination", e.Case(), planned, ledger.Open)
	if got := w.now.scheduled[e.Case()].EffectiveAt; !got.Equal(at.Add(48 * time.Minute)) {
		t.Errorf("the clock rings at %s", got)
	}
}
