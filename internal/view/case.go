package view

import (
	"context"
	"fmt"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
)

// CaseView is everything that the ledger tells about one case. It begins with the fields of its row.
type CaseView struct {
	CaseRow
	Source   Source       `json:"source"`             // who sent the event
	Decision Decision     `json:"decision"`           // how the plan came to stand where it does
	Actions  []ActionView `json:"actions"`            // in the order of the plan
	Residual []Residual   `json:"residual,omitempty"` // access that outlives the done actions
	Chain    Chain        `json:"chain"`              // whether the records are what was written
	Timeline []Moment     `json:"timeline"`           // everything, in order
}

// Source says who sent the event, and under which name.
type Source struct {
	Scope   string `json:"scope"`    // the configured source (or its dedup_scope)
	Source  string `json:"source"`   // the CloudEvents source
	EventID string `json:"event_id"` // the CloudEvents id
	Hash    string `json:"hash"`     // what it says: another hash under the same case is a conflict
}

// Residual is access that outlives a done action.
type Residual struct {
	Action string    `json:"action"` // the action's id
	What   string    `json:"what"`
	Until  time.Time `json:"until,omitzero"` // absent = the provider does not say
}

// Chain says whether the case's records are what was written, in the order in which it was written.
type Chain struct {
	Verified bool            `json:"verified"`
	Records  int             `json:"records"`
	Broken   []ledger.Broken `json:"broken,omitempty"`
}

// Case tells everything about the case that id (or the unique beginning of one) names. It returns ErrNotFound,
// ErrAmbiguous or ErrNotID where there is none to tell about.
func (r *Reader) Case(ctx context.Context, id string) (CaseView, error) {
	id, err := r.Resolve(ctx, id)
	if err != nil {
		return CaseView{}, err
	}
	var recs []ledger.Record
	err = r.ledger.Range(ctx, ledger.CaseFilter(id), time.Time{}, func(rec ledger.Record) error {
		recs = append(recs, rec)
		return nil
	})
	if err != nil {
		return CaseView{}, fmt.Errorf("case %s: %w", id, err)
	}
	if len(recs) == 0 {
		return CaseView{}, fmt.Errorf("case %s: %w", id, ErrNotFound)
	}
	v := newCaseView(id, recs)
	n, broken, err := r.ledger.Verify(ctx, ledger.CaseFilter(id))
	if err != nil {
		return CaseView{}, fmt.Errorf("case %s: %w", id, err)
	}
	v.Chain = Chain{Verified: len(broken) == 0, Records: n, Broken: broken}
	return v, nil
}

// newCaseView computes the view from the case's records, oldest first.
func newCaseView(id string, recs []ledger.Record) CaseView {
	f := newFold(id)
	byAction := map[string][]ledger.Record{}
	for _, rec := range recs {
		f.add(rec)
		if entry := ledger.Entry(rec.Subject); entry != "plan" && entry != "lifecycle" {
			byAction[entry] = append(byAction[entry], rec)
		}
	}
	p := f.plan
	v := CaseView{
		CaseRow:  f.row(),
		Source:   Source{Scope: p.Event.Scope, Source: p.Event.Source, EventID: p.Event.ID, Hash: p.Hash},
		Decision: newDecision(f.planRec, p),
		Actions:  []ActionView{},
	}
	life, _ := f.life.Life() // one that cannot be read hides nothing else
	for _, actionID := range f.actionIDs() {
		a, ok := p.Action(actionID)
		if !ok {
			a = events.Action{ID: actionID, Case: id}
		}
		step := newActionView(a, byAction[actionID], v.Began(), life.Unwatched)
		v.Actions = append(v.Actions, step)
		for _, res := range step.Residual {
			v.Residual = append(v.Residual, Residual{Action: actionID, What: res.What, Until: utc(res.Until)})
		}
	}
	v.Timeline = timeline(p.Plan, recs)
	return v
}
