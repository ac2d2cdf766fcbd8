package ledger

import (
	"encoding/json"
	"time"
)

// Looks says what became of an action after it reached its end state.
type Looks struct {
	Proven time.Time `json:"proven"`         // when it reached it
	Until  time.Time `json:"until"`          // every look that was due until then is made, or never will be
	Made   int       `json:"made,omitempty"` // how many showed that it holds
	// Failing is set while the look that is due fails and is made again.
	Failing *Failing `json:"failing,omitempty"`
}

// Failing says for how long a look fails. It moves none of the times at which looks are due.
type Failing struct {
	Tries int       `json:"tries"` // that were charged to the look
	Since time.Time `json:"since"` // when the first one was, as if the look had been tried ever since
	Again time.Time `json:"again"` // before then it is not tried again
}

// Proven is when the action of rec, which reached its end state, did so; looks after that do not move it.
func (r Record) Proven() time.Time {
	if r.Evidence != nil && r.Evidence.Looks != nil {
		return r.Evidence.Looks.Proven
	}
	return r.Time
}

// Residual is the access that outlives the action whose last record this is. Of one that did not reach its end state, or was
// given up since, no access is said to outlive it: nothing looks at what an earlier look had seen to.
func (r Record) Residual() []Residual {
	if !r.State.Achieved() || r.Evidence == nil {
		return nil
	}
	return r.Evidence.Residual
}

// NextLook is when an action whose last record this is, and which reached its end state, is to be looked at next, and
// whether access that outlives it ends then; zero = never. It follows from the record and from how long after the proof
// the action is to be re-checked, so that it is the same for whoever asks. What nobody can read back is not re-checked:
// there is nothing to see.
func (r Record) NextLook(rechecks []time.Duration) (at time.Time, residual bool) {
	if !r.State.Achieved() || r.Evidence == nil {
		return at, false
	}
	add := func(t time.Time, ends bool) {
		made := r.Evidence.Looks != nil && !t.After(r.Evidence.Looks.Until)
		if !t.IsZero() && !made && (at.IsZero() || t.Before(at)) {
			at, residual = t.UTC().Round(0), ends
		}
	}
	for _, left := range r.Residual() {
		add(left.Until, true)
	}
	if r.State == Verified {
		for _, after := range rechecks {
			add(r.Proven().Add(after), false)
		}
	}
	return at, residual
}

// Life is the body of a case's own records.
type Life struct {
	Accepted time.Time `json:"accepted,omitzero"`
	// Unwatched says why the case's actions are not looked at again although they were to be: a newer event of the
	// same person decides, or a person cancelled the case. Once it is said it stays.
	Unwatched string `json:"unwatched,omitempty"`
	Late      *Late  `json:"late,omitempty"` // of a case that nears, or missed, the time in which it was to be verified
}

// Late says that a case was not verified in time. Records after the one that said so first repeat it.
type Late struct {
	Said   string    `json:"said"`             // Attempt of the record that said so first
	Due    time.Time `json:"due"`              // when it was to be verified
	Missed bool      `json:"missed,omitempty"` // the time is over, not only near
}

// Says reports whether it is this record that says first that its case is late, and not one that repeats it.
func (r Record) Says(l *Late) bool { return l != nil && r.Attempt != "" && r.Attempt == l.Said }

// Life reads the body of a case's own record; one without a body says nothing.
func (r Record) Life() (l Life, err error) {
	if len(r.Body) > 0 {
		err = json.Unmarshal(r.Body, &l)
	}
	return l, err
}
