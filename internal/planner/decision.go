package planner

import (
	"encoding/json"
	"fmt"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
)

// Decision is what the body of a plan record holds: the plan, verbatim, and what else was decided. Whoever needs the
// plan only decodes it as an events.Plan.
type Decision struct {
	events.Plan
	// Confirmed are the cases of other sources that said the same, where that was asked for.
	Confirmed []string `json:"confirmed,omitempty"`
	Hold      *Hold    `json:"hold,omitempty"`    // of a plan that is or was held
	Begun     []Begun  `json:"begun,omitempty"`   // what older events of the same person had begun when this one overtook them
	Against   string   `json:"against,omitempty"` // of a conflict: the case whose id it came with
	Newer     string   `json:"newer,omitempty"`   // of a superseded or rescinded plan: the case that overtook it
	Anew      string   `json:"anew,omitempty"`    // the case whose remains it decides anew, after what had called them back was cancelled
	Denied    *Consent `json:"denied,omitempty"`  // who cancelled it, and why
	Joined    []string `json:"joined,omitempty"`  // identifiers, as kind:value, that became one person's by this event
	Claimed   []string `json:"claimed,omitempty"` // identifiers that it gives, and that were another person's
}

// Begun is an action that cannot be called back: it is under way or done.
type Begun struct {
	Case   string       `json:"case"`
	Action string       `json:"action"`
	Do     string       `json:"do"`
	State  ledger.State `json:"state"`             // where it stood when it was looked at
	Made   int          `json:"changes,omitempty"` // how many changes it had made
}

// Decode reads the decision in a plan record.
func Decode(rec ledger.Record) (Decision, error) {
	var d Decision
	if err := json.Unmarshal(rec.Body, &d); err != nil {
		return Decision{}, fmt.Errorf("plan %s: %w", rec.Subject, err)
	}
	return d, nil
}

// encode gives the record of a decision.
func (d Decision) encode(state ledger.State, why string) (ledger.Record, error) {
	body, err := json.Marshal(d)
	if err != nil {
		return ledger.Record{}, fmt.Errorf("plan of %s: %w", d.Case, err)
	}
	return ledger.Record{Subject: ledger.PlanSubject(d.Case), State: state, Reason: why, Body: body}, nil
}
