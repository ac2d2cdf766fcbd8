package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/view"
)

// newHoldsCmd makes `keyturn holds` and its commands.
func newHoldsCmd(a *app) *cobra.Command {
	list := func(cmd *cobra.Command, _ []string) error { return a.listHolds(cmd.Context()) }
	group := &cobra.Command{
		Use:   "holds",
		Short: "List plans that wait for a person, approve or deny them",
		Long:  "List plans that wait for a person's approval, newest first. With --json it is an array of case rows.",
		Args:  cobra.NoArgs,
		RunE:  list,
	}
	show := &cobra.Command{Use: "show ID", Short: "Show what a held plan would do", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.showHold(cmd.Context(), args[0]) }}
	group.AddCommand(&cobra.Command{Use: "list", Short: "List plans that wait for a person", Args: cobra.NoArgs, RunE: list}, show,
		newDecideCmd(a, events.Approve, "Let a held plan go on"),
		newDecideCmd(a, events.Deny, "Cancel a held plan: none of its actions is done"))
	return group
}

// newDecideCmd makes `keyturn holds approve` and `deny`.
func newDecideCmd(a *app, verb events.Verb, short string) *cobra.Command {
	var reason string
	var wait time.Duration
	cmd := &cobra.Command{
		Use:     string(verb) + " ID --reason WHY",
		Short:   short,
		Long:    short + ".\nThe command is stored first; the planner works it off, and the ledger keeps who decided and why.\nExit code 4 means that it is stored and not worked off yet.",
		Example: "  keyturn holds " + string(verb) + " qdfwqpxehbd2 --reason 'checked with HR'",
		Args:    cobra.ExactArgs(1),
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the ledger (required)")
	cmd.Flags().DurationVar(&wait, "wait", defaultWait, "how long to wait for the outcome; 0 to only store the command")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if reason == "" {
			return usage(fmt.Errorf("holds %s: say --reason WHY", verb))
		}
		return a.decide(cmd.Context(), args[0], verb, reason, wait)
	}
	return cmd
}

// listHolds prints every held plan.
func (a *app) listHolds(ctx context.Context) error {
	s, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	rows, err := s.view.Cases(ctx, view.Filter{State: ledger.Held})
	if err != nil {
		return err
	}
	return a.printRows(rows, (*screen).holdRows, "nothing is held")
}

// showHold prints one held plan.
func (a *app) showHold(ctx context.Context, id string) error {
	s, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	v, err := s.heldCase(ctx, id)
	if err != nil {
		return err
	}
	return a.print(v, func(sc *screen) { sc.caseView(v) })
}

// heldCase reads a case, and refuses one whose plan is not held.
func (s *session) heldCase(ctx context.Context, id string) (view.CaseView, error) {
	v, err := s.view.Case(ctx, id)
	if err == nil && v.Plan != ledger.Held {
		err = fmt.Errorf("case %s: its plan is %s, not held", v.ID, v.Plan)
	}
	return v, err
}

// decide approves or denies a held plan.
func (a *app) decide(ctx context.Context, id string, verb events.Verb, reason string, wait time.Duration) error {
	s, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	v, err := s.heldCase(ctx, id)
	if err != nil {
		return err
	}
	return a.orderForCase(ctx, s, &outcome{Verb: verb, Target: v.ID}, reason, wait)
}
