package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/planner"
	"keyturn/internal/stream"
)

// defaultWait is how long a command's outcome is waited for: the planner takes milliseconds, a busy one seconds.
const defaultWait = 10 * time.Second

// outcome is what became of a command; an array of these is what --json prints.
type outcome struct {
	Command string       `json:"command"` // its id on COMMANDS
	Verb    events.Verb  `json:"verb"`
	Target  string       `json:"target"`
	Settled bool         `json:"settled"`           // false: stored, not worked off yet
	Done    bool         `json:"done"`              // it had its effect; false with settled: it was refused
	Outcome string       `json:"outcome,omitempty"` // what the planner says came of it, for a person
	State   ledger.State `json:"state,omitempty"`   // where the target stood afterwards
	shown   string       // of an approval: events.Command.Shown
}

// Errors of commands that were stored.
var (
	errNotYet  = errors.New("stored, but not worked off yet: is a worker running?")
	errRefused = errors.New("refused")
)

// order stores a command. o learns its id.
func (a *app) order(ctx context.Context, s *session, o *outcome, reason string) error {
	c := events.Command{ID: uuid.NewString(), Verb: o.Verb, Target: o.Target, Actor: a.actor(), Reason: reason, Time: a.now().UTC(),
		Shown: o.shown}
	if err := s.bus.PublishCommand(ctx, c); err != nil {
		return err
	}
	// Dying here: the command is on disk and will be worked off. A second one is refused by the states.
	o.Command = c.ID
	return nil
}

// receiptEvery is how often a command's receipt is looked for.
const receiptEvery = 50 * time.Millisecond

// await waits until the planner has left its receipt for the command in the ledger, and returns errNotYet, as
// unavailable, when there is none at the deadline. o learns the outcome.
func (o *outcome) await(ctx context.Context, s *session, deadline time.Time) error {
	for {
		receipt, err := s.ledger.Last(ctx, ledger.PersonSubject(planner.Receipts, o.Command))
		switch {
		case errors.Is(err, stream.ErrUnavailable) && time.Now().Before(deadline): // it is stored: a broker that is away comes back
		case err != nil:
			return err
		case receipt.Seq != 0:
			o.Settled, o.Outcome = true, receipt.Reason
			return nil
		case !time.Now().Before(deadline):
			return unavailable(fmt.Errorf("%s %s (command %s): %w", o.Verb, o.Target, o.Command, errNotYet))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(receiptEvery):
		}
	}
}

// orderAndWait stores a command and waits for its outcome, unless wait is 0. late is errNotYet when there is none in time.
func (a *app) orderAndWait(ctx context.Context, s *session, o *outcome, reason string, wait time.Duration) (late, err error) {
	if err := a.order(ctx, s, o, reason); err != nil || wait <= 0 {
		return nil, err
	}
	late = o.await(ctx, s, time.Now().Add(wait))
	if late != nil && !errors.Is(late, errNotYet) {
		return nil, late
	}
	return late, nil
}

// orderForCase stores a command about a case and waits for its outcome, unless wait is 0. It had its effect when it
// wrote anything into the case.
func (a *app) orderForCase(ctx context.Context, s *session, o *outcome, reason string, wait time.Duration) error {
	late, err := a.orderAndWait(ctx, s, o, reason, wait)
	if err != nil {
		return err
	}
	if o.Settled {
		recs, err := s.ledger.Case(ctx, o.Target)
		if err != nil {
			return err
		}
		for _, rec := range recs {
			o.Done = o.Done || rec.Attempt == o.Command
			if rec.Subject == ledger.PlanSubject(o.Target) {
				o.State = rec.State
			}
		}
	}
	return cmp.Or(a.printOutcomes([]outcome{*o}), late, refused([]outcome{*o}))
}

// refused is an error when a command was worked off and had no effect.
func refused(list []outcome) error {
	var errs []error
	for _, o := range list {
		if o.Settled && !o.Done {
			errs = append(errs, fmt.Errorf("%s %s: %w: %s", o.Verb, o.Target, errRefused, o.Outcome))
		}
	}
	return errors.Join(errs...)
}

// printOutcomes prints what became of commands.
func (a *app) printOutcomes(list []outcome) error {
	return a.print(list, func(s *screen) {
		for _, o := range list {
			if o.Settled && !o.Done {
				continue // an error, which is shown as such
			}
			text := painted("stored")
			if o.Settled {
				text = s.state(o.State)
			}
			_, _ = fmt.Fprintf(s, "%s %s: %s", clean(string(o.Verb)), clean(o.Target), text)
			switch {
			case o.Settled && o.State == "": // there is no plan, as of a delivery that could not be mapped
				_, _ = fmt.Fprint(s, clean(o.Outcome))
			case o.Outcome != "":
				_, _ = fmt.Fprintf(s, " (%s)", clean(o.Outcome))
			}
			_, _ = fmt.Fprintln(s)
		}
	})
}
