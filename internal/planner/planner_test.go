package planner_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/planner"
	"keyturn/internal/playbook"
	"keyturn/internal/stream"
)

// receipt reads what a command came to.
func (w *world) receipt(id string) planner.Receipt {
	w.t.Helper()
	var r planner.Receipt
	if err := json.Unmarshal(w.last(ledger.PersonSubject(planner.Receipts, id)).Body, &r); err != nil {
		w.t.Fatalf("receipt %s: %v", id, err)
	}
	return r
}

func TestEveryCommandLeavesAReceipt(t *testing.T) {
	w := newWorld(t)
	w.rules.approvers = 2
	held := w.happening("user.terminated", "1", "maria", w.clock, time.Time{})
	w.send(held)
	w.settle()
	w.rules.approvers = 0
	open := w.happening("user.terminated", "2", "peter", w.clock, time.Time{})
	w.send(open)
	w.settle()
	w.send(events.Fault{ID: "f1", Source: "hr-relay", Error: "no such member", Time: w.clock})
	w.settle()
	tests := []struct {
		id, actor string
		verb      events.Verb
		target    string
		want      string // what the receipt begins with
	}{
		{"a1", "ann", events.Approve, "nobody", "no case of that id"},
		{"a2", "ann", events.Approve, "not a. token", "nothing has such an id"},
		{"a3", "ann", events.Approve, open.Case(), "the case is planned, not held"},
		{"a4", "", events.Approve, held.Case(), "an approval needs a name"},
		{"a5", "ann", events.Approve, held.Case(), "approved 1 of 2 times"},
		{"a6", "ann", events.Approve, held.Case(), "ann has approved it already"},
		{"a7", "bob", events.Approve, held.Case(), "approved"},
		{"d1", "ann", events.Deny, open.Case(), "the case is planned, not held"},
		{"x1", "ann", events.Cancel, held.Case(), "what had not begun is cancelled"},
		{"r1", "ann", events.RedriveVerb, action(open.Case(), "suspend"), "the action is verified, not dead"},
		{"r2", "ann", events.RedriveVerb, "nobody:offboard:suspend", "no such action"},
		{"r3", "ann", events.RedriveVerb, "nobody", "no dead letter"},
		{"r4", "ann", events.RedriveVerb, "f1", "no worker here can map"},
		{"p1", "ann", events.Drop, action(open.Case(), "nothing"), "no such action"},
		{"p2", "ann", events.Drop, action(open.Case(), "suspend"), "the action is verified, not dead"},
		{"p3", "ann", events.Drop, "nobody", "no dead letter"},
		{"p4", "ann", events.Drop, "f1", "dropped"},
		{"z1", "ann", "juggle", open.Case(), `"juggle" is no command`},
	}
	for _, tt := range tests {
		c := w.command(tt.id, tt.verb, tt.target, tt.actor)
		w.send(c, c)
		w.settle()
		got := w.receipt(tt.id)
		if !strings.HasPrefix(got.Outcome, tt.want) || got.Command.Reason != "because" {
			t.Errorf("%s %s: %+v, want %q", tt.verb, tt.target, got, tt.want)
		}
	}
	w.wantDone(slices.Concat(both(held.Case()), both(open.Case()))...)
	w.wantRest()
	odd := w.command("has a.dot", events.Drop, "nobody", "ann")
	w.send(odd, odd)
	w.settle()
	var n int
	if err := w.ledger().Range(context.Background(), ledger.PersonFilter(planner.Receipts), time.Time{}, func(ledger.Record) error {
		n++
		return nil
	}); err != nil || n != len(tests)+1 {
		t.Errorf("%d receipts, want %d (%v)", n, len(tests)+1, err)
	}
}

func TestHoldSaysWhoDecidedAndWhy(t *testing.T) {
	w := newWorld(t)
	w.rules.approvers = 2
	e := w.happening("user.terminated", "1", "maria", w.clock, time.Time{})
	w.send(e)
	w.settle()
	w.send(w.command("c1", events.Approve, e.Case(), "ann"), w.command("c2", events.Approve, e.Case(), "bob"))
	w.settle()
	d := w.decision(e.Case())
	if d.Hold == nil || len(d.Hold.Given) != 2 || d.Hold.Given[0].Actor != "ann" || d.Hold.Given[1].Reason != "because" {
		t.Errorf("hold: %+v", d.Hold)
	}
	if rec := w.last(ledger.PlanSubject(e.Case())); rec.By != "bob" || rec.Attempt != "c2" {
		t.Errorf("record by %s of %s", rec.By, rec.Attempt)
	}
}

func TestBrakeLetsGoAgainAfterItsWindow(t *testing.T) {
	w := newWorld(t)
	w.rules.brakes = []playbook.Brake{{Name: "terminations", Max: 2, Per: time.Hour}}
	states := func(minutes int, person string) ledger.State {
		w.clock = begin.Add(time.Duration(minutes) * time.Minute)
		e := w.happening("user.terminated", person, person, w.clock, time.Time{})
		w.send(e)
		w.settle()
		w.send(e) // a resend never counts
		w.settle()
		return w.state(ledger.PlanSubject(e.Case()))
	}
	for i, tt := range []struct {
		minutes int
		want    ledger.State
	}{{0, planned}, {30, planned}, {59, ledger.Held}, {61, planned}, {62, ledger.Held}, {91, planned}} {
		if got := states(tt.minutes, string(rune('a'+i))); got != tt.want {
			t.Errorf("after %d min: %q, want %q", tt.minutes, got, tt.want)
		}
	}
}

func TestDueEventThatComesEarlyWaitsTheRest(t *testing.T) {
	w := newWorld(t)
	e := w.overWire(w.happening("user.terminated", "1", "maria", w.clock, w.clock.Add(time.Hour)))
	w.send(e)
	w.settle()
	w.clock = w.clock.Add(59*time.Minute + 59*time.Second + 200*time.Millisecond)
	out := w.planner().Due(context.Background(), e, w.clock)
	if out.Verdict != events.Retry || out.Delay != 800*time.Millisecond {
		t.Errorf("early: %+v", out)
	}
	if s := w.state(ledger.PlanSubject(e.Case())); s != ledger.Scheduled {
		t.Errorf("plan %q", s)
	}
}

func TestPlaybooksAndGuardsOfTheDueDayDecide(t *testing.T) {
	w := newWorld(t)
	e := w.happening("user.terminated", "1", "maria", w.clock, w.clock.Add(time.Hour))
	w.send(e)
	w.settle()
	if n := len(w.decision(e.Case()).Actions); n != 2 {
		t.Errorf("preview of %d actions", n)
	}
	w.rules.steps["user.terminated"] = []string{"suspend"}
	w.rules.approvers = 1
	w.advance(2 * time.Hour)
	w.settle()
	w.want("due", e.Case(), ledger.Held, needs)
	if n := len(w.decision(e.Case()).Actions); n != 1 {
		t.Errorf("plan of %d actions", n)
	}
}

// TestCaseIsListedUnderEveryNameOfThePerson: also where the planner dies at any write, and the lane closes the case before the
// event comes again.
func TestCaseIsListedUnderEveryNameOfThePerson(t *testing.T) {
	closed := 0
	for writes := range 12 {
		w := newWorld(t)
		e := w.happening("user.terminated", "1", "maria", w.clock, time.Time{})
		w.faults[writes] = behind
		w.send(e)
		w.deliver()
		clear(w.faults)
		for w.work() {
		}
		if len(w.inbox) > 0 && w.state(ledger.LifecycleSubject(e.Case())) == ledger.Closed {
			closed++
		}
		w.settle()
		for _, name := range []string{"user:n-maria", "user:maria@acme.example"} {
			if s := w.state(ledger.PersonSubject(w.keyer.Key(name), e.Case())); s != ledger.Kept {
				t.Errorf("died behind write %d: %s: %q", writes, name, s)
			}
		}
	}
	if closed == 0 {
		t.Error("no event came again to a closed case")
	}
}

func TestManyEventsOfOnePersonStayBoundedAndInOrder(t *testing.T) {
	w := newWorld(t)
	w.advance(100 * time.Hour) // none of them is ahead of its acceptance
	back := w.happening("user.rehired", "back", "maria", begin.Add(time.Hour), time.Time{})
	w.send(back)
	for i := range 50 {
		w.send(w.happening("user.terminated", "t"+string(rune('A'+i)), "maria", begin.Add(time.Duration(i+2)*time.Hour), time.Time{}))
	}
	w.settle()
	late := w.happening("user.terminated", "late", "maria", begin, time.Time{})
	w.send(late)
	w.settle()
	w.want("late", late.Case(), superseded, closed)
	var o struct{ Entries []struct{ Case string } }
	if err := json.Unmarshal(w.last(ledger.OrderSubject(w.keyer.Key("user:n-maria"))).Body, &o); err != nil {
		t.Fatal(err)
	}
	if len(o.Entries) != 32 || o.Entries[0].Case != back.Case() {
		t.Errorf("%d entries, the oldest %v", len(o.Entries), o.Entries[0])
	}
}

func TestLogHoldsNoPersonalDataButThePrincipal(t *testing.T) {
	w := newWorld(t)
	var b bytes.Buffer
	p := w.planner()
	p.Log = slog.New(slog.NewTextHandler(&b, nil))
	w.rules.protected["user:n-maria"] = true
	e := w.overWire(w.happening("user.terminated", "1", "maria", w.clock, time.Time{}))
	if out := p.Event(context.Background(), e, w.clock); out.Verdict != events.Done {
		t.Fatalf("%+v", out)
	}
	line := b.String()
	if strings.Count(line, "\n") != 1 || strings.Contains(line, "maria@acme.example") {
		t.Errorf("log: %s", line)
	}
	for _, part := range []string{"level=WARN", "alert=", "state=refused", "principal=user:n-maria", "case=" + e.Case()} {
		if !strings.Contains(line, part) {
			t.Errorf("log lacks %s: %s", part, line)
		}
	}
}

func TestPlanThatNoRecordTakesGoesToAPerson(t *testing.T) {
	w := newWorld(t)
	e := w.happening("user.terminated", "1", "maria", w.clock, time.Time{})
	w.log.Before = func(subject string) error {
		if subject == ledger.PlanSubject(e.Case()) {
			return stream.ErrTooLarge
		}
		return nil
	}
	w.send(e)
	w.settle()
	w.want("too large", e.Case(), "", needs)
	w.wantRest(e.Case())
}

// known gives the event other words for the person.
func known(w *world, e events.Event, subject, user string) events.Event {
	e.Subject, e.Data = subject, json.RawMessage(`{"user":`+user+`}`)
	return w.overWire(e)
}

func TestRescindUnderAnotherNameOfThePersonCancels(t *testing.T) {
	w := newWorld(t)
	leave := w.happening("user.terminated", "1", "maria", w.clock, w.clock.Add(time.Hour)) // by number and e-mail
	back := known(w, w.happening("user.termination_rescinded", "2", "maria", w.clock.Add(time.Minute), time.Time{}),
		"user:maria@acme.example", `{"email":"maria@acme.example"}`)
	w.send(leave, back)
	w.settle()
	w.want("termination", leave.Case(), cancelled, closed)
}

func TestPeopleWhoShareANameAreNotTakenForOne(t *testing.T) {
	w := newWorld(t)
	leave := w.happening("user.terminated", "1", "maria", w.clock, w.clock.Add(time.Hour))
	back := known(w, w.happening("user.rehired", "2", "maria", w.clock.Add(time.Minute), time.Time{}),
		"user:n-other", `{"employee_number":"n-other","email":"maria@acme.example"}`)
	w.send(leave, back)
	w.settle()
	w.want("termination", leave.Case(), ledger.Scheduled, ledger.Open)
}

func TestEventFromTheFutureDoesNotSwallowWhatComesBefore(t *testing.T) {
	w := newWorld(t)
	back := w.happening("user.termination_rescinded", "1", "maria", w.clock.Add(9*time.Hour), time.Time{})
	w.send(back)
	w.settle()
	w.advance(time.Hour)
	leave := w.happening("user.terminated", "2", "maria", w.clock, time.Time{})
	w.send(leave)
	w.settle()
	w.want("termination", leave.Case(), planned, closed)
}

func TestDueEventThatComesFarTooEarlyIsScheduledAnew(t *testing.T) {
	w := newWorld(t)
	e := w.happening("user.terminated", "1", "maria", w.clock, w.clock.Add(24*time.Hour))
	w.send(e)
	w.settle()
	out := w.planner().Due(context.Background(), w.overWire(e), w.clock)
	if out.Verdict != events.Done || out.Delay != 0 {
		t.Errorf("outcome %+v: it holds a place of its class until it is due", out)
	}
	w.advance(25 * time.Hour)
	w.settle()
	w.want("due", e.Case(), planned, closed)
}

func TestWhatIsTakenBackWaitsNoMore(t *testing.T) {
	w := newWorld(t)
	later := w.clock.Add(24 * time.Hour)
	w.send(w.happening("user.terminated", "1", "maria", w.clock, later), w.happening("user.terminated", "2", "peter", w.clock, later))
	w.settle()
	w.send(w.happening("user.rehired", "3", "maria", w.clock.Add(time.Hour), time.Time{}))
	w.settle()
	if n := len(w.now.scheduled); n != 1 {
		t.Errorf("%d events wait, want the one of somebody else", n)
	}
}

// What takes a termination back must not queue behind what it takes back.
func TestReturnCarriesTheClassOfWhatItTakesBack(t *testing.T) {
	w := newWorld(t)
	w.rules.steps["user.rehired"] = []string{"restore"}
	e := w.happening("user.terminated", "1", "maria", w.clock, w.clock.Add(time.Hour))
	e.Class = events.Urgent
	back := w.happening("user.rehired", "2", "maria", w.clock.Add(time.Minute), time.Time{})
	other := w.happening("user.rehired", "3", "peter", w.clock, time.Time{})
	w.send(e)
	w.settle()
	w.send(back, other)
	w.plan()
	for want, id := range map[events.Class]string{events.Urgent: back.Case(), events.Normal: other.Case()} {
		if d := w.decision(id); d.Class != want || len(d.Actions) != 1 || d.Actions[0].Class != want {
			t.Errorf("class %q, want %q: %+v", d.Class, want, d.Actions)
		}
	}
}
