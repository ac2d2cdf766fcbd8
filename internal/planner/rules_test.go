package planner_test

import (
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/playbook"
)

// kinds are those of the steps.
var kinds = map[string]string{"suspend": "okta.suspend_user", "tokens": "okta.clear_sessions", "restore": "okta.clear_sessions"}

// rules is what the playbooks and guards of this test say.
type rules struct {
	mu        sync.Mutex
	steps     map[string][]string // steps, by event name; a step after the first waits for the one before it
	fault     error               // the playbooks cannot be applied
	protected map[string]bool
	unclear   error // the guards cannot be applied
	back      bool  // the guards name the events that take something back
	approvers int
	expires   time.Duration // of what needs an approval; 0 = never
	proceed   bool          // and then it goes on
	brakes    []playbook.Brake
	confirm   []playbook.Confirmation
	recheck   []events.Span // of every action
	regressed events.Regressed
	sla       events.Span // of every plan
}

func newRules() *rules {
	return &rules{steps: map[string][]string{"user.terminated": {"suspend", "tokens"}}, protected: map[string]bool{}}
}

// hold makes every plan wait for so many people.
func (r *rules) hold(approvers int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.approvers = approvers
}

func (r *rules) Plan(e events.Event) (events.Plan, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fault != nil {
		return events.Plan{}, r.fault
	}
	p := events.Plan{Case: e.Case(), Event: e, Hash: e.ContentHash(), Class: e.Class, EffectiveAt: e.EffectiveAt}
	p.SLA = r.sla
	var after []string
	for _, step := range r.steps[e.Name()] {
		id := events.ActionID(p.Case, "offboard", step)
		p.Actions = append(p.Actions, events.Action{
			ID: id, Case: p.Case, Playbook: "offboard", Step: step, Do: kinds[step], Connection: "okta-prod",
			Class: e.Class, Target: e.Subject, After: after, Recheck: r.recheck, Regressed: r.regressed,
		})
		after = []string{id}
		p.Playbooks = []string{"offboard"}
	}
	return p, nil
}

func (r *rules) Guard(p events.Plan) (playbook.Verdict, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.unclear != nil {
		return playbook.Verdict{}, r.unclear
	}
	g := playbook.Verdict{Approval: playbook.Approval{Approvers: r.approvers, Expires: r.expires, Proceed: r.proceed}, Brakes: r.brakes, Confirm: r.confirm}
	if len(p.Actions) == 0 && !(r.back && playbook.TakesBack(p.Event)) {
		g = playbook.Verdict{}
	} else if r.approvers > 0 {
		g.Why = fmt.Sprintf("needs %d approvals", r.approvers)
	}
	if r.protected[p.Event.Subject] {
		g.Protected = p.Event.Subject
	}
	return g, nil
}

// happening makes an event of a person. at orders it; a zero effective takes effect at once.
func (w *world) happening(name, id, person string, at, effective time.Time) events.Event {
	w.t.Helper()
	return w.called(name, id, map[string]string{"email": person + "@acme.example", "employee_number": "n-" + person}, at, effective)
}

// called makes an event of a person with these identifiers.
func (w *world) called(name, id string, user map[string]string, at, effective time.Time) events.Event {
	w.t.Helper()
	data := map[string]any{"user": user}
	if !effective.IsZero() {
		data["effective_at"] = effective.Format(time.RFC3339Nano)
	}
	raw, err := json.Marshal(data)
	if err != nil {
		w.t.Fatal(err)
	}
	row, ok := events.Lookup(name)
	if !ok {
		w.t.Fatalf("no event %s", name)
	}
	canonical, err := events.Canonical(raw)
	if err != nil {
		w.t.Fatal(err)
	}
	e := events.Event{
		ID: id, Source: "/hr/acme", Type: row.Type(), Time: at, Scope: "hr-relay", Class: row.Class, EffectiveAt: effective,
		Data: canonical,
	}
	if e.Subject, err = events.SubjectOf(e); err != nil {
		w.t.Fatal(err)
	}
	return e
}

// action is the id of a step of a case.
func action(caseID, step string) string { return events.ActionID(caseID, "offboard", step) }

// both are the actions of a termination.
func both(caseID string) []string {
	return []string{action(caseID, "suspend"), action(caseID, "tokens")}
}

func (r *rules) Confirms(events.Event) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.confirm) > 0
}
