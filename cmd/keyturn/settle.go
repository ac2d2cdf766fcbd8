package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/stream"
)

// settling is one `keyturn dead redrive` or `drop`.
type settling struct {
	verb     events.Verb
	choice   choice
	reason   string
	yes, dry bool
	wait     time.Duration
}

// newSettleCmd makes `keyturn dead redrive` and `drop`.
func newSettleCmd(a *app, verb events.Verb, short string) *cobra.Command {
	s := settling{verb: verb}
	cmd := &cobra.Command{
		Use:   string(verb) + " [ID…]",
		Short: short,
		Long: short + `, chosen by id or by filters. What is chosen is listed and confirmed first.
Each is a command of its own, stored first and worked off by the planner; the ledger keeps who decided and why.
Exit code 4 means that some are stored and not worked off yet.`,
		Example: "  keyturn dead " + string(verb) + " --connection okta-prod --cause permanent --reason 'scope granted'",
	}
	flags := cmd.Flags()
	s.choice.flags(flags)
	flags.BoolVar(&s.choice.all, "all", false, "all of them")
	flags.StringVar(&s.reason, "reason", "", "why, for the ledger (required to drop)")
	flags.BoolVarP(&s.yes, "yes", "y", false, "do not ask")
	flags.BoolVar(&s.dry, "dry-run", false, "only list what is chosen")
	flags.DurationVar(&s.wait, "wait", defaultWait, "how long to wait for the outcome of each; 0 to only store the commands")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		s.choice.ids = args
		switch {
		case s.choice.empty():
			return usage(fmt.Errorf("dead %s: name ids, a filter, or --all", verb))
		case verb == events.Drop && s.reason == "":
			return usage(errors.New("dead drop: say --reason WHY"))
		}
		return a.settle(cmd.Context(), s)
	}
	return cmd
}

// settle chooses, asks, stores all commands and waits for their outcomes.
func (a *app) settle(ctx context.Context, st settling) error {
	s, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	list, err := s.letters(ctx, st.choice)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return notFound(errors.New("no dead letter is chosen"))
	}
	if st.dry {
		return a.print(list, func(sc *screen) { sc.deadRows(list) })
	}
	if err := a.confirm(st, list); err != nil {
		return err
	}
	outcomes, err := a.orderAll(ctx, s, st, list)
	if err != nil {
		return errors.Join(a.printOutcomes(outcomes), err)
	}
	var late error
	if st.wait > 0 {
		late, err = awaitAll(ctx, s, outcomes, list, time.Now().Add(st.wait))
	}
	return cmp.Or(err, a.printOutcomes(outcomes), late, refused(outcomes))
}

// orderAll stores one command for each letter. On an error it returns those that were stored.
func (a *app) orderAll(ctx context.Context, s *session, st settling, list []events.DeadLetter) ([]outcome, error) {
	var outcomes []outcome
	for _, d := range list {
		o := outcome{Verb: st.verb, Target: d.ID}
		if err := a.order(ctx, s, &o, st.reason); err != nil {
			return outcomes, err
		}
		outcomes = append(outcomes, o)
	}
	return outcomes, nil
}

// awaitAll waits for each command's outcome. late is errNotYet for those that have none at the deadline.
func awaitAll(ctx context.Context, s *session, outcomes []outcome, list []events.DeadLetter, deadline time.Time) (late, err error) {
	for i := range outcomes {
		err := outcomes[i].await(ctx, s, deadline)
		if errors.Is(err, errNotYet) {
			late = err
			continue
		}
		if err == nil {
			err = outcomes[i].look(ctx, s, list[i])
		}
		if err != nil {
			return late, err
		}
	}
	return late, nil
}

// look finds what became of a letter whose command was worked off. The command had its effect when the letter has left
// DEAD, or is another one: the action was begun again and died again.
func (o *outcome) look(ctx context.Context, s *session, d events.DeadLetter) error {
	now, err := s.bus.DeadLetter(ctx, d.ID)
	gone := errors.Is(err, stream.ErrNotFound)
	if err != nil && !gone {
		return err
	}
	o.Done = gone || !now.Time.Equal(d.Time)
	if d.Case == "" {
		return nil
	}
	subject := ledger.PlanSubject(d.Case)
	if d.Kind == events.DeadAction {
		subject = ledger.ActionSubject(d.Case, d.ID)
	}
	last, err := s.ledger.Last(ctx, subject)
	o.State = last.State
	return err
}

// maxShown bounds what a question lists.
const maxShown = 20

// confirm lists what is chosen and asks.
func (a *app) confirm(st settling, list []events.DeadLetter) error {
	if st.yes {
		return nil
	}
	for _, d := range list[:min(maxShown, len(list))] {
		a.note("  %s  %s at %s: %s", d.ID, what(d), where(d), first(d.Error, 80))
	}
	if rest := len(list) - maxShown; rest > 0 {
		a.note("  … and %d more (--dry-run lists all)", rest)
	}
	_, _ = fmt.Fprintf(a.err, "%s %s? [y/N] ", st.verb, plural(len(list), "dead letter"))
	line, _ := bufio.NewReader(a.in).ReadString('\n') // no answer is no
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "y", "yes":
		return nil
	}
	return errNotConfirmed
}
