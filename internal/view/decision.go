package view

import (
	"time"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
)

// Decision is the plan's last record: where the plan stands, and how it came to.
type Decision struct {
	State     ledger.State `json:"state,omitempty"`
	By        string       `json:"by,omitempty"`     // the worker or operator who put it down
	Reason    string       `json:"reason,omitempty"` // why, for a person
	Time      time.Time    `json:"time,omitzero"`
	Config    string       `json:"config,omitempty"`    // which playbooks.yaml made the plan: the first 12 digits of its sha256sum
	Playbooks []string     `json:"playbooks,omitempty"` // those that matched the event

	DryRuns []events.DryRun `json:"dry_runs,omitempty"` // what playbooks on trial would have done: none of it is done
	Said
}

// Said is what was decided besides the plan's actions. It has the shape in which the ledger keeps it.
type Said struct {
	Confirmed []string `json:"confirmed,omitempty"` // cases of other sources that said the same, where that was asked for
	Hold      *Hold    `json:"hold,omitempty"`      // of a plan that is or was held
	Begun     []Begun  `json:"begun,omitempty"`     // what older events of the same person had begun when this one overtook them
	Against   string   `json:"against,omitempty"`   // of a conflict: the case whose id it came with
	Newer     string   `json:"newer,omitempty"`     // of a superseded or rescinded plan: the case that overtook it
	Denied    *Consent `json:"denied,omitempty"`    // who cancelled it, and why
	Joined    []string `json:"joined,omitempty"`    // identifiers, as kind:value, that became one person's by this event
	Claimed   []string `json:"claimed,omitempty"`   // identifiers that it gives, and that were another person's
}

// Hold is what a held plan waits for, and what it got so far.
type Hold struct {
	Why     string    `json:"why"`
	Need    int       `json:"need"` // how many people must approve
	Given   []Consent `json:"given,omitempty"`
	Asked   []string  `json:"asked,omitempty"`   // who asked for it: their own word does not count
	Brake   string    `json:"brake,omitempty"`   // the brake that it was too much for
	Unheard bool      `json:"unheard,omitempty"` // it waits for a second source that says the same
	Pauses  []string  `json:"pauses,omitempty"`  // those that hold it, while they do
	Until   time.Time `json:"until,omitzero"`    // when it ends without anybody's word
	Then    string    `json:"then,omitempty"`    // what becomes of the plan then: deny or proceed
}

// Consent is one person's word.
type Consent struct {
	Command string    `json:"command"` // id of the command
	Actor   string    `json:"actor"`
	Reason  string    `json:"reason,omitempty"`
	Time    time.Time `json:"time"` // of the command
}

// Begun is an action of an older event that cannot be called back: it is under way or done, and never undone by itself.
type Begun struct {
	Case   string       `json:"case"`
	Action string       `json:"action"`
	Do     string       `json:"do"`
	State  ledger.State `json:"state"`             // where it stood when it was looked at
	Made   int          `json:"changes,omitempty"` // how many changes it had made
}

// plan is the body of a plan record.
type plan struct {
	events.Plan
	Said
}

// newDecision tells what a plan record decided.
func newDecision(rec ledger.Record, p plan) Decision {
	return Decision{State: rec.State, By: rec.By, Reason: rec.Reason, Time: utc(rec.Time), Config: p.Config, Playbooks: p.Playbooks,
		DryRuns: p.DryRuns, Said: p.Said}
}
