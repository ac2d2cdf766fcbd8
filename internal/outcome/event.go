package outcome

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/stream"
)

// What changed.
const (
	ofPlan   = "plan"
	ofCase   = "case"
	ofAction = "action"
)

// Data is the payload of an outcome event. What is empty does not apply.
type Data struct {
	Case      string       `json:"case"`
	Event     string       `json:"event,omitempty"` // catalogue name of the event that opened the case
	Source    string       `json:"source,omitempty"`
	Class     events.Class `json:"class,omitempty"`
	Playbooks []string     `json:"playbooks,omitempty"`

	Action     string `json:"action,omitempty"` // id of the action, when one changed
	Step       string `json:"step,omitempty"`
	Do         string `json:"do,omitempty"`
	Connection string `json:"connection,omitempty"`

	State    ledger.State `json:"state"`
	Reason   string       `json:"reason,omitempty"`
	By       string       `json:"by,omitempty"`       // the worker or operator
	Attempts int          `json:"attempts,omitempty"` // charged to the action
	Changes  int          `json:"changes,omitempty"`  // made at the provider
	Until    time.Time    `json:"residual_until,omitzero"`
	DueBy    time.Time    `json:"due_by,omitzero"` // of sla_near and sla_missed: when the case was to be verified
	Failure  *Failure     `json:"failure,omitempty"`
	Record   string       `json:"record"` // hash of the ledger's record
}

// Failure is why an action waits or died.
type Failure struct {
	Cause      string `json:"cause"`
	Status     int    `json:"status,omitempty"`
	RequestID  string `json:"request_id,omitempty"`
	Suggestion string `json:"suggestion,omitempty"`
}

// Source is the CloudEvents source of every outcome event: one deployment has one ledger.
const Source = "urn:keyturn"

// idLength of the record's hash is the event's id: 128 bits, in hex.
const idLength = 32

// of tells what a record is about.
func of(subject string) string {
	switch ledger.Entry(subject) {
	case "plan":
		return ofPlan
	case "lifecycle":
		return ofCase
	}
	return ofAction
}

// Type is the CloudEvents type of a change: dev.keyturn.case.closed.v1.
func Type(what string, state ledger.State) string {
	return events.TypePrefix + what + "." + string(state) + events.TypeSuffix
}

// What an outcome says in place of the case's state, when it is told of one that is not verified in time.
const (
	slaNear   ledger.State = "sla_near"
	slaMissed ledger.State = "sla_missed"
)

// told is what the record tells: the state, or that the case is late, and then when it was to be verified.
func told(rec ledger.Record) (state ledger.State, due time.Time) {
	if of(rec.Subject) != ofCase {
		return rec.State, due
	}
	life, err := rec.Life()
	switch {
	case err != nil || !rec.Says(life.Late):
		return rec.State, due
	case life.Late.Missed:
		return slaMissed, life.Late.Due
	}
	return slaNear, life.Late.Due
}

// cloudEvent is the wire form of an outcome event (CloudEvents 1.0.2, JSON Event Format, section 3).
type cloudEvent struct {
	SpecVersion string    `json:"specversion"`
	ID          string    `json:"id"`
	Source      string    `json:"source"`
	Type        string    `json:"type"`
	Subject     string    `json:"subject,omitempty"`
	Time        time.Time `json:"time"`
	// Sequence orders the events of one source (CloudEvents extension "sequence"): the record's place in the ledger, with
	// leading zeros, so that texts compare as the numbers do.
	Sequence    string `json:"sequence"`
	ContentType string `json:"datacontenttype"`
	Data        Data   `json:"data"`
}

// tell makes the event of a record; plan is that of its case, as far as it is known, and until the end of what outlives it.
func tell(rec ledger.Record, seq uint64, plan events.Plan, until time.Time) (stream.Outcome, error) {
	if len(rec.Hash) < idLength {
		return stream.Outcome{}, fmt.Errorf("outcome of %s: the record has no hash", rec.Subject)
	}
	what := of(rec.Subject)
	state, due := told(rec)
	e := cloudEvent{
		SpecVersion: event.CloudEventsVersionV1, ID: rec.Hash[:idLength], Source: Source, Type: Type(what, state),
		Subject: plan.Event.Subject, Time: rec.Time.UTC(), Sequence: fmt.Sprintf("%020d", seq), ContentType: event.ApplicationJSON,
		Data: dataOf(rec, plan, until),
	}
	e.Data.DueBy = due
	wire, err := json.Marshal(e)
	if err != nil {
		return stream.Outcome{}, fmt.Errorf("outcome of %s: %w", rec.Subject, err)
	}
	return stream.Outcome{ID: e.ID, Of: what, State: string(state), Data: wire}, nil
}

// dataOf gathers what an outcome event says.
func dataOf(rec ledger.Record, plan events.Plan, until time.Time) Data {
	d := Data{
		Case: ledger.CaseOf(rec.Subject), Event: plan.Event.Name(), Source: plan.Event.Scope, Class: plan.Class, Playbooks: plan.Playbooks,
		State: rec.State, Reason: rec.Reason, By: rec.By, Attempts: rec.Attempts, Until: until, Record: rec.Hash,
	}
	if of(rec.Subject) == ofAction {
		d.Action = ledger.Entry(rec.Subject)
		for _, a := range plan.Actions {
			if a.ID == d.Action {
				d.Step, d.Do, d.Connection, d.Class, d.Playbooks = a.Step, a.Do, a.Connection, a.Class, []string{a.Playbook}
			}
		}
	}
	if rec.Evidence != nil {
		d.prove(rec)
	}
	return d
}

// prove adds what the evidence of an action says.
func (d *Data) prove(rec ledger.Record) {
	d.Changes = len(rec.Evidence.Applied)
	d.Until = latest(d.Until, rec.Residual())
	if f := rec.Evidence.Failure; f != nil {
		d.Failure = &Failure{Cause: f.Cause, Status: f.Status, RequestID: f.RequestID, Suggestion: f.Advice(rec.State)}
	}
}
