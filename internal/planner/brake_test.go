package planner_test

import (
	"fmt"
	"testing"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/planner"
	"keyturn/internal/playbook"
)

// passed sends a termination of everybody at once and counts how many pass.
func passed(w *world, all ...events.Event) int {
	w.t.Helper()
	for _, e := range all {
		w.send(e)
		w.settle()
	}
	n := 0
	for _, e := range all {
		switch s := w.state(ledger.PlanSubject(e.Case())); s {
		case planned:
			n++
		case ledger.Held, superseded:
		default:
			w.t.Errorf("%s: plan %q", e.Subject, s)
		}
	}
	return n
}

// people are terminations of so many.
func people(w *world, n int) []events.Event {
	var all []events.Event
	for i := range n {
		all = append(all, w.happening("user.terminated", fmt.Sprintf("%d-%s", i, w.clock.Format("150405")), fmt.Sprintf("p%d", i), w.clock, time.Time{}))
	}
	return all
}

// TestBrakeOfAShare: a share is of what the provider was last read to have. Nobody passes while that is not known.
func TestBrakeOfAShare(t *testing.T) {
	of := playbook.Count{Connection: "okta-prod", What: "active_users"}
	for _, c := range []struct {
		name string
		n    int
		age  time.Duration
		want int
	}{
		{"never read", -1, 0, 0},
		{"read now", 70, 0, 3},
		{"read long ago", 70, planner.CountStale, 0},
		{"read yesterday", 70, planner.CountStale - time.Second, 3},
		{"a share of nobody", 0, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.armed = false
			w.rules.brakes = []playbook.Brake{{Name: "share", Per: time.Hour, Share: &playbook.Share{Percent: 5, Of: of}}}
			if c.n >= 0 {
				count := planner.Count{Connection: of.Connection, What: of.What, N: c.n, Read: w.clock.Add(-c.age)}
				if err := planner.SaveCount(t.Context(), w.ledger(), ledger.Record{}, "worker-1", count); err != nil {
					t.Fatal(err)
				}
			}
			all := people(w, 5)
			if n := passed(w, all...); n != c.want {
				t.Errorf("%d passed, want %d (%s)", n, c.want, w.last(ledger.PlanSubject(all[4].Case())).Reason)
			}
		})
	}
}

// TestBrakeCountsPersons: a person is counted once, under whichever names events call them, and however often. Two who
// only share a name are two.
func TestBrakeCountsPersons(t *testing.T) {
	w := newWorld(t)
	w.armed = false
	w.rules.brakes = []playbook.Brake{{Name: "terminations", Max: 4, Per: time.Hour}}
	maria := func(id, subject, user string) events.Event {
		w.clock = w.clock.Add(time.Minute)
		return known(w, w.happening("user.terminated", id, "maria", w.clock, time.Time{}), subject, user)
	}
	first := maria("1", "user:n-maria", `{"email":"maria@acme.example","employee_number":"n-maria"}`)
	again := []events.Event{
		first, first, maria("2", "user:n-maria", `{"employee_number":" N-MARIA","email":"Maria@ACME.example"}`),
		maria("3", "user:maria@acme.example", `{"email":"MARIA@acme.example"}`),
		maria("4", "user:maria@acme.example", `{"login":"maria@acme.example"}`),
	}
	if n := passed(w, again...); n != len(again) {
		t.Errorf("%d of maria's passed, want %d", n, len(again))
	}
	if n := passed(w, people(w, 5)...); n != 3 {
		t.Errorf("%d of others passed beside maria, want 3", n)
	}
	w.advance(time.Hour)
	if n := passed(w, people(w, 6)...); n != 4 {
		t.Errorf("%d passed an hour later, want 4", n)
	}
}

// TestOnePersonOfManyNames: whoever may send events may say that the whole company is one person. It is counted as
// one, and yet no more names pass than a quarter above the brake.
func TestOnePersonOfManyNames(t *testing.T) {
	w := newWorld(t)
	w.armed = false
	w.rules.brakes = []playbook.Brake{{Name: "terminations", Max: 8, Per: time.Hour}}
	var all []events.Event
	for i := range 20 {
		mail := fmt.Sprintf("p%d@acme.example", i)
		w.send(known(w, w.happening("user.compromised", fmt.Sprint("join", i), "x", w.clock, time.Time{}), "user:n-1",
			`{"employee_number":"n-1","email":"`+mail+`"}`))
		w.settle()
	}
	for i := range 20 {
		w.clock = w.clock.Add(time.Minute)
		mail := fmt.Sprintf("p%d@acme.example", i)
		all = append(all, known(w, w.happening("user.terminated", fmt.Sprint(i), "x", w.clock, time.Time{}), "user:"+mail, `{"email":"`+mail+`"}`))
	}
	if n := passed(w, all...); n != 10 {
		t.Errorf("%d passed, want 10", n)
	}
}

// TestManyAccountsUnderOneNumber: a directory may find an account by an e-mail and know no employee number to contradict
// it, so that events which only share a number name as many accounts as they give e-mails.
func TestManyAccountsUnderOneNumber(t *testing.T) {
	for _, kind := range []string{"email", "login", "asa_username"} {
		w := newWorld(t)
		w.armed = false
		w.rules.brakes = []playbook.Brake{{Name: "terminations", Max: 8, Per: time.Hour}}
		var all []events.Event
		for i := range 20 {
			w.clock = w.clock.Add(time.Minute)
			all = append(all, known(w, w.happening("user.terminated", fmt.Sprint(i), "x", w.clock, time.Time{}), "user:n-1",
				fmt.Sprintf(`{"employee_number":"n-1",%q:"p%d@acme.example"}`, kind, i)))
		}
		if n := passed(w, all...); n != 10 {
			t.Errorf("%s: %d passed, want 10", kind, n)
		}
	}
}

// TestBrakeByKey: each value is counted for itself.
func TestBrakeByKey(t *testing.T) {
	w := newWorld(t)
	w.armed = false
	all := people(w, 6)
	for i, want := range []int{2, 2} {
		w.rules.brakes = []playbook.Brake{{Name: "by source", Key: fmt.Sprint("source", i), Max: 2, Per: time.Hour}}
		if n := passed(w, all[3*i:3*i+3]...); n != want {
			t.Errorf("source %d: %d passed, want %d", i, n, want)
		}
	}
}
