package ledger

import "slices"

// State is where a plan, an action or a case stands. States are stored as these words, for ever.
type State string

// States of a plan.
const (
	Scheduled  State = "scheduled"  // waits for its effective time
	Planned    State = "planned"    // its actions go out; also an action's first state, while it has no record of its own
	Held       State = "held"       // waits for a person's approval
	Refused    State = "refused"    // concerns a protected principal
	Superseded State = "superseded" // a newer event of the same person decides
	Cancelled  State = "cancelled"  // rescinded, denied, or cancelled by an operator
	Conflict   State = "conflict"   // the same case with other content came before
)

// States of an action.
const (
	Started   State = "started"
	Waiting   State = "waiting"
	Verified  State = "verified"
	Applied   State = "applied" // done, but the provider lets nobody read it back
	Contested State = "contested"
	Dead      State = "dead"
	Redriven  State = "redriven"
	Regressed State = "regressed"
)

// States of a case (its lifecycle).
const (
	Open               State = "open"
	Closed             State = "closed"
	ClosedWithResidual State = "closed_with_residual"
	NeedsPerson        State = "needs_person"
)

// Kept is the state of a record that has no states: a person's order and index.
const Kept State = "kept"

// none stands for "no record yet" in the table below.
const none State = ""

// transitions says which state may follow which, by kind of subject. A state may always follow itself where it is listed
// so: a `started` that pins ids, a `held` that gained one of several approvals, a `cancelled` that learned what had
// begun, a `verified` that was looked at again.
// Nothing changes it.
var transitions = map[string]map[State][]State{
	"plan": {
		none:      {Scheduled, Planned, Held, Refused, Superseded, Cancelled, Conflict},
		Scheduled: {Planned, Held, Refused, Superseded, Cancelled},
		Held:      {Held, Planned, Refused, Cancelled, Superseded, Scheduled},
		Conflict:  {Planned, Held, Refused, Superseded, Scheduled, Cancelled},
		// Cancelled only without actions; refused when a lane found at the provider that somebody is protected.
		Planned: {Cancelled, Refused},
		// By a redrive alone, when what overtook it was withdrawn.
		Superseded: {Scheduled, Planned, Held, Refused, Superseded},
		Cancelled:  {Scheduled, Planned, Held, Refused, Superseded, Cancelled},
	},
	"action": {
		none:      {Started, Waiting, Cancelled, Dead},
		Started:   {Started, Waiting, Verified, Applied, Contested, Dead, Cancelled},
		Waiting:   {Started, Waiting, Verified, Applied, Contested, Dead, Cancelled},
		Dead:      {Redriven, Cancelled},
		Redriven:  {Started, Waiting, Dead, Cancelled},
		Contested: {Redriven, Cancelled},
		Verified:  {Verified, Regressed}, // the same again: another look showed that it still holds
		Applied:   {Applied, Regressed},  // or that what could be seen of it does
		Regressed: {Started, Redriven, Cancelled},
		Cancelled: {Cancelled}, // called back by a newer event, and then ended by a person
	},
	"case": {
		none:               {Open, Closed, NeedsPerson},
		Open:               {Open, Closed, ClosedWithResidual, NeedsPerson},
		NeedsPerson:        {Open, NeedsPerson, Closed, ClosedWithResidual},
		ClosedWithResidual: {ClosedWithResidual, Closed, Open, NeedsPerson},
		Closed:             {Closed, Open, NeedsPerson},
	},
	"person": {none: {Kept}, Kept: {Kept}},
}

// may reports whether a record of that kind of subject in state next may follow one in state prev.
func may(kind string, prev, next State) bool { return slices.Contains(transitions[kind][prev], next) }

// Terminal reports whether an action in state s needs nothing more, unless a person or a re-check says so. A dead or
// contested action is terminal: it waits for a person.
func (s State) Terminal() bool {
	switch s {
	case Verified, Applied, Contested, Dead, Cancelled:
		return true
	}
	return false
}

// Ended reports whether an action in state s came to an end: one that was found undone later did so, too.
func (s State) Ended() bool { return s.Terminal() || s == Regressed }

// Achieved reports whether an action in state s reached its end state.
func (s State) Achieved() bool { return s == Verified || s == Applied }
