package planner

import (
	"context"
	"encoding/json"
	"fmt"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
)

// Decision is what the body of a plan record holds: the plan, verbatim, and what else was decided. Whoever needs the
// plan only decodes it as an events.Plan.
type Decision struct {
	events.Plan
	ledger.Said
}

// The ledger's forms of what is decided besides a plan.
type (
	Hold    = ledger.Hold
	Consent = ledger.Consent
	Begun   = ledger.Begun
)

// Decode reads the decision in a plan record.
func Decode(rec ledger.Record) (Decision, error) {
	var d Decision
	if err := json.Unmarshal(rec.Body, &d); err != nil {
		return Decision{}, fmt.Errorf("plan %s: %w", rec.Subject, err)
	}
	return d, nil
}

// plan reads what was decided in a case; the zero record and Decision when nothing is yet.
func (t *turn) plan(ctx context.Context, caseID string) (ledger.Record, Decision, error) {
	rec, err := t.Ledger.Last(ctx, ledger.PlanSubject(caseID))
	if err != nil || rec.Seq == 0 {
		return rec, Decision{}, err
	}
	d, err := Decode(rec)
	return rec, d, err
}

// encode gives the record of a decision.
func (d Decision) encode(state ledger.State, why string) (ledger.Record, error) {
	body, err := json.Marshal(d)
	if err != nil {
		return ledger.Record{}, fmt.Errorf("plan of %s: %w", d.Case, err)
	}
	return ledger.Record{Subject: ledger.PlanSubject(d.Case), State: state, Reason: why, Body: body}, nil
}
