package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/planner"
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
}

// Errors of commands that were stored.
var (
	errNotYet  = errors.New("stored, but not worked off yet: is a worker running?")
	errRefused = errors.New("refused")
)

// command stores a command and waits until the planner has left its receipt in the ledger. It returns errNotYet, as
// unavailable, when there is none within wait. o learns the command's id and its outcome.
func (a *app) command(ctx context.Context, s *session, o *outcome, reason string, wait time.Duration) error {
	c := events.Command{ID: uuid.NewString(), Verb: o.Verb, Target: o.Target, Actor: a.actor(), Reason: reason, Time: a.now().UTC()}
	if err := s.bus.PublishCommand(ctx, c); err != nil {
		return err
	}
	// Dying here: the command is on disk and will be worked off. A second one is refused by the states.
	o.Command = c.ID
	if wait <= 0 {
		return nil
	}
	for deadline := time.Now().Add(wait); ; {
		receipt, err := s.ledger.Last(ctx, ledger.PersonSubject(planner.Receipts, c.ID))
		switch {
		case err != nil:
			return err
		case receipt.Seq != 0:
			o.Settled, o.Outcome = true, receipt.Reason
			return nil
		case time.Now().After(deadline):
			return unavailable(fmt.Errorf("%s %s (command %s): %w", o.Verb, o.Target, c.ID, errNotYet))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pollEvery / 3):
		}
	}
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
			if o.Outcome != "" {
				_, _ = fmt.Fprintf(s, " (%s)", clean(o.Outcome))
			}
			_, _ = fmt.Fprintln(s)
		}
	})
}
