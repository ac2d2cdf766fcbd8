package stream

import (
	"context"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Records reads the records of plans, actions and cases as they are written, from the day on which a worker first asks
// for them: a ledger that is older than that is history, not news. An event writes half a dozen of them within milliseconds, and
// nobody waits for the next: they are taken in bursts.
func Records() Consumer {
	return Consumer{stream: streamLedger, name: "outcomes", filter: "ledger.>", pending: pendingPlans, news: true, burst: 64}
}

// Outcomes reads the outcome events for whoever is told of them over HTTP, from the day on which somebody first is.
func Outcomes() Consumer {
	return Consumer{stream: streamOutcomes, name: "hook", filter: prefixOutcomes + ".>", pending: pendingPlans, news: true}
}

// Outcome is one outcome event in its wire form.
type Outcome struct {
	ID    string // unique: published again under the same id, it is one
	Of    string // what changed: "plan", "action" or "case"
	State string // what it became
	Data  []byte // a CloudEvent, structured mode
}

// PublishOutcome tells whoever subscribes to outcomes.> of a change. It is on disk after the next Barrier.
func (b *Bus) PublishOutcome(ctx context.Context, o Outcome) error {
	subj, err := subject(prefixOutcomes, o.Of, o.State)
	if err != nil {
		return err
	}
	msg := nats.NewMsg(subj)
	msg.Data = o.Data
	msg.Header.Set(headerContent, contentEvent)
	msg.Header.Set(jetstream.MsgIDHeader, o.ID)
	return b.publishAll(ctx, OpOutcome, streamOutcomes, []*nats.Msg{msg})
}
