package view_test

import (
	"testing"
	"time"

	"keyturn/internal/ledger"
	"keyturn/internal/view"
)

// TestWhatIsGivenUpOutlivesNothing: what an earlier look of it had seen to is shown no more, and nothing is advised; what a
// lane gave up, because its target is protected, still says what to do.
func TestWhatIsGivenUpOutlivesNothing(t *testing.T) {
	left := []ledger.Residual{{What: "access tokens of 00u1", Until: noon.Add(time.Hour)}}
	for cause, advice := range map[string]string{"regressed": "", "permanent": "", ledger.Protected: "see to it"} {
		b := newBook(t)
		p := b.plan("user.terminated", "evt-1", "user:noor@acme.example", "okta-prod/okta.revoke_user_tokens")
		b.planned(1, p, ledger.Planned, "")
		e := &ledger.Evidence{Residual: left, Failure: &ledger.Failure{Cause: cause, Error: "needed again", Suggestion: "see to it"}}
		b.acted(1, p.Actions[0], ledger.Started, 1, 0, e)
		for _, s := range []ledger.State{ledger.Dead, ledger.Cancelled} {
			b.acted(1, p.Actions[0], s, 1, 1, e)
			v, err := view.New(b).Case(t.Context(), p.Case)
			if err != nil {
				t.Fatal(err)
			}
			a, want := v.Actions[0], advice
			if s == ledger.Dead {
				want = "see to it"
			}
			if len(v.Residual)+len(a.Residual) > 0 || !v.ResidualUntil.IsZero() || a.Failure == nil || a.Suggestion() != want {
				t.Errorf("%s of %s: %+v, %+v, advice %q", s, cause, v.Residual, a.Residual, a.Suggestion())
			}
		}
	}
}
