package view

import (
	"encoding/json"
	"testing"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
)

// TestWhetherACaseWasInTime: by its proof, and by what its clock said while there was none.
func TestWhetherACaseWasInTime(t *testing.T) {
	at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	p := events.Plan{Case: "c1", Accepted: at, SLA: events.Span(time.Hour), Actions: []events.Action{{ID: "c1:p:a"}}}
	body, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	verified := func(after time.Duration) ledger.Record {
		return ledger.Record{Subject: ledger.ActionSubject("c1", "c1:p:a"), State: ledger.Verified, Time: at.Add(9 * time.Hour),
			Evidence: &ledger.Evidence{Looks: &ledger.Looks{Proven: at.Add(after), Made: 1}}}
	}
	life := func(body string) ledger.Record {
		return ledger.Record{Subject: ledger.LifecycleSubject("c1"), State: ledger.Open, Body: json.RawMessage(body)}
	}
	closed := func(after time.Duration) ledger.Record {
		return ledger.Record{Subject: ledger.LifecycleSubject("c1"), State: ledger.ClosedWithResidual, Time: at.Add(after)}
	}
	regressed := ledger.Record{Subject: ledger.ActionSubject("c1", "c1:p:a"), State: ledger.Regressed, Time: at.Add(24 * time.Hour)}
	dropped := ledger.Record{Subject: ledger.ActionSubject("c1", "c1:p:a"), State: ledger.Cancelled, Time: at.Add(time.Minute)}
	yes, no := true, false
	for name, c := range map[string]struct {
		recs []ledger.Record
		want *bool
	}{
		"nobody knows":      {nil, nil},
		"near":              {[]ledger.Record{life(`{"late":{"said":"a","due":"2026-03-02T10:00:00Z"}}`)}, nil},
		"missed":            {[]ledger.Record{life(`{"late":{"said":"a","due":"2026-03-02T10:00:00Z","missed":true}}`)}, &yes},
		"proven in time":    {[]ledger.Record{verified(time.Hour)}, &no},
		"proven after that": {[]ledger.Record{verified(time.Hour + time.Second)}, &yes},

		"came back after that":       {[]ledger.Record{verified(time.Minute), closed(time.Minute), regressed}, &no},
		"and was proven anew":        {[]ledger.Record{verified(time.Minute), closed(time.Minute), regressed, verified(25 * time.Hour)}, &no},
		"came back, and late before": {[]ledger.Record{verified(2 * time.Hour), closed(2 * time.Hour), regressed, verified(25 * time.Hour)}, &yes},
		"closed by a drop":           {[]ledger.Record{dropped, closed(time.Minute)}, nil},
	} {
		f := newFold("c1")
		f.add(ledger.Record{Subject: ledger.PlanSubject("c1"), State: ledger.Planned, Body: body})
		for _, rec := range c.recs {
			f.add(rec)
		}
		row := f.row()
		if !row.DueBy.Equal(at.Add(time.Hour)) || *row.SLAMS != 3600000 || (row.Late == nil) != (c.want == nil) || row.Late != nil && *row.Late != *c.want {
			t.Errorf("%s: %+v", name, row)
		}
	}
}

// TestReasonOfWhatWasDecidedSince: why a case needed a person before its plan was decided is not why it does now.
func TestReasonOfWhatWasDecidedSince(t *testing.T) {
	life := func(seq uint64, why string) ledger.Record {
		return ledger.Record{Subject: ledger.LifecycleSubject("c1"), State: ledger.NeedsPerson, Reason: why, Seq: seq}
	}
	held := ledger.Record{Subject: ledger.PlanSubject("c1"), State: ledger.Held, Reason: "needs 2 approvals", Seq: 2}
	for want, recs := range map[string][]ledger.Record{
		"needs 2 approvals": {life(1, "the playbooks could not be applied"), held},
		"an action died":    {life(1, "the playbooks could not be applied"), held, life(3, "an action died")},
	} {
		f := newFold("c1")
		for _, rec := range recs {
			f.add(rec)
		}
		if got := f.row().Reason; got != want {
			t.Errorf("reason %q, want %q", got, want)
		}
	}
}

// TestWhatFailsAtItsFirstLookIsBegun: it is not the lane that is to be looked at. What was told to wait is not.
func TestWhatFailsAtItsFirstLookIsBegun(t *testing.T) {
	at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		state    ledger.State
		attempts int
		begun    bool
	}{{ledger.Dead, 1, true}, {ledger.Waiting, 1, true}, {ledger.Waiting, 0, false}, {ledger.Started, 0, true}, {ledger.Cancelled, 0, false}} {
		rec := ledger.Record{Subject: ledger.ActionSubject("c1", "c1:p:a"), State: c.state, Attempts: c.attempts, Time: at}
		f := newFold("c1")
		f.add(rec)
		a := newActionView(events.Action{ID: "c1:p:a"}, []ledger.Record{rec}, at, "")
		if f.started.IsZero() == c.begun || a.Started.IsZero() == c.begun {
			t.Errorf("%s after %d attempts: case %v, action %v", c.state, c.attempts, f.started, a.Started)
		}
	}
}
