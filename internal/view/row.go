package view

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
)

// CaseRow is a case in one line.
type CaseRow struct {
	ID        string       `json:"case"`             // the case id
	Event     string       `json:"event"`            // catalogue name: "user.terminated"
	Principal string       `json:"principal"`        // whom or what it is about: "user:maria@acme.example"
	Class     events.Class `json:"class"`            // urgent, normal or bulk
	State     ledger.State `json:"state"`            // of the case: open, closed, closed_with_residual, needs_person
	Plan      ledger.State `json:"plan,omitempty"`   // of the plan: planned, held, scheduled, refused …; empty while nothing was decided
	Reason    string       `json:"reason,omitempty"` // why the plan or the case stands there, for a person
	Tally     Tally        `json:"tally"`            // how many of its actions stand where

	Happened    time.Time `json:"happened,omitzero"`     // when the event happened, by the sender's clock
	Accepted    time.Time `json:"accepted,omitzero"`     // when it was answered 202: on disk
	EffectiveAt time.Time `json:"effective_at,omitzero"` // when it takes effect; absent = at once
	Planned     time.Time `json:"planned,omitzero"`      // when the plan was put down
	Started     time.Time `json:"started,omitzero"`      // when the first action began
	Verified    time.Time `json:"verified,omitzero"`     // when the last action reached its end state; absent while one has not
	Rested      time.Time `json:"rested,omitzero"`       // when the case closed or came to need a person

	// The waits, counted from the moment when the case could begin: the later of accepted and effective_at.
	PlannedMS  *int64 `json:"planned_ms,omitempty"`
	StartedMS  *int64 `json:"started_ms,omitempty"`
	VerifiedMS *int64 `json:"verified_ms,omitempty"`

	SLAMS *int64    `json:"sla_ms,omitempty"` // in which the case is to be verified, by the playbooks that planned it
	DueBy time.Time `json:"due_by,omitzero"`  // when that is over
	Late  *bool     `json:"late,omitempty"`   // whether it was: false once it is verified in time; absent while nobody knows

	HeldAt time.Time `json:"held_at,omitzero"` // of a plan that is held: when it came to be, or got its last word
	Hold   *Hold     `json:"hold,omitempty"`   // of a plan that is held
	Shown  string    `json:"shown,omitempty"`  // of a plan that is held: what an approval of it names, so that it lets nothing else go

	ResidualUntil time.Time `json:"residual_until,omitzero"` // when the last residual ends, where the provider says so
}

// Tally counts a case's actions by where they stand.
type Tally struct {
	Total     int `json:"total"`
	Done      int `json:"done"`      // verified or applied
	Open      int `json:"open"`      // planned, started, redriven or regressed
	Waiting   int `json:"waiting"`   // told to wait, or between two attempts
	Dead      int `json:"dead"`      // dead or contested: a person is needed
	Cancelled int `json:"cancelled"` //
}

// Standing is the one word that says most: the plan's state while it has not gone out, else the case's; and that one where
// an event that another overtook has something for a person.
func (r CaseRow) Standing() ledger.State {
	switch r.Plan {
	case "", ledger.Planned:
		return r.State
	case ledger.Superseded, ledger.Cancelled:
		if r.State == ledger.NeedsPerson { // it lists what had begun
			return r.State
		}
	}
	return r.Plan
}

// Resting reports whether nothing more will happen unless somebody acts: the case is closed, or a person is needed.
func (r CaseRow) Resting() bool {
	switch r.Plan {
	case ledger.Held, ledger.Refused, ledger.Superseded, ledger.Cancelled, ledger.Conflict:
		return true
	}
	return r.State == ledger.Closed || r.State == ledger.ClosedWithResidual || r.State == ledger.NeedsPerson
}

// Began is the moment from which the case's waits count: the later of accepted and effective_at.
func (r CaseRow) Began() time.Time {
	if r.EffectiveAt.After(r.Accepted) {
		return r.EffectiveAt
	}
	return r.Accepted
}

// fold gathers the records of one case, in the order in which they were written.
type fold struct {
	id      string
	plan    plan
	bad     error // the plan's body cannot be read
	planRec ledger.Record
	life    ledger.Record
	planned time.Time
	started time.Time
	// verified is when the case was first closed with all of its actions done.
	verified time.Time
	last     map[string]ledger.Record // by action id
}

// newFold begins a case.
func newFold(id string) *fold { return &fold{id: id, last: map[string]ledger.Record{}} }

// add takes the next record of the case.
func (f *fold) add(rec ledger.Record) {
	switch entry := ledger.Entry(rec.Subject); entry {
	case "plan":
		f.addPlan(rec)
	case "lifecycle":
		f.life = rec
		if t := f.tally(); f.verified.IsZero() && (rec.State == ledger.Closed || rec.State == ledger.ClosedWithResidual) && t.Total > 0 && t.Done == t.Total {
			f.verified = rec.Time
		}
	default:
		if begun(rec) && f.started.IsZero() {
			f.started = rec.Time
		}
		f.last[entry] = rec
	}
}

// addPlan takes a plan record. Its body is the plan as it stood then; a record without one leaves it.
func (f *fold) addPlan(rec ledger.Record) {
	f.planRec = rec
	if rec.State == ledger.Planned && f.planned.IsZero() {
		f.planned = rec.Time
	}
	if len(rec.Body) == 0 {
		return
	}
	var p plan
	if err := json.Unmarshal(rec.Body, &p); err != nil {
		f.bad = err
		return
	}
	f.plan, f.bad = p, nil
}

// row computes the line.
func (f *fold) row() CaseRow {
	p := f.plan
	r := CaseRow{
		ID: f.id, Event: p.Event.Name(), Principal: p.Event.Subject, Class: p.Class,
		State: f.life.State, Plan: f.planRec.State, Reason: f.reason(), Tally: f.tally(),
		Happened: utc(p.Event.Time), Accepted: utc(p.Accepted), EffectiveAt: utc(p.EffectiveAt),
		Planned: utc(f.planned), Started: utc(f.started),
	}
	if r.State == "" {
		r.State = ledger.Open
	}
	if r.Plan == ledger.Held {
		r.HeldAt, r.Hold, r.Shown = utc(f.planRec.Time), p.Hold, p.Shown()
	}
	if r.Resting() {
		r.Rested = utc(later(f.life.Time, f.planRec.Time))
	}
	for _, rec := range f.last {
		for _, res := range rec.Residual() {
			r.ResidualUntil = utc(later(r.ResidualUntil, res.Until))
		}
	}
	if r.Tally.Total > 0 && r.Tally.Done == r.Tally.Total {
		for _, rec := range f.last {
			r.Verified = utc(later(r.Verified, rec.Proven()))
		}
	}
	began := r.Began()
	r.clock(p.Plan, f.life, f.verified)
	r.PlannedMS, r.StartedMS, r.VerifiedMS = since(began, r.Planned), since(began, r.Started), since(began, r.Verified)
	return r
}

// begun reports whether a record says that its action is begun: one that fails at its first look was tried all the same.
func begun(rec ledger.Record) bool { return rec.State == ledger.Started || rec.Attempts > 0 }

// clock tells the time in which the case is to be verified, and whether it was: what came back after it was verified
// first has no clock.
func (r *CaseRow) clock(p events.Plan, life ledger.Record, first time.Time) {
	r.DueBy = p.DueBy()
	if r.DueBy.IsZero() {
		return
	}
	ms := time.Duration(p.SLA).Milliseconds()
	r.SLAMS = &ms
	body, err := life.Life()
	missed := err == nil && body.Late != nil && body.Late.Missed
	inTime := !first.IsZero() && !first.After(r.DueBy)
	if missed || inTime || !r.Verified.IsZero() {
		late := missed || !inTime && r.Verified.After(r.DueBy)
		r.Late = &late
	}
}

// reason is the case's own while it needs a person, else the plan's, and that of a plan that was decided since.
func (f *fold) reason() string {
	if f.bad != nil {
		return "the plan in the ledger cannot be read: " + f.bad.Error()
	}
	if f.life.State == ledger.NeedsPerson && f.life.Reason != "" && f.life.Seq > f.planRec.Seq {
		return f.life.Reason
	}
	return f.planRec.Reason
}

// tally counts the plan's actions; one without a record of its own is planned.
func (f *fold) tally() Tally {
	var t Tally
	for _, id := range f.actionIDs() {
		t.Total++
		switch f.last[id].State {
		case ledger.Verified, ledger.Applied:
			t.Done++
		case ledger.Waiting:
			t.Waiting++
		case ledger.Dead, ledger.Contested:
			t.Dead++
		case ledger.Cancelled:
			t.Cancelled++
		default:
			t.Open++
		}
	}
	return t
}

// actionIDs lists the actions in the plan's order, then any that only the ledger knows.
func (f *fold) actionIDs() []string {
	var ids []string
	for _, a := range f.plan.Actions {
		ids = append(ids, a.ID)
	}
	for _, id := range slices.Sorted(maps.Keys(f.last)) {
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// newestFirst orders rows by when the case came.
func newestFirst(rows []CaseRow) {
	slices.SortFunc(rows, func(a, b CaseRow) int {
		return cmp.Or(b.came().Compare(a.came()), cmp.Compare(a.ID, b.ID))
	})
}

// came is when the case was accepted. One whose event could not be planned has no plan to say so: then when it came to
// need a person.
func (r CaseRow) came() time.Time {
	if r.Accepted.IsZero() {
		return r.Rested
	}
	return r.Accepted
}

// later gives the later of two times.
func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// utc keeps a zero time zero.
func utc(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC()
}

// since is the wait in milliseconds, nil when it has not ended; never negative (two machines' clocks may differ).
func since(began, ended time.Time) *int64 {
	if began.IsZero() || ended.IsZero() {
		return nil
	}
	ms := max(0, ended.Sub(began).Milliseconds())
	return &ms
}

// sortedKeys lists a set.
func sortedKeys(set map[string]bool) []string { return slices.Sorted(maps.Keys(set)) }
