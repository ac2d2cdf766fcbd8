package outcome_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/outcome"
	"keyturn/internal/stream"
)

// TestWhatCanNeverBeTold: no repeat mends a plan that cannot be read, nor an outcome that the broker does not take: it is told
// in the log and done with.
func TestWhatCanNeverBeTold(t *testing.T) {
	for body, bus := range map[string]outcome.Bus{`[1]`: &told{}, `{"case":"c1"}`: &small{}} {
		rec := ledger.Record{Subject: ledger.PlanSubject("c1"), State: ledger.Planned, Body: []byte(body), Hash: "0123456789abcdef0123456789abcdef"}
		data, err := json.Marshal(rec)
		if err != nil {
			t.Fatal(err)
		}
		relay := &outcome.Relay{Bus: bus, Ledger: ledger.New(&ledgerWithout{}, nil)}
		out := relay.Handle(t.Context(), &stream.Message{Subject: "ledger.c1.plan", Data: data, Seq: 1})
		if out.Verdict != events.Done || out.Err == nil {
			t.Errorf("%s: %+v", body, out)
		}
	}
}

// small is a broker that takes nothing so large.
type small struct{ told }

func (*small) PublishOutcome(context.Context, stream.Outcome) error {
	return fmt.Errorf("publish: %w", stream.ErrTooLarge)
}
