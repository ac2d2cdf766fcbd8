// Package replay plays events through playbooks without doing anything, and tells how what comes of it differs: from
// what was planned at the time, or from what other playbooks make of the same events.
//
// It is pure: events, playbooks and the plans of the ledger come in, and a report goes out. It has no clock; guards
// that count in time count in that of the events. What depends on more than an event and the playbooks is not judged
// anew: an event that a newer one overtook stays overtaken, and is set apart.
package replay

import (
	"fmt"
	"hash/maphash"
	"strings"

	"keyturn/internal/events"
	"keyturn/internal/playbook"
)

// Rules are playbooks and guards. *playbook.Set implements them.
type Rules interface {
	Plan(e events.Event) (events.Plan, error)
	Guard(p events.Plan) (playbook.Verdict, error)
}

// State is what becomes of an event. The first four are the ledger's own words.
type State string

// The states.
const (
	Planned   State = "planned" // also when no playbook asks for anything
	Held      State = "held"
	Refused   State = "refused"
	Scheduled State = "scheduled"
	Faulty    State = "faulty" // the playbooks or the guards cannot be applied to it
)

// Outcome is what playbooks make of one event.
type Outcome struct {
	State State
	Why   string // for a person; empty where the state says all
	Steps []Step
}

// Step is an action as far as outcomes are compared.
type Step struct {
	Playbook, Name, Do, Connection string

	with  uint64 // what it is done with
	order uint64 // when: its class, what it comes after, and what a death before it means
}

// Steps are the actions of a plan, to be compared. Those of an event that takes terminations back have at least the class
// of what it took back then, which no rules know: it is left out.
func Steps(list []events.Action, takesBack bool) []Step {
	steps := make([]Step, len(list))
	for i, a := range list {
		if takesBack {
			a.Class = ""
		}
		steps[i] = Step{Playbook: a.Playbook, Name: a.Step, Do: a.Do, Connection: a.Connection, with: sum(string(a.With)), order: orderOf(a)}
	}
	return steps
}

// orderOf tells one place in the order of things from another. The ids of the actions before begin with the case, which
// is the same on both sides of a comparison.
func orderOf(a events.Action) uint64 {
	onDead := a.OnDead
	if onDead == "" {
		onDead = events.Continue
	}
	return sum(string(a.Class) + " " + string(onDead) + " " + strings.Join(a.After, " "))
}

// seed is the same for all sums of a process: they are compared and never stored.
var seed = maphash.MakeSeed()

func sum(text string) uint64 { return maphash.String(seed, text) }

// Judged is what playbooks make of one event before anything is counted and anybody else is heard, with the plan itself.
type Judged struct {
	Outcome
	Plan    events.Plan
	Confirm []playbook.Confirmation // whose word it needs as well
	Brakes  []playbook.Brake        // those that count it

	named   string // by the plan, as brakes count it
	asks    bool   // people must approve it
	unclear bool   // it is the guards that cannot be applied
}

// Alone is what becomes of an event that nobody else has spoken of.
func (j Judged) Alone() Outcome {
	if len(j.Confirm) == 0 {
		return j.Outcome
	}
	return j.over(unheard(j.Confirm[0]))
}

// unheard says what is missing when nobody confirms, as the planner does.
func unheard(rule playbook.Confirmation) string {
	from := "another source"
	if len(rule.Sources) > 0 {
		from = strings.Join(rule.Sources, " or ")
	}
	return fmt.Sprintf("%s must say the same within %s", from, rule.Within)
}

// Judge applies the rules to one event. future says that it takes effect later than it is looked at: then the guards
// that count are asked when it is due; about what takes terminations back they are asked when it comes.
func Judge(r Rules, e events.Event, future bool) Judged {
	plan, err := r.Plan(e)
	if err != nil {
		return Judged{Outcome: Outcome{State: Faulty, Why: err.Error()}}
	}
	j := Judged{Outcome: Outcome{State: Planned, Steps: Steps(plan.Actions, playbook.TakesBack(e))}, Plan: plan}
	if len(plan.Actions) == 0 && !playbook.TakesBack(e) {
		if future {
			j.State = Scheduled
		}
		return j
	}
	v, err := r.Guard(plan)
	switch {
	case err != nil:
		j.State, j.Why, j.unclear = Faulty, err.Error(), true
	case v.Protected != "" && len(plan.Actions) > 0:
		j.State, j.Why = Refused, v.Protected+" is protected"
	case future && !playbook.TakesBack(e):
		j.State = Scheduled
	case v.Protected != "": // what is taken back does nothing to whom it is about
		j.later(future)
	case v.Approvers > 0:
		j.State, j.Why, j.Confirm, j.Brakes, j.asks = Held, v.Why, v.Confirm, v.Brakes, true
	default:
		j.Confirm, j.Brakes = v.Confirm, v.Brakes
		j.later(future)
	}
	return j
}

// later has a plan that nothing else stands before wait for its time.
func (j *Judged) later(future bool) {
	if future {
		j.State = Scheduled
	}
}

// over adds to an outcome what a brake holds it for.
func (o Outcome) over(why string) Outcome {
	switch {
	case why == "":
	case o.State == Held && o.Why != "":
		o.Why += "; " + why
	default:
		o.State, o.Why = Held, why
	}
	return o
}
