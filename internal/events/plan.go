package events

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"time"
)

// Plan is what the playbooks give for an event: the actions, in order. It stands verbatim in the ledger, and once it
// stands there it alone is published.
type Plan struct {
	Case        string    `json:"case"`
	Event       Event     `json:"event"`
	Hash        string    `json:"hash"` // the event's ContentHash
	Accepted    time.Time `json:"accepted"`
	Class       Class     `json:"class"`
	EffectiveAt time.Time `json:"effective_at,omitzero"` // zero = at once
	Config      string    `json:"config,omitempty"`      // which playbooks made it: the short hash of their file; part of no id
	Playbooks   []string  `json:"playbooks,omitempty"`   // names of those that matched; their actions follow
	Actions     []Action  `json:"actions,omitempty"`
	SLA         Span      `json:"sla,omitzero"`       // in which it is to be verified, from Began; 0 = nothing is said
	DryRuns     []DryRun  `json:"dry_runs,omitempty"` // what playbooks on trial would have done
}

// Shown names what the plan would do, as a person who approves it has seen it: another list of actions has another name.
func (p Plan) Shown() string {
	b, err := json.Marshal(p.Actions)
	if err != nil {
		return "" // parameters that are no JSON: no plan that was ever stored
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:16])
}

// Began is the moment from which a case's clock counts: the later of acceptance and effective time.
func (p Plan) Began() time.Time {
	if p.EffectiveAt.After(p.Accepted) {
		return p.EffectiveAt
	}
	return p.Accepted
}

// DueBy is when the case is to be verified; zero = nothing is said.
func (p Plan) DueBy() time.Time {
	if p.SLA <= 0 || p.Accepted.IsZero() {
		return time.Time{}
	}
	return p.Began().Add(time.Duration(p.SLA)).UTC()
}

// DryRun is what a playbook that says dry_run would have done. It stands beside the plan's actions and never among
// them: whatever publishes, guards, counts or runs actions does not see it.
type DryRun struct {
	Playbook string   `json:"playbook"`
	Actions  []Action `json:"actions,omitempty"`
	Fault    string   `json:"fault,omitempty"` // why it could not be applied to this event; then it has no actions
}

// Action is a desired end state at one connection.
type Action struct {
	ID         string          `json:"id"` // ActionID: stable for ever
	Case       string          `json:"case"`
	Playbook   string          `json:"playbook"`
	Step       string          `json:"step"`
	Do         string          `json:"do"` // the kind: "okta.suspend_user"
	Connection string          `json:"connection"`
	Class      Class           `json:"class"`
	Target     string          `json:"target"`            // whom or what it acts upon; a lane runs one action per target at a time
	With       json.RawMessage `json:"with,omitempty"`    // the kind's parameters, resolved
	After      []string        `json:"after,omitempty"`   // ids of the actions that must be terminal before this one is published
	OnDead     OnDead          `json:"on_dead,omitempty"` // what a dead predecessor means for this action
	Redrive    int             `json:"redrive,omitempty"` // how often a person sent it again

	Recheck   []Span    `json:"recheck,omitempty"`   // how long after it was verified it is looked at again, in rising order
	Regressed Regressed `json:"regressed,omitempty"` // what is done when such a look finds it undone
	Visit     *Visit    `json:"visit,omitempty"`     // of a message that asks for another look; never in a plan
	Sole      *Sole     `json:"sole,omitempty"`      // of the message of a plan's only action; never in a plan
}

// Sole goes with the only action of a plan: the case's own record as it stood when the action was sent, which says that the
// case is open. Whoever ends the action ends the case by it, and reads neither plan nor case first: a record that
// came between refuses the one that is written behind this one. It is for the process that sent it alone: what a power cut took
// off the disk, or a backup is without, no process saw that goes on.
type Sole struct {
	Process string          `json:"process"` // unique id of the process
	Seq     uint64          `json:"seq"`
	Hash    string          `json:"hash"`
	Body    json.RawMessage `json:"body,omitempty"`
}

// Visit asks for another look at an action that reached its end state.
type Visit struct {
	At   time.Time `json:"at"`   // when it was due
	Kind VisitKind `json:"kind"` // what for
}

// VisitKind is what a visit is for.
type VisitKind string

const (
	// VisitResidual looks once more when access that outlived the action ends, by what its proof said.
	VisitResidual VisitKind = "residual"
	// VisitRecheck looks whether the end state still holds.
	VisitRecheck VisitKind = "recheck"
)

// Regressed says what is done when the end state of an action does not hold any more.
type Regressed string

const (
	// Alert is the default: a person decides.
	Alert Regressed = "alert"
	// Act alerts, and brings the end state about again.
	Act Regressed = "act"
)

// Span is a length of time, written as in "24h0m0s".
type Span time.Duration

// Rechecks are the spans of Recheck.
func (a Action) Rechecks() []time.Duration {
	list := make([]time.Duration, len(a.Recheck))
	for i, after := range a.Recheck {
		list[i] = time.Duration(after)
	}
	return list
}

// MarshalText writes the span as package time does.
func (s Span) MarshalText() ([]byte, error) { return []byte(time.Duration(s).String()), nil }

// UnmarshalText reads what MarshalText writes.
func (s *Span) UnmarshalText(text []byte) error {
	d, err := time.ParseDuration(string(text))
	*s = Span(d)
	return err
}

// OnDead says what the death of an action means for those after it.
type OnDead string

const (
	// Continue is the default: a dead predecessor does not stop its successors, unless they destroy (rule 5 of
	// docs/ARCHITECTURE.md, "when things die").
	Continue OnDead = "continue"
	// Stop holds the successors until the dead one is redriven.
	Stop OnDead = "stop"
)

// ActionID joins case, playbook and step by a colon, which none of them may contain. It is a NATS subject token.
func ActionID(caseID, playbook, step string) string { return caseID + ":" + playbook + ":" + step }

// First gives the actions that wait for nobody: what a planner publishes.
func (p Plan) First() []Action {
	var first []Action
	for _, a := range p.Actions {
		if len(a.After) == 0 {
			first = append(first, a)
		}
	}
	return first
}

// Before gives the actions that a goes after, directly or behind others, by their ids: a person may send one of them again when
// those between have ended. A plan lists an action behind those that it waits for.
func (p Plan) Before(a Action) []string {
	before := slices.Clone(a.After)
	for _, o := range slices.Backward(p.Actions) {
		if !slices.Contains(before, o.ID) {
			continue
		}
		for _, id := range o.After {
			if !slices.Contains(before, id) {
				before = append(before, id)
			}
		}
	}
	return before
}

// Action finds an action of the plan by its id.
func (p Plan) Action(id string) (Action, bool) {
	for _, a := range p.Actions {
		if a.ID == id {
			return a, true
		}
	}
	return Action{}, false
}
