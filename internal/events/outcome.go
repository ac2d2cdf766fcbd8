package events

import (
	"encoding/json"
	"time"
)

// Verdict is what a handler wants done with its message. The zero value loses nothing.
type Verdict uint8

const (
	// Retry gives the message back, to come again after Outcome.Delay.
	Retry Verdict = iota
	// Done acknowledges it, after everything that the handler wrote is on disk.
	Done
	// Abandon leaves the message as it is: the holder lost its lease and may not even speak of it any more. The
	// server delivers it again after its ack wait.
	Abandon
)

// Outcome is a handler's answer. Only stream's settle acknowledges a message, by this.
type Outcome struct {
	Verdict Verdict
	Delay   time.Duration // for Retry
	Err     error         // why, for the log; never shown to a sender
}

// DeadLetter is what cannot be done without a person: an action, a conflicting event, or a delivery that could not be
// mapped. It holds no secret and no body of a secret-bearing endpoint.
type DeadLetter struct {
	ID         string          `json:"id"`                   // action id, case id of a conflict, or id of a mapping fault
	Kind       string          `json:"kind"`                 // "action", "conflict" or "fault"
	Case       string          `json:"case,omitempty"`       //
	Connection string          `json:"connection,omitempty"` // of an action
	Source     string          `json:"source,omitempty"`     // the event's Scope, or the name of a fault's source; empty in actions that died before letters had it
	Do         string          `json:"do,omitempty"`         // of an action
	Principal  string          `json:"principal,omitempty"`
	Cause      string          `json:"cause"` // apiclient cause word, "conflict" or "mapping"
	Status     int             `json:"status,omitempty"`
	RequestID  string          `json:"request_id,omitempty"`
	Error      string          `json:"error"`
	Suggestion string          `json:"suggestion"` // what a person should do next
	Attempts   int             `json:"attempts,omitempty"`
	Time       time.Time       `json:"time"`
	Original   json.RawMessage `json:"original,omitempty"` // the action or event, to be sent again
}

// The kinds of dead letters.
const (
	DeadAction   = "action"
	DeadConflict = "conflict"
	DeadFault    = "fault"
)

// Verb is what an operator's command does.
type Verb string

// The verbs that the planner works off.
const (
	Approve     Verb = "approve" // a held plan goes on
	Deny        Verb = "deny"    // a held plan is cancelled
	RedriveVerb Verb = "redrive" // a dead action is sent again
	Drop        Verb = "drop"    // a dead letter is given up
	Cancel      Verb = "cancel"  // a case's pending work is cancelled
	Pause       Verb = "pause"   // all, a connection, a playbook or a source stands still
	Resume      Verb = "resume"  // and goes on
	Unmerge     Verb = "unmerge" // names that were taken for one person's are taken apart

	// Withdraw cancels a case because its event was never true: it may have come from who had no right to send it. What it
	// took back is decided anew also when something of its own had begun, or when it lists what older events had begun,
	// which Cancel takes for seen to.
	Withdraw Verb = "withdraw"
)

// Command is what an operator asks for: a durable message on COMMANDS, worked off like an event.
type Command struct {
	ID     string    `json:"id"` // unique: a command repeated with the same id is one command
	Verb   Verb      `json:"verb"`
	Target string    `json:"target"` // a case id; for redrive and drop a dead letter's id; for pause and resume what they are about
	Actor  string    `json:"actor"`  // who asks
	Reason string    `json:"reason,omitempty"`
	Time   time.Time `json:"time"`
	Until  time.Time `json:"until,omitzero"` // of a pause: when it ends by itself
	// Lasts is how long a pause holds from when the broker took the command, in nanoseconds: whoever asks may have a clock
	// that is wrong. 0 = it ends at Until; otherwise Until is what the machine of the actor takes for the end.
	Lasts time.Duration `json:"lasts,omitempty"`
	// Shown names what the actor has seen: Plan.Shown of what is approved, the death that is redriven; empty = nobody says.
	Shown string `json:"shown,omitempty"`
	// Behind are commands that were given with this one and are worked off before it, by their ids: no order is kept otherwise.
	Behind []string `json:"behind,omitempty"`
}

// Fault is a delivery of a source that could not be mapped: the only other thing that ingest may publish.
type Fault struct {
	ID     string          `json:"id"` // stable under resend: hash of source, body and what else the mapping sees
	Source string          `json:"source"`
	Error  string          `json:"error"`
	Time   time.Time       `json:"time"`
	Body   json.RawMessage `json:"body,omitempty"` // redacted
}
