// Package playtest tests playbooks before they meet a real person: it plans the events of playbooks_test.yaml with the
// playbooks beside it, as the planner would, and compares.
//
// Its contract: nothing is called, stored or sent, and no time passes; what a test says of a plan is what the planner
// would decide with nothing pending. A difference is a fault with the place where the expectation stands. What a test
// does not mention is not compared, but for holds and refusals: a plan that is stopped is never taken for one that goes
// on. The report says as well which rules no test has tried.
package playtest

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"keyturn/internal/config"
	"keyturn/internal/events"
	"keyturn/internal/playbook"
)

// Report is what a run of tests came to.
type Report struct {
	Tests []Result
	Rules []Rule // of the playbooks, in the order of the file
}

// Result is one test.
type Result struct {
	Name  string
	At    config.Position
	Fault config.Faults // what differs; nil = it holds
	// Diff is the expected and the planned actions where they differ, a line each, marked with - and + and two spaces.
	Diff []string
}

// Failed counts the tests that do not hold.
func (r Report) Failed() int {
	n := 0
	for _, t := range r.Tests {
		if len(t.Fault) > 0 {
			n++
		}
	}
	return n
}

// Counts gives how many rules a test can try, and how many were.
func (r Report) Counts() (rules, tried int) {
	for _, rule := range r.Rules {
		if rule.Idle == "" {
			rules++
		}
		if rule.Idle == "" && rule.Tried {
			tried++
		}
	}
	return rules, tried
}

// Coverage is the part of the rules that a test has tried, in percent; 100 where there are none.
func (r Report) Coverage() float64 {
	rules, tried := r.Counts()
	if rules == 0 {
		return 100
	}
	return 100 * float64(tried) / float64(rules)
}

// Run runs the tests. The error is that of the playbooks, which do not compile; then nothing was tested.
func Run(p config.Playbooks, kinds []playbook.Kind, tests []config.PlaybookTest) (Report, error) {
	set, err := playbook.Compile(p, kinds)
	if err != nil {
		return Report{}, err
	}
	cover, err := newCoverage(p, kinds)
	if err != nil {
		return Report{}, err
	}
	var report Report
	for _, t := range tests {
		report.Tests = append(report.Tests, run(set, cover, t))
	}
	report.Rules = cover.rules
	return report, nil
}

// run runs one test.
func run(set *playbook.Set, cover *coverage, t config.PlaybookTest) Result {
	r := Result{Name: t.Name, At: t.At}
	e, faults := eventOf(t.Event)
	if len(faults) > 0 {
		r.Fault = faults
		return r
	}
	got := decide(set, e, t)
	if got.fault == "" {
		cover.saw(got.plan)
	}
	c := comparison{want: t.Want, got: got}
	c.all()
	r.Diff = c.diff
	var sorted config.Faults
	if errors.As(c.faults.Err(), &sorted) {
		r.Fault = sorted
	}
	return r
}

// decision is what becomes of an event.
type decision struct {
	plan                 events.Plan
	refused, held, fault string // why; empty = it is not
}

// decide plans an event and asks the guards, with what the test says has been before.
func decide(set *playbook.Set, e events.Event, t config.PlaybookTest) decision {
	plan, err := set.Plan(e)
	if err != nil {
		return decision{fault: err.Error()}
	}
	d := decision{plan: plan}
	if len(plan.Actions) == 0 && !playbook.TakesBack(e) {
		return d // nothing is done, so that nothing is guarded
	}
	v, err := set.Guard(plan)
	switch {
	case err != nil:
		d.fault = err.Error()
	case v.Protected != "" && len(plan.Actions) == 0: // what is taken back does nothing to whom it is about
	case v.Protected != "":
		d.refused = v.Protected + " is protected"
	default:
		d.held = heldBy(v, e, t)
	}
	return d
}

// heldBy says what holds a plan; empty = nothing.
func heldBy(v playbook.Verdict, e events.Event, t config.PlaybookTest) string {
	var why []string
	if v.Approvers > 0 {
		why = append(why, v.Why)
	}
	for _, c := range v.Confirm {
		if !slices.ContainsFunc(t.ConfirmedBy, func(other string) bool { return c.Counts(e.Scope, other) }) {
			why = append(why, "another source must say the same within "+c.Within.String())
		}
	}
	for _, b := range v.Brakes {
		if b.Share == nil && t.Passed >= b.Max {
			why = append(why, fmt.Sprintf("brake %s: %d passed already", b.Name, t.Passed))
		}
	}
	return strings.Join(why, "; ")
}
