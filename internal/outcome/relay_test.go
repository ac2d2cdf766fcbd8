package outcome_test

import (
	"context"
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"keyturn/internal/config"
	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/ledger/ledgertest"
	"keyturn/internal/outcome"
	"keyturn/internal/stream"
)

// told counts what a relay publishes.
type told struct {
	outcomes int
	last     []byte
}

func (*told) Consume(context.Context, stream.Consumer, int, stream.Handler) error { return nil }
func (*told) CheckTopology(context.Context) error                                 { return nil }
func (b *told) PublishOutcome(_ context.Context, o stream.Outcome) error {
	b.outcomes++
	b.last = o.Data
	return nil
}

// TestALookThatFailsIsNoChange: that a look fails and is made again says nothing new of the action, and must not be told as
// if it had been verified once more.
func TestALookThatFailsIsNoChange(t *testing.T) {
	story := map[*ledger.Looks]int{
		nil:       1,
		{Made: 1}: 1,
		{Failing: &ledger.Failing{Tries: 1, Since: time.Unix(1e9, 0)}}: 0,
	}
	for looks, want := range story {
		bus := &told{}
		relay := &outcome.Relay{Bus: bus, Ledger: ledger.New(&ledgerWithout{}, nil)}
		data, err := json.Marshal(ledger.Record{Subject: ledger.ActionSubject("c1", "c1:p:s"), State: ledger.Verified,
			Hash: "0123456789abcdef0123456789abcdef", Evidence: &ledger.Evidence{Looks: looks}})
		if err != nil {
			t.Fatal(err)
		}
		out := relay.Handle(t.Context(), &stream.Message{Subject: "ledger.c1.c1:p:s", Data: data, Seq: 1})
		if out.Verdict != events.Done || out.Err != nil || bus.outcomes != want {
			t.Errorf("%+v: %+v, %d outcomes, want %d", looks, out, bus.outcomes, want)
		}
	}
}

// TestACaseTellsWhenItsResidualsEnd: whoever hears of the case alone knows until when access outlives it.
func TestACaseTellsWhenItsResidualsEnd(t *testing.T) {
	l := ledger.New(&ledgertest.Memory{}, nil)
	first, last := time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC), time.Date(2030, 1, 2, 12, 0, 0, 0, time.UTC)
	put := func(prev, rec ledger.Record) ledger.Record {
		t.Helper()
		stored, err := l.Append(t.Context(), prev, rec)
		if err != nil {
			t.Fatal(err)
		}
		return stored
	}
	body, err := json.Marshal(events.Plan{Case: "c1", Actions: []events.Action{{ID: "c1:p:a"}, {ID: "c1:p:b"}, {ID: "c1:p:c"}, {ID: "c1:p:d"}}})
	if err != nil {
		t.Fatal(err)
	}
	put(ledger.Record{}, ledger.Record{Subject: ledger.PlanSubject("c1"), State: ledger.Planned, Body: body})
	for id, until := range map[string]time.Time{"c1:p:a": last, "c1:p:b": first, "c1:p:c": {}} {
		begun := put(ledger.Record{}, ledger.Record{Subject: ledger.ActionSubject("c1", id), State: ledger.Started})
		put(begun, ledger.Record{Subject: begun.Subject, State: ledger.Verified,
			Evidence: &ledger.Evidence{Residual: []ledger.Residual{{What: "access tokens", Until: until}}}})
	}
	begun := put(ledger.Record{}, ledger.Record{Subject: ledger.ActionSubject("c1", "c1:p:d"), State: ledger.Started})
	dropped := put(begun, ledger.Record{Subject: begun.Subject, State: ledger.Cancelled, Evidence: &ledger.Evidence{
		Residual: []ledger.Residual{{What: "access tokens", Until: last.Add(time.Hour)}},
		Failure:  &ledger.Failure{Cause: "regressed", Error: "needed again", Suggestion: "redrive, or drop"}}})
	open := put(ledger.Record{}, ledger.Record{Subject: ledger.LifecycleSubject("c1"), State: ledger.Open})
	closed := put(open, ledger.Record{Subject: open.Subject, State: ledger.ClosedWithResidual, Reason: "access tokens"})
	if said := tells(t, l, closed); !said.Until.Equal(last) {
		t.Errorf("until %s, want %s", said.Until, last)
	}
	// What was given up waits for nothing, and nothing is to be done about it.
	if said := tells(t, l, dropped); !said.Until.IsZero() || said.Failure == nil || said.Failure.Cause != "regressed" || said.Failure.Suggestion != "" {
		t.Errorf("%+v, %+v", said, said.Failure)
	}
}

// tells gives what a relay tells of a record.
func tells(t *testing.T, l *ledger.Ledger, rec ledger.Record) outcome.Data {
	t.Helper()
	data, err := json.Marshal(rec)
	if err != nil {
		t.Fatal(err)
	}
	bus := &told{}
	relay := &outcome.Relay{Bus: bus, Ledger: l}
	if out := relay.Handle(t.Context(), &stream.Message{Subject: rec.Subject, Data: data, Seq: rec.Seq}); out.Err != nil {
		t.Fatalf("%+v", out)
	}
	var said struct{ Data outcome.Data }
	if err := json.Unmarshal(bus.last, &said); err != nil {
		t.Fatal(err)
	}
	return said.Data
}

// unmade is a broker whose streams are made after so many looks.
type unmade struct {
	told
	looks, consumed int
}

func (b *unmade) CheckTopology(context.Context) error {
	if b.looks--; b.looks > 0 {
		return stream.ErrTopology
	}
	return nil
}

func (b *unmade) Consume(context.Context, stream.Consumer, int, stream.Handler) error {
	b.consumed++
	if b.looks > 0 {
		return stream.ErrTopology
	}
	return nil
}

// TestNothingIsToldBeforeTheStreamsAre: at the first start of a store they are made meanwhile, by the worker beside it; no
// consumer looks for them in vain, which the log would tell each time.
func TestNothingIsToldBeforeTheStreamsAre(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus := &unmade{looks: 40}
		teller, err := outcome.New(bus, ledger.New(&ledgerWithout{}, nil), config.Outcome{})
		if err != nil {
			t.Fatal(err)
		}
		if err := teller.Run(t.Context()); err != nil || bus.consumed != 1 {
			t.Errorf("%v, %d consumers", err, bus.consumed)
		}
	})
}

// ledgerWithout holds no record.
type ledgerWithout struct{}

func (*ledgerWithout) Last(context.Context, string) (uint64, []byte, error) {
	return 0, nil, ledger.ErrNotFound
}
func (*ledgerWithout) Append(context.Context, string, uint64, []byte) (uint64, error) {
	return 0, ledger.ErrConflict
}
func (*ledgerWithout) Range(context.Context, string, ledger.From, func(string, uint64, []byte) error) error {
	return nil
}
