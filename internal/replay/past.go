package replay

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/playbook"
)

// Plans collects what the ledger says of the cases of a history, record by record. It is safe for concurrent use, but
// the records of one case must come in their order.
type Plans struct {
	mu   sync.Mutex
	past map[string]Past
	anew []Message
}

// NewPlans begins without any.
func NewPlans() *Plans { return &Plans{past: map[string]Past{}} }

// planBody is what of a plan's record is compared.
type planBody struct {
	Event struct {
		Type string `json:"type"`
	} `json:"event"`
	Actions []events.Action `json:"actions"`
	Hold    *struct {
		Unheard bool              `json:"unheard"` // it waits for a second source
		Pauses  []string          `json:"pauses"`  // an operator has stopped it
		Given   []json.RawMessage `json:"given"`   // what people said to it
		Until   time.Time         `json:"until"`   // when it ends by itself
		Then    string            `json:"then"`    // what becomes of it then
		Doubt   bool              `json:"doubt"`   // it asks for nothing, and it did before, or one whose place it took
	} `json:"hold"`
}

// open reports whether the decision is not the last that the rules have to say: an event of another source, or the end
// of a pause, lets them decide again.
func (b planBody) open(s State) bool {
	return s == Scheduled || s == Held && b.Hold != nil && (b.Hold.Unheard || len(b.Hold.Pauses) > 0)
}

// given reports whether people said yes to it, or none no in time where that is enough.
func (b planBody) given(at time.Time) bool {
	h := b.Hold
	return h != nil && (len(h.Given) > 0 || h.Then == "proceed" && !h.Until.IsZero() && !at.Before(h.Until))
}

// Add takes the next record of a case's plan: when it was written, its state, its reason and its body. A plan that was
// held and let go by people was held by the rules; one that waits for its day, or for a second source, is what it is shown
// as until then.
func (p *Plans) Add(caseID string, at time.Time, state, why string, body []byte) error {
	p.mu.Lock()
	before, known := p.past[caseID]
	p.mu.Unlock()
	now, err := before.next(at, State(state), why, body, known)
	if err != nil {
		return fmt.Errorf("plan of case %s: %w", caseID, err)
	}
	if do, ok := before.turn(now); ok {
		now.moments = append(now.moments, moment{at, do})
	}
	own, err := anew(body, known)
	if err != nil {
		return fmt.Errorf("plan of case %s: %w", caseID, err)
	}
	p.mu.Lock()
	p.past[caseID] = now
	p.anew = append(p.anew, own...)
	p.mu.Unlock()
	return nil
}

// anew gives the event of a case that was decided in place of another one, by its first record: it came with no delivery.
func anew(body []byte, known bool) ([]Message, error) {
	if known || !bytes.Contains(body, []byte(`"anew":"`)) {
		return nil, nil
	}
	var plan struct {
		events.Plan
		Anew string `json:"anew"`
	}
	if err := json.Unmarshal(body, &plan); err != nil || plan.Anew == "" {
		return nil, err
	}
	data, err := events.Marshal(plan.Event)
	return []Message{{Data: data, Stored: plan.Accepted}}, err
}

// Anew gives the events of cases that came with no delivery: the ledger alone has them. They belong into the history behind
// those that were stored.
func (p *Plans) Anew() []Message {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.anew
}

// next is what is known of a case after one more record of its plan.
func (p Past) next(at time.Time, s State, why string, body []byte, known bool) (Past, error) {
	now := p
	now.State, now.off, now.let, now.given = string(s), p.off, false, false
	var b planBody
	switch s {
	case Planned, Held, Refused, Scheduled:
		decided := known && p.Outcome != nil && !p.open && (!p.off || p.paused)
		if decided && s != Held {
			now.off, now.let = false, true
			return now, nil
		}
		if err := json.Unmarshal(body, &b); err != nil {
			return now, err
		}
		now.off = b.Hold != nil && len(b.Hold.Pauses) > 0
		if decided {
			return now, nil
		}
		if (s == Planned || s == Scheduled) && p.Outcome != nil && p.Outcome.State == Held {
			switch {
			case b.given(at): // people let it go
				now.open, now.let = false, true
				return now, nil
			case p.given: // and it was overtaken by that: it has its place, and is not asked anew for all that held it
				now.open, now.doubt = false, true
				return now, nil
			}
		}
		now.Outcome = &Outcome{State: s, Why: why, Steps: Steps(b.Actions, playbook.TakesBack(events.Event{Type: b.Event.Type}))}
		now.open, now.paused, now.doubt = b.open(s), now.off, b.Hold != nil && b.Hold.Doubt
	case superseded, cancelled:
		now.off = true
		if len(body) > 0 {
			if err := json.Unmarshal(body, &b); err != nil {
				return now, err
			}
			now.given = b.given(at)
		}
	}
	return now, nil
}

// turn says what a record means that no rules say by themselves; false when they do.
func (p Past) turn(now Past) (turn, bool) {
	switch s := State(now.State); {
	case s == superseded:
		return overtaken, true
	case s == cancelled, s == Refused && (State(p.State) == Planned || State(p.State) == Held):
		return ended, true
	case s != Planned && s != Held && s != Refused && s != Scheduled:
		return 0, false
	case now.off:
		return paused, true
	case p.State == "", p.off:
		return decided, true
	case State(p.State) == Held && now.let:
		return letGo, true
	}
	return 0, false
}

// The states of a plan that no playbook gives, as the ledger has them.
const (
	superseded State = "superseded"
	cancelled  State = "cancelled"
)

// moment is when something became of a case.
type moment struct {
	at time.Time
	do turn
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
