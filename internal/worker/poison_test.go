package worker

import (
	"fmt"
	"io/fs"
	"testing"
	"time"

	"keyturn/internal/config"
	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/playbook"
	"keyturn/internal/sandbox"
)

// poisonedRules let five go in an hour, and never the emergency account, whatever it is called.
const poisonedRules = `playbooks:
  - name: offboard
    on: [user.terminated]
    actions: [{step: suspend, do: okta.suspend_user, at: okta-prod, with: {user: "${{ event.data.user }}"}}]
guards:
  protected: [user:breakglass@acme.example]
  brake: [{on: [user.terminated], max: 5, per: 1h, then: hold}]
`

// readRules compiles playbooks from text.
func readRules(t *testing.T, text string) *playbook.Set {
	t.Helper()
	files := map[string]string{"c/playbooks.yaml": text,
		"c/connections.yaml": `connections: {okta-prod: {provider: okta, base_url: https://okta.example, auth: {ssws: "${env:S}"}}}`}
	c, err := config.Read("c", config.Resolver{
		LookupEnv: func(string) (string, bool) { return "a secret of the tests", true },
		ReadFile: func(name string) ([]byte, error) {
			if s, ok := files[name]; ok {
				return []byte(s), nil
			}
			return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
		},
	})
	set, cerr := Playbooks(c.Playbooks)
	if err := config.Join(err, cerr); err != nil {
		t.Fatal(err)
	}
	return set
}

// leaves is a termination of whoever has these identifiers.
func leaves(t *testing.T, id, user string) events.Event {
	t.Helper()
	row, _ := events.Lookup("user.terminated")
	e := events.Event{ID: id, Source: "/hr/acme", Type: row.Type(), Time: time.Now().UTC(), Scope: "hr-relay", Class: row.Class,
		Data: []byte(`{"user":` + user + `}`)}
	var err error
	if e.Data, err = events.Canonical(e.Data); err != nil {
		t.Fatal(err)
	}
	if e.Subject, err = events.SubjectOf(e); err != nil {
		t.Fatal(err)
	}
	return e
}

// TestPoisonedFeedAtTheProvider: everybody is terminated at once, the emergency account under every name that it has,
// through the real planner and lane: five are suspended, and one command upon each of the rest leaves it so.
func TestPoisonedFeedAtTheProvider(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	glass := s.sb.AddUser(sandbox.UserSpec{Login: "breakglass@acme.example", Email: "breakglass@acme.example", EmployeeNumber: "1"})
	feed := []events.Event{
		leaves(t, "g1", `{"okta_id":"`+glass+`"}`), leaves(t, "g2", `{"employee_number":"1"}`), leaves(t, "g3", `{"login":"BREAKGLASS@acme.example"}`),
	}
	for i := range 40 {
		mail := fmt.Sprintf("p%d@acme.example", i)
		s.sb.AddUser(sandbox.UserSpec{Login: mail, Email: mail})
		feed = append(feed, leaves(t, fmt.Sprint(i), `{"email":"`+mail+`"}`))
	}
	if err := s.tool.CreateTopology(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.work("worker-1", s.connections(), nil, func(w *Worker) { w.set.Store(Sparing(readRules(t, poisonedRules), s.connections())) })
	if err := s.tool.PublishEvents(t.Context(), feed); err != nil {
		t.Fatal(err)
	}
	records := ledger.New(s.tool.Log(), nil)
	s.settle(records, len(feed))
	var cancels []events.Command
	for id, rec := range plansOf(t, records) {
		if rec.State == ledger.Held {
			cancels = append(cancels, events.Command{ID: "c-" + id, Verb: events.Cancel, Target: id, Actor: "ann", Reason: "its key was stolen", Time: time.Now()})
		}
	}
	if err := s.tool.PublishCommand(t.Context(), cancels...); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		held := 0
		for _, rec := range plansOf(t, records) {
			if rec.State == ledger.Held {
				held++
			}
		}
		if held == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d are still held", held)
		}
	}
	s.settle(records, len(feed))
	suspended := 0
	for _, u := range s.sb.Snapshot().Okta.Users {
		switch {
		case u.ID == glass && u.Status != sandbox.StatusActive:
			t.Errorf("the emergency account is %s", u.Status)
		case u.Status != sandbox.StatusActive:
			suspended++
		}
	}
	// Two of the names of the emergency account are known at the provider alone: they pass the brake, and die there.
	if suspended > 5 || suspended < 3 || len(cancels) != len(feed)-1-5 {
		t.Errorf("%d suspended, %d cancelled of %d", suspended, len(cancels), len(feed))
	}
}

// plansOf reads where every plan stands.
func plansOf(t *testing.T, records *ledger.Ledger) map[string]ledger.Record {
	t.Helper()
	plans := map[string]ledger.Record{}
	err := records.Range(t.Context(), ledger.PlanSubject("*"), time.Time{}, func(rec ledger.Record) error {
		plans[ledger.CaseOf(rec.Subject)] = rec
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return plans
}

// settle waits until so many cases rest: each is closed, or needs a person.
func (s *site) settle(records *ledger.Ledger, n int) {
	s.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		rests := map[string]bool{}
		err := records.Range(s.t.Context(), ledger.LifecycleSubject("*"), time.Time{}, func(rec ledger.Record) error {
			rests[rec.Subject] = rec.State != ledger.Open
			return nil
		})
		if err != nil {
			s.t.Fatal(err)
		}
		rest := 0
		for _, yes := range rests {
			if yes {
				rest++
			}
		}
		if rest == n {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%d of %d cases rest", rest, n)
		}
	}
}
