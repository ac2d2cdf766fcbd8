package outcome

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/stream"
)

const (
	// together is how many records are worked off at a time: they share the barrier behind which each is acknowledged.
	together = 32
	// remembered is how many plans are kept in memory: an action's record does not say whom it concerns.
	remembered = 4096
	// retryFault is how long a record waits whose outcome could not be published.
	retryFault = 5 * time.Second
)

// Bus is what a Relay needs of the broker; *stream.Bus implements it.
type Bus interface {
	Consume(ctx context.Context, c stream.Consumer, concurrency int, h stream.Handler) error
	PublishOutcome(ctx context.Context, o stream.Outcome) error
	// CheckTopology says whether the streams are there.
	CheckTopology(ctx context.Context) error
}

// Relay publishes what the ledger says. Any number of them share the work.
type Relay struct {
	Bus    Bus
	Ledger *ledger.Ledger

	mu    sync.Mutex
	plans map[string]events.Plan // of cases, without the events' data
}

// Run works until ctx ends.
func (r *Relay) Run(ctx context.Context) error {
	return r.Bus.Consume(ctx, stream.Records(), together, r.Handle)
}

// Handle tells of one record. Publishing again what was published is harmless: the id is the record's.
func (r *Relay) Handle(ctx context.Context, m *stream.Message) events.Outcome {
	rec, err := ledger.Decode(m.Subject, m.Seq, m.Data)
	if err != nil {
		// The audit of the ledger shows it; no repeat mends it.
		return events.Outcome{Verdict: events.Done, Err: fmt.Errorf("outcome of %s: not a record", m.Subject)}
	}
	if e := rec.Evidence; e != nil && e.Looks != nil && e.Looks.Failing != nil {
		return events.Outcome{Verdict: events.Done} // nothing changed: a look fails, and is made again
	}
	plan, err := r.plan(ctx, rec)
	if errors.Is(err, errNoPlan) { // as above
		return events.Outcome{Verdict: events.Done, Err: err}
	}
	if err != nil {
		return events.Outcome{Verdict: events.Retry, Delay: retryFault, Err: err}
	}
	until, err := r.until(ctx, rec, plan)
	if err != nil {
		return events.Outcome{Verdict: events.Retry, Delay: retryFault, Err: err}
	}
	out, err := tell(rec, m.Seq, plan, until)
	if err != nil {
		return events.Outcome{Verdict: events.Done, Err: err}
	}
	err = r.Bus.PublishOutcome(ctx, out)
	if errors.Is(err, stream.ErrTooLarge) { // no repeat mends it; the ledger says what it would have said
		return events.Outcome{Verdict: events.Done, Err: err}
	}
	if err != nil {
		return events.Outcome{Verdict: events.Retry, Delay: retryFault, Err: err}
	}
	// Dying here: it is told, and told again by the redelivery under the same id.
	if of(rec.Subject) == ofCase && rec.State == ledger.Closed {
		r.forget(ledger.CaseOf(rec.Subject)) // a record that comes after all reads the plan again
	}
	return events.Outcome{Verdict: events.Done}
}

// until gives when the last access ends that outlives a case, where its record says that some does and the provider said
// when: the actions know.
func (r *Relay) until(ctx context.Context, rec ledger.Record, plan events.Plan) (time.Time, error) {
	var until time.Time
	if of(rec.Subject) != ofCase || rec.State != ledger.ClosedWithResidual {
		return until, nil
	}
	for _, a := range plan.Actions {
		last, err := r.Ledger.Last(ctx, ledger.ActionSubject(plan.Case, a.ID))
		if err != nil {
			return until, err
		}
		until = latest(until, last.Residual())
	}
	return until, nil
}

// latest gives the latest end of residuals, or until.
func latest(until time.Time, residual []ledger.Residual) time.Time {
	for _, r := range residual {
		if r.Until.After(until) {
			until = r.Until.UTC()
		}
	}
	return until
}

// plan gives the plan of the record's case, an empty one when there is none (an event that could not be planned).
func (r *Relay) plan(ctx context.Context, rec ledger.Record) (events.Plan, error) {
	if of(rec.Subject) == ofPlan {
		return r.remember(rec)
	}
	id := ledger.CaseOf(rec.Subject)
	r.mu.Lock()
	plan, known := r.plans[id]
	r.mu.Unlock()
	if known {
		return plan, nil
	}
	last, err := r.Ledger.Last(ctx, ledger.PlanSubject(id))
	if err != nil || last.Seq == 0 {
		return events.Plan{Case: id}, err
	}
	return r.remember(last)
}

// errNoPlan says that a plan's record holds something else.
var errNoPlan = errors.New("no plan can be read there")

// remember keeps what outcomes say of a plan. Forgetting all at once is cheap, and happens once in thousands of cases.
func (r *Relay) remember(rec ledger.Record) (events.Plan, error) {
	var plan events.Plan
	if err := json.Unmarshal(rec.Body, &plan); err != nil {
		return events.Plan{}, fmt.Errorf("outcome of %s: %w: %w", rec.Subject, errNoPlan, err)
	}
	plan.Event.Data = nil
	for i := range plan.Actions {
		plan.Actions[i].With = nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.plans == nil || len(r.plans) >= remembered {
		r.plans = map[string]events.Plan{}
	}
	if rec.State == ledger.Planned {
		r.plans[plan.Case] = plan // it does not change any more
	}
	return plan, nil
}

// forget lets go of the plan of a case that is over.
func (r *Relay) forget(caseID string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.plans, caseID)
}
