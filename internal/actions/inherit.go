package actions

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
)

// inherit gives the ids that the steps before an action fixed for the same person at the same connection. A case looks
// a person up once: its steps act upon one account, whomever a login belongs to by then.
func (r *Runner) inherit(ctx context.Context, a events.Action) (map[string]string, error) {
	if len(a.After) == 0 {
		return nil, nil
	}
	plan, err := r.plan(ctx, a.Case)
	if err != nil {
		return nil, err
	}
	var pins map[string]string
	for _, before := range plan.Actions {
		if !leads(before, a) {
			continue
		}
		rec, err := r.Ledger.Last(ctx, ledger.ActionSubject(a.Case, before.ID))
		if err != nil {
			return nil, err
		}
		if rec.Evidence == nil {
			continue
		}
		for _, name := range []string{pinUser, pinUserID} {
			if id := rec.Evidence.Pins[name]; id != "" && pins[name] == "" {
				if pins == nil {
					pins = map[string]string{}
				}
				pins[name] = id
			}
		}
	}
	return pins, nil
}

// leads reports whether an action waits for one that is about the same person at the same connection.
func leads(before, a events.Action) bool {
	whom := person(a)
	return slices.Contains(a.After, before.ID) && before.Connection == a.Connection && whom != nil && bytes.Equal(whom, person(before))
}

// person is the parameter user as the plan has it; nil when the kind takes none.
func person(a events.Action) json.RawMessage {
	var with struct {
		User json.RawMessage `json:"user"`
	}
	if json.Unmarshal(a.With, &with) != nil {
		return nil
	}
	return with.User
}
