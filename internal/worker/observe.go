package worker

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"keyturn/internal/actions"
	"keyturn/internal/apiclient"
	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/reads"
	"keyturn/internal/stream"
)

// Observe is the question what an action would change at its provider now, in the form in which it travels.
type Observe struct {
	Action events.Action `json:"action"`
	Actor  string        `json:"actor,omitempty"` // who asks, for the worker's log
}

// Observed is its answer. Nothing was changed, and nothing of it is recorded: an action that is run resolves anew whom
// it is about.
type Observed struct {
	Seen     []ledger.Fact     `json:"seen,omitempty"`     // what the provider showed, no secrets
	Needed   []NeededCall      `json:"needed,omitempty"`   // the calls that the action would make; none = it holds already
	Residual []ledger.Residual `json:"residual,omitempty"` // access that would outlive it
	Unread   bool              `json:"unread,omitempty"`   // once it is done, nobody can read it back
}

// NeededCall is a call that would be made.
type NeededCall struct {
	Call   string `json:"call"`   // the operation: "okta.suspendUser"
	Target string `json:"target"` // the provider's id of what it changes
	Blind  bool   `json:"blind,omitempty"`
	Once   bool   `json:"once,omitempty"`
}

// observe answers what an action would change now. It builds the action's kind as its runner does, and lets it look: no
// kind changes anything then.
func (d *desk) observe(ctx context.Context, query []byte, send func([]byte) error) error {
	began := time.Now()
	var q Observe
	if err := json.Unmarshal(query, &q); err != nil {
		return &stream.ReadError{Code: stream.ReadCode(reads.Invalid), Message: "a question in a form of another version"}
	}
	if q.Action.Connection != d.connection.Name || !q.Action.Class.Valid() {
		return &stream.ReadError{Code: stream.ReadCode(reads.Invalid), Message: "the action is none of connection " + d.connection.Name}
	}
	if err := d.lane.Refused(); err != nil {
		return &stream.ReadError{Code: stream.ReadCode(reads.Denied), Message: err.Error(),
			Suggestion: "keyturn connection check " + d.connection.Name + " says what to fix"}
	}
	answer, err := d.look(ctx, q.Action)
	// Neither target nor message stands in the log: they may name a person.
	d.log.InfoContext(ctx, "observed", "connection", d.connection.Name, "do", q.Action.Do, "actor", q.Actor,
		"needed", len(answer.Needed), "took", time.Since(began), "failed", err != nil)
	if err != nil {
		return observeFault(actions.Named(err, q.Action.Do))
	}
	page, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	return send(page)
}

// look observes once. Without pins: what is asked is whom the action would find now.
func (d *desk) look(ctx context.Context, a events.Action) (Observed, error) {
	made := gated(d.made, d.gate(a.Class))
	made.Sweeps = nil // a person waits, and not for company
	made.Admins = nil // and nobody goes
	kind, err := made.Build(a, nil)
	if err != nil {
		return Observed{}, err
	}
	obs, err := kind.Observe(ctx)
	if err != nil {
		return Observed{}, err
	}
	o := Observed{Seen: obs.Seen, Residual: obs.Residual, Unread: obs.Unread}
	for _, c := range obs.Needed {
		o.Needed = append(o.Needed, NeededCall{Call: c.Call, Target: c.Target, Blind: c.Blind, Once: c.Once})
	}
	return o, nil
}

// observeFault puts into a code what an action could not look at. What the action itself would die of says what to do
// about it, as its dead letter would.
func observeFault(err error) error {
	said := reads.FaultOf(err)
	f, ok := errors.AsType[*reads.Fault](said)
	if !ok {
		return said
	}
	r := &stream.ReadError{Code: stream.ReadCode(f.Code), Message: f.Message, Suggestion: f.Suggestion}
	if apiclient.CauseOf(err) == apiclient.Permanent {
		if advice := actions.Suggestion(err); advice != "" {
			r.Suggestion = advice
		}
	}
	return r
}
