package view_test

import (
	"testing"
	"time"

	"keyturn/internal/ledger"
	"keyturn/internal/view"
)

// TestWhatIsGivenUpOutlivesNothing: what an earlier look of it had seen to is shown no more.
func TestWhatIsGivenUpOutlivesNothing(t *testing.T) {
	b := newBook(t)
	p := b.plan("user.terminated", "evt-1", "user:noor@acme.example", "okta-prod/okta.revoke_user_tokens")
	b.planned(1, p, ledger.Planned, "")
	e := &ledger.Evidence{Residual: []ledger.Residual{{What: "access tokens of 00u1", Until: noon.Add(time.Hour)}}}
	for _, s := range []ledger.State{ledger.Started, ledger.Dead, ledger.Cancelled} {
		b.acted(1, p.Actions[0], s, 1, 1, e)
		v, err := view.New(b).Case(t.Context(), p.Case)
		if err != nil {
			t.Fatal(err)
		}
		if len(v.Residual)+len(v.Actions[0].Residual) > 0 || !v.ResidualUntil.IsZero() {
			t.Errorf("%s: %+v, %+v", s, v.Residual, v.Actions[0].Residual)
		}
	}
}
