// Package ledger is the append-only record of everything that Keyturn decides and does: the state of each plan, case
// and action, and the proof behind it.
//
// One subject holds one thing's history; its last record is its state. Append is a compare-and-swap on the last
// record, so that two writers can never both believe that they decided. Records of a subject are chained by SHA-256:
// a record that was changed, dropped or slipped in shows. No record, no act; no record, no success.
//
// It knows nobody of ours: whoever stores the records implements Log.
package ledger

import (
	"encoding/json"
	"time"
)

// Record is one step of one thing. What is empty does not apply.
type Record struct {
	Subject  string          `json:"subject"`            // what it is about (subject.go)
	State    State           `json:"state"`              // what holds from now on
	Time     time.Time       `json:"time"`               // when it was written, by the writer's clock
	By       string          `json:"by"`                 // the worker or operator who wrote it
	Attempt  string          `json:"attempt,omitempty"`  // unique id of the attempt that wrote it: how a writer knows its own record again
	Tries    int             `json:"tries,omitempty"`    // how often the action was begun, waiting included
	Attempts int             `json:"attempts,omitempty"` // how many tries were charged to it
	Epoch    uint64          `json:"epoch,omitempty"`    // lease epoch under which it was written
	Reason   string          `json:"reason,omitempty"`   // why, for a person
	Evidence *Evidence       `json:"evidence,omitempty"` // of an action
	Body     json.RawMessage `json:"body,omitempty"`     // of a plan record the plan; of a person's order the order
	Prev     string          `json:"prev"`               // hash of the record before it on this subject; empty for the first
	Hash     string          `json:"hash"`               // SHA-256, hex, over everything above

	Seq uint64 `json:"-"` // where the log keeps it; 0 = not stored
}

// Evidence is what proves, or disproves, that an action's end state holds.
type Evidence struct {
	Pins     map[string]string `json:"pins,omitempty"`     // the provider's ids, fixed at the first resolve
	Seen     []Fact            `json:"seen,omitempty"`     // what the last observation showed, positive controls included
	Needed   []string          `json:"needed,omitempty"`   // changes that were still needed, as "call target"
	Applied  []Effect          `json:"applied,omitempty"`  // changes made over all attempts
	Residual []Residual        `json:"residual,omitempty"` // access that outlives it
	Failure  *Failure          `json:"failure,omitempty"`  // why it waits or died
	Pending  string            `json:"pending,omitempty"`  // in `started`: the non-idempotent change about to be made, as "call target"
	Looks    *Looks            `json:"looks,omitempty"`    // of an action that was looked at again after it reached its end state
}

// Fact is one thing that a read of the provider showed. Value never holds a secret.
type Fact struct {
	What  string `json:"what"`  // "user 00u1 status", "refresh tokens of 00u1 at default/0oa2"
	Value string `json:"value"` // "SUSPENDED", "0"
}

// Effect is one change that was made.
type Effect struct {
	Call      string    `json:"call"`
	Target    string    `json:"target"`
	RequestID string    `json:"request_id,omitempty"`
	Time      time.Time `json:"time"`
	Blind     bool      `json:"blind,omitempty"` // its end state cannot be read back
	// NoReply: it was intended, no reply to it was recorded, and a later look showed that it is not needed any more.
	NoReply bool `json:"no_reply,omitempty"`
	Past    bool `json:"past,omitempty"` // made before a person or a re-check sent the action again
}

// Residual is access that outlives a done action.
type Residual struct {
	What  string    `json:"what"`
	Until time.Time `json:"until,omitzero"` // zero = the provider does not say
}

// Failure is why an action waits or died.
type Failure struct {
	Cause      string    `json:"cause"`
	Op         string    `json:"op,omitempty"`
	Status     int       `json:"status,omitempty"`
	Code       string    `json:"code,omitempty"`
	RequestID  string    `json:"request_id,omitempty"`
	Error      string    `json:"error"`
	RetryAt    time.Time `json:"retry_at,omitzero"`
	Suggestion string    `json:"suggestion,omitempty"`
}

// Protected is the cause of a failure that is a refusal: the target, as it was found at the provider, is protected.
const Protected = "protected"

// Advice is what a person should do about an action that stands in state s and failed so; empty when nothing. One that was
// given up keeps what it had failed of, and is not sent again; only what a lane gave up itself still asks for something.
func (f Failure) Advice(s State) string {
	if s == Cancelled && f.Cause != Protected {
		return ""
	}
	return f.Suggestion
}
