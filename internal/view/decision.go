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

// The ledger's forms of what is decided besides a plan.
type (
	Said    = ledger.Said
	Hold    = ledger.Hold
	Consent = ledger.Consent
	Begun   = ledger.Begun
)

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
