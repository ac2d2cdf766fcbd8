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

// settle chooses, asks and sends the commands, one after the other.
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
	var outcomes []outcome
	var late error
	for _, d := range list {
		o, err := a.settleOne(ctx, s, st, d)
		if err != nil && !errors.Is(err, errNotYet) {
			return errors.Join(a.printOutcomes(outcomes), err)
		}
		if err != nil {
			// One that is not worked off: waiting for each of the others would take as long again.
			late, st.wait = err, 0
		}
		outcomes = append(outcomes, o)
	}
	return cmp.Or(a.printOutcomes(outcomes), late, refused(outcomes))
}

// settleOne sends one command. It had its effect when the letter has left DEAD, or is another one: the action was begun
// again and died again.
func (a *app) settleOne(ctx context.Context, s *session, st settling, d events.DeadLetter) (outcome, error) {
	o := outcome{Verb: st.verb, Target: d.ID}
	if err := a.command(ctx, s, &o, st.reason, st.wait); err != nil || !o.Settled {
		return o, err
	}
	now, err := s.bus.DeadLetter(ctx, d.ID)
	gone := errors.Is(err, stream.ErrNotFound)
	if err != nil && !gone {
		return o, err
	}
	o.Done = gone || !now.Time.Equal(d.Time)
	subject := ledger.PlanSubject(d.Case)
	if d.Kind == events.DeadAction {
		subject = ledger.ActionSubject(d.Case, d.ID)
	}
	if d.Case == "" {
		return o, nil
	}
	last, err := s.ledger.Last(ctx, subject)
	o.State = last.State
	return o, err
}

// confirm lists what is chosen and asks.
func (a *app) confirm(st settling, list []events.DeadLetter) error {
	if st.yes {
		return nil
	}
	for _, d := range list {
		a.note("  %s  %s at %s: %s", d.ID, what(d), where(d), first(d.Error, 80))
	}
	_, _ = fmt.Fprintf(a.err, "%s %s? [y/N] ", st.verb, plural(len(list), "dead letter"))
	line, _ := bufio.NewReader(a.in).ReadString('\n') // no answer is no
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "y", "yes":
		return nil
	}
	return errNotConfirmed
}
