package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/planner"
	"keyturn/internal/view"
)

// batch is how many commands are stored behind one barrier.
const batch = 500

// commandSpace is the name space of the ids of commands that are made from what they are about (RFC 9562, section 5.5).
var commandSpace = uuid.NewSHA1(uuid.NameSpaceURL, []byte("https://keyturn.dev/commands"))

// commandID names a command by what it says and by the state that it was said upon: repeated by somebody who was
// interrupted, it is the same command.
func commandID(verb events.Verb, r view.CaseRow, actor string) string {
	said := strings.Join([]string{string(verb), r.ID, actor, string(r.Plan), r.HeldAt.Format(time.RFC3339Nano), fmt.Sprint(r.Tally)}, "\x00")
	return uuid.NewSHA1(commandSpace, []byte(said)).String()
}

// orderMany stores a command upon each case, in batches, and waits for what comes of them. Interrupted, it may be
// repeated: what is decided is not chosen again, and what is stored is the same command.
func (a *app) orderMany(ctx context.Context, s *session, verb events.Verb, rows []view.CaseRow, reason string, wait time.Duration) error {
	var outcomes []outcome
	began := time.Now()
	for part := range slices.Chunk(rows, batch) {
		var list []events.Command
		for _, r := range part {
			list = append(list, events.Command{
				ID: commandID(verb, r, a.actor()), Verb: verb, Target: r.ID, Actor: a.actor(), Reason: reason, Time: a.now().UTC(),
				Shown: shown(verb, r),
			})
		}
		if err := s.bus.PublishCommand(ctx, list...); err != nil {
			return fmt.Errorf("%d of %d are stored; repeat the command to go on: %w", len(outcomes), len(rows), err)
		}
		// Dying here: these are on disk and will be worked off; repeated, they are the same commands.
		for _, c := range list {
			outcomes = append(outcomes, outcome{Command: c.ID, Verb: verb, Target: c.Target})
		}
		if len(rows) > batch {
			a.note("%d of %d stored", len(outcomes), len(rows))
		}
	}
	var late error
	if wait > 0 {
		var err error
		if late, err = hearAll(ctx, s, outcomes, wait); err != nil {
			return err
		}
	}
	return cmp.Or(a.printMany(outcomes, time.Since(began)), late, refusedMany(outcomes))
}

// shown is what a command says to have seen of a case: an approval lets nothing else go.
func shown(verb events.Verb, r view.CaseRow) string {
	if verb != events.Approve {
		return ""
	}
	return r.Shown
}

// hearAll waits for the outcome of each command, as if each were alone behind those before it: as long as they come,
// there is no end. late is errNotYet when they stop coming.
func hearAll(ctx context.Context, s *session, outcomes []outcome, wait time.Duration) (late, err error) {
	for i := range outcomes {
		err := outcomes[i].await(ctx, s, time.Now().Add(wait))
		if errors.Is(err, errNotYet) {
			return err, nil
		}
		if err == nil {
			err = outcomes[i].heard(ctx, s)
		}
		if err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// heard finds whether a command had its effect upon its case.
func (o *outcome) heard(ctx context.Context, s *session) error {
	rec, err := s.ledger.Last(ctx, ledger.PlanSubject(o.Target))
	if err != nil || rec.Seq == 0 {
		return err
	}
	d, err := planner.Decode(rec)
	if err != nil {
		return err
	}
	o.State = rec.State
	o.Done = rec.Attempt == o.Command || d.Denied != nil && d.Denied.Command == o.Command
	if d.Hold != nil {
		o.Done = o.Done || slices.ContainsFunc(d.Hold.Given, func(w planner.Consent) bool { return w.Command == o.Command })
	}
	if o.Done || rec.State != ledger.Planned || o.Verb != events.Cancel {
		return nil
	}
	recs, err := s.ledger.Case(ctx, o.Target) // its actions were cancelled, not its plan
	o.Done = slices.ContainsFunc(recs, func(r ledger.Record) bool { return r.Attempt == o.Command })
	return err
}

// printMany sums up what became of many commands; --json has each.
func (a *app) printMany(list []outcome, took time.Duration) error {
	return a.print(list, func(s *screen) {
		count := map[string]int{}
		for _, o := range list {
			count[cmp.Or(o.Outcome, "stored, not worked off yet")]++
		}
		var kinds []string
		for text := range count {
			kinds = append(kinds, text)
		}
		slices.SortFunc(kinds, func(a, b string) int { return cmp.Or(cmp.Compare(count[b], count[a]), cmp.Compare(a, b)) })
		_, _ = fmt.Fprintf(s, "%s %s in %s\n", clean(string(list[0].Verb)), plural(len(list), "case"), took.Round(10*time.Millisecond))
		for _, text := range kinds[:min(maxShown, len(kinds))] {
			_, _ = fmt.Fprintf(s, "  %d: %s\n", count[text], clean(text))
		}
		if rest := len(kinds) - maxShown; rest > 0 {
			_, _ = fmt.Fprintf(s, "  … and %d other outcomes (all of them with --json)\n", rest)
		}
	})
}

// refusedMany is an error when commands were worked off and had no effect.
func refusedMany(list []outcome) error {
	n := 0
	for _, o := range list {
		if o.Settled && !o.Done {
			n++
		}
	}
	if n == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d: %w", n, len(list), errRefused)
}
