package planner

import (
	"context"
	"fmt"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
)

// approve gives one person's word to a held plan; the last one that it needs lets it go on as it was shown.
func (t *turn) approve(ctx context.Context, c events.Command, rec ledger.Record, d Decision) (string, error) {
	switch {
	case d.Hold != nil && d.Hold.has(func(w Consent) bool { return w.Command == c.ID }):
		return d.Hold.count(rec.State), t.follow(ctx, rec, d)
	case rec.State == ledger.Refused && rec.Attempt == c.ID:
		return "refused: " + rec.Reason, t.follow(ctx, rec, d)
	case rec.State != ledger.Held || d.Hold == nil:
		return "the case is " + string(rec.State) + ", not held", nil
	case c.Actor == "":
		return "an approval needs a name", nil
	case d.Hold.has(func(w Consent) bool { return w.Actor == c.Actor }):
		return c.Actor + " has approved it already; another person must", nil
	}
	// Who is protected may have changed since the plan was held, and a person who approves 4,000 sees no single one.
	g, err := t.Plans.Guard(d.Plan)
	switch {
	case err != nil:
		return "not approved: the guards could not be applied: " + err.Error(), nil
	case g.Protected != "":
		why := t.refuse(g)
		if rec, err = t.write(ctx, rec, d, ledger.Refused, why+"; approved by "+c.Actor+reason(c)); err != nil {
			return "", err
		}
		// Dying here: refused; the command comes again and finds it so.
		return "refused: " + rec.Reason, t.follow(ctx, rec, d)
	}
	d.Hold.Given = append(d.Hold.Given, consent(c))
	state := ledger.Held
	if len(d.Hold.Given) >= d.Hold.Need {
		state = ledger.Planned
	}
	if rec, err = t.write(ctx, rec, d, state, d.Hold.count(state)+reason(c)); err != nil {
		return "", err
	}
	// Dying here: the word is given, and the plan as it stands goes on when the command comes again.
	return d.Hold.count(state), t.follow(ctx, rec, d)
}

// has reports whether a word that meets the condition was given.
func (h *Hold) has(match func(Consent) bool) bool {
	for _, w := range h.Given {
		if match(w) {
			return true
		}
	}
	return false
}

// count says how far the approval is.
func (h *Hold) count(state ledger.State) string {
	if state == ledger.Held {
		return fmt.Sprintf("approved %d of %d times", len(h.Given), h.Need)
	}
	return "approved"
}

// consent is the word that a command gives.
func consent(c events.Command) Consent {
	return Consent{Command: c.ID, Actor: c.Actor, Reason: c.Reason, Time: c.Time.UTC()}
}
