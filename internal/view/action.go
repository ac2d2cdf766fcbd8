package view

import (
	"strings"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
)

// ActionView is where one action stands, and what proves it.
type ActionView struct {
	ID         string       `json:"action"`
	Playbook   string       `json:"playbook"`
	Step       string       `json:"step"`
	Do         string       `json:"do"` // the kind: "okta.suspend_user"
	Connection string       `json:"connection"`
	Target     string       `json:"target"`
	After      []string     `json:"after,omitempty"` // ids of the actions that it waits for
	State      ledger.State `json:"state"`           // planned while it has no record of its own
	Since      time.Time    `json:"since,omitzero"`  // when it came to stand there
	By         string       `json:"by,omitempty"`    // the worker or operator who wrote that
	Reason     string       `json:"reason,omitempty"`
	Started    time.Time    `json:"started,omitzero"` // when it was first begun
	Tries      int          `json:"tries"`            // how often it was begun, waiting included
	Attempts   int          `json:"attempts"`         // how many tries were charged to it
	Redriven   int          `json:"redriven,omitempty"`
	TookMS     *int64       `json:"took_ms,omitempty"` // from the case's beginning to its end state

	Pins     map[string]string `json:"pins,omitempty"`     // the provider's ids that it acts upon
	Seen     []ledger.Fact     `json:"seen,omitempty"`     // what the last look showed
	Needed   []string          `json:"needed,omitempty"`   // changes that the last look still asked for
	Applied  []ledger.Effect   `json:"applied,omitempty"`  // changes made, over all attempts
	Residual []ledger.Residual `json:"residual,omitempty"` // access that outlives it
	Failure  *ledger.Failure   `json:"failure,omitempty"`  // why it waits or died; absent once it is done
	Pending  string            `json:"pending,omitempty"`  // a change whose outcome is not known yet

	Proven    time.Time `json:"proven,omitzero"`     // when it reached its end state
	Looked    int       `json:"looked,omitempty"`    // how many looks since showed that it holds
	Rechecks  int       `json:"rechecks,omitempty"`  // how many the playbook asks for
	NextLook  time.Time `json:"next_look,omitzero"`  // when it is looked at again
	Residuals bool      `json:"next_ends,omitempty"` // that look is made because access that outlives it ends
	Unwatched string    `json:"unwatched,omitempty"` // why it is not re-checked any more
}

// Suggestion is what a person should do next; empty when nothing.
func (a ActionView) Suggestion() string {
	if a.Failure == nil {
		return ""
	}
	return a.Failure.Advice(a.State)
}

// newActionView folds the records of an action, oldest first. What one record does not repeat stays as an earlier one
// put it: a redrive keeps the pins and the changes of the attempts before it.
func newActionView(a events.Action, recs []ledger.Record, began time.Time, unwatched string) ActionView {
	v := ActionView{ID: a.ID, Playbook: a.Playbook, Step: a.Step, Do: a.Do, Connection: a.Connection,
		Target: a.Target, After: a.After, State: ledger.Planned}
	if v.Step == "" {
		v.Step = stepOf(a.ID)
	}
	for _, rec := range recs {
		v.State, v.Since, v.By, v.Reason = rec.State, utc(rec.Time), rec.By, rec.Reason
		v.Tries, v.Attempts = max(v.Tries, rec.Tries), max(v.Attempts, rec.Attempts)
		if v.Started.IsZero() && begun(rec) {
			v.Started = utc(rec.Time)
		}
		if rec.State == ledger.Redriven {
			v.Redriven++
		}
		v.take(rec.Evidence)
		v.Residual = rec.Residual()
	}
	if v.State.Achieved() {
		v.rest(a, recs[len(recs)-1], unwatched)
		v.TookMS = since(began, v.Proven)
	}
	return v
}

// rest tells what an action that reached its end state still waits for.
func (v *ActionView) rest(a events.Action, last ledger.Record, unwatched string) {
	v.Failure, v.Needed, v.Proven, v.Rechecks = nil, nil, utc(last.Proven()), len(a.Recheck)
	rechecks := a.Rechecks()
	if unwatched != "" {
		rechecks = nil
		if len(a.Recheck) > 0 {
			v.Unwatched = unwatched
		}
	}
	v.NextLook, v.Residuals = last.NextLook(rechecks)
	if last.Evidence == nil || last.Evidence.Looks == nil {
		return
	}
	v.Looked = last.Evidence.Looks.Made
	v.Failure = last.Evidence.Failure // a look that could not be made
}

// take puts a record's evidence over what stood before. Pending holds for its own record only.
func (v *ActionView) take(e *ledger.Evidence) {
	v.Pending = ""
	if e == nil {
		return
	}
	v.Pending = e.Pending
	if len(e.Pins) > 0 {
		v.Pins = e.Pins
	}
	if len(e.Seen) > 0 {
		v.Seen, v.Needed = e.Seen, e.Needed
	}
	if len(e.Applied) > 0 {
		v.Applied = e.Applied
	}
	if e.Failure != nil {
		v.Failure = e.Failure
	}
}

// stepOf gives the step in an action id, which is case, playbook and step joined by colons (events.ActionID).
func stepOf(actionID string) string {
	return actionID[strings.LastIndexByte(actionID, ':')+1:]
}
