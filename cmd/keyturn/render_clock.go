package main

import (
	"slices"
	"strings"

	"keyturn/internal/ledger"
	"keyturn/internal/view"
)

// proven tells of a case that came to its end what is proven of it: that it is verified, and until when some access
// outlives that. Then it closes by itself.
func (s *screen) proven(v view.CaseView) string {
	open := slices.ContainsFunc(v.Residual, func(r view.Residual) bool { return r.Until.IsZero() })
	switch {
	case v.Verified.IsZero():
		return ""
	case v.State == ledger.ClosedWithResidual && open:
		return ", verified, residual without an end that the provider says"
	case v.State == ledger.ClosedWithResidual:
		return ", verified, residual until " + s.moment(v.ResidualUntil) + " (" + s.away(v.ResidualUntil) + ")"
	}
	return ", verified"
}

// clock tells how long after a case began it was planned, started and verified.
func (s *screen) clock(v view.CaseView) {
	if v.Accepted.IsZero() || v.Plan != ledger.Planned || v.Tally.Total == 0 {
		return
	}
	waits := []string{map[bool]string{true: "accepted", false: "in effect"}[v.Began().Equal(v.Accepted)]}
	for _, w := range []struct {
		what string
		ms   *int64
	}{{"planned", v.PlannedMS}, {"started", v.StartedMS}, {"verified", v.VerifiedMS}} {
		if w.ms == nil {
			waits = append(waits, "not "+w.what)
			break
		}
		waits = append(waits, w.what+" +"+millis(w.ms))
	}
	s.line("clock", "%s", strings.Join(waits, ", "))
}

// sla tells in which time the case was to be verified, and whether it was.
func (s *screen) sla(v view.CaseView) {
	said := "verified in time"
	switch {
	case v.DueBy.IsZero() || v.Late == nil && v.Resting() && v.State != ledger.NeedsPerson:
		return
	case v.Late == nil:
		said = "to be verified"
	case *v.Late:
		said = "LATE"
	case v.Verified.IsZero():
		said = "was verified in time, before something came back"
	}
	s.line("sla", "%s: within %s, by %s (%s)", said, millis(v.SLAMS), s.moment(v.DueBy), s.away(v.DueBy))
}
