package replay

import (
	"encoding/json"
	"fmt"
	"sync"

	"keyturn/internal/events"
)

// Plans collects what the ledger says of the cases of a history, record by record. It is safe for concurrent use, but
// the records of one case must come in their order.
type Plans struct {
	mu   sync.Mutex
	past map[string]Past
}

// NewPlans begins without any.
func NewPlans() *Plans { return &Plans{past: map[string]Past{}} }

// planBody is what of a plan's record is compared.
type planBody struct {
	Actions []events.Action `json:"actions"`
	Hold    *struct {
		Unheard bool              `json:"unheard"` // it waits for a second source
		Pauses  []string          `json:"pauses"`  // an operator has stopped it
		Given   []json.RawMessage `json:"given"`   // what people said to it
		Doubt   bool              `json:"doubt"`   // it asks for nothing, and took the place of one that did
	} `json:"hold"`
}

// open reports whether the decision is not the last that the rules have to say: an event of another source, or the end
// of a pause, lets them decide again.
func (b planBody) open(s State) bool {
	return s == Scheduled || s == Held && b.Hold != nil && (b.Hold.Unheard || len(b.Hold.Pauses) > 0)
}

// Add takes the next record of a case's plan: its state, its reason and its body. A plan that was held and let go by
// people was held by the rules; one that waits for its day, or for a second source, is what it is shown as until then.
func (p *Plans) Add(caseID, state, why string, body []byte) error {
	p.mu.Lock()
	before, known := p.past[caseID]
	p.mu.Unlock()
	now := Past{State: state, Outcome: before.Outcome, open: before.open, paused: before.paused, doubt: before.doubt}
	switch s := State(state); s {
	case Planned, Held, Refused, Scheduled:
		if known && before.Outcome != nil && !before.open {
			break
		}
		var b planBody
		if err := json.Unmarshal(body, &b); err != nil {
			return fmt.Errorf("plan of case %s: %w", caseID, err)
		}
		if s == Planned && b.Hold != nil && len(b.Hold.Given) > 0 && before.Outcome != nil && before.Outcome.State == Held {
			now.open = false // people let it go
			break
		}
		now.Outcome = &Outcome{State: s, Why: why, Steps: Steps(b.Actions)}
		now.open, now.paused, now.doubt = b.open(s), b.Hold != nil && len(b.Hold.Pauses) > 0, b.Hold != nil && b.Hold.Doubt
	}
	p.mu.Lock()
	p.past[caseID] = now
	p.mu.Unlock()
	return nil
}

// Of gives what the ledger says of a case.
func (p *Plans) Of(caseID string) (Past, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	past, ok := p.past[caseID]
	return past, ok
}

// Undecided notes that the ledger knows no plan of a case.
func (p *Plans) Undecided(caseID string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.past[caseID] = Past{}
}

// Apart gives the reason why a case is not compared: it was decided by what no playbook says. Empty = it is.
func (p Past) Apart() string {
	switch {
	case p.Outcome == nil && p.State == "":
		return "undecided"
	case p.paused:
		return "paused"
	case p.doubt:
		return "in doubt"
	case p.Outcome == nil, p.State == "superseded", p.State == "conflict", p.State == "cancelled" && p.Outcome.State == Scheduled:
		return p.State
	}
	return ""
}

// Heard reports whether a case that is set apart is a word about its person all the same: a newer event decided in its
// place, and it was said.
func (p Past) Heard() bool { return p.State == "superseded" }
