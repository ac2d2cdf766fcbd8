package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/view"
)

// newHoldsCmd makes `keyturn holds` and its commands.
func newHoldsCmd(a *app) *cobra.Command {
	group := newListHoldsCmd(a, "holds")
	group.Short = "List plans that wait for a person, approve or deny them"
	show := &cobra.Command{Use: "show ID", Short: "Show what a held plan would do", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.showHold(cmd.Context(), args[0]) }}
	group.AddCommand(newListHoldsCmd(a, "list"), show,
		newDecideCmd(a, events.Approve, "Let held plans go on"),
		newDecideCmd(a, events.Deny, "Cancel held plans: none of their actions is done"))
	return group
}

// newListHoldsCmd makes the listing, under two names.
func newListHoldsCmd(a *app, name string) *cobra.Command {
	var p picks
	cmd := &cobra.Command{
		Use:   name,
		Short: "List plans that wait for a person",
		Long:  "List plans that wait for a person's approval, oldest first. With --json it is an array of case rows.",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return a.listHolds(cmd.Context(), p) },
	}
	p.filters(cmd.Flags())
	return cmd
}

// decideHelp explains a decision about held plans.
func decideHelp(verb events.Verb) string {
	after := `What is approved goes to the lanes, and waits there for its class and the provider's budget as everything else does.`
	if verb == events.Deny {
		after = `What is denied is cancelled, and what its event had taken the place of is decided anew.`
	}
	return `, chosen by id or by filters. What filters choose is counted, listed
and confirmed first. Each is a command of its own, stored first and worked off by the planner; the ledger keeps who decided
and why.
` + after + `
Interrupted, it may be repeated: what is decided is not chosen again.
Exit code 4 means that some are stored and not worked off yet.`
}

// newDecideCmd makes `keyturn holds approve` and `deny`.
func newDecideCmd(a *app, verb events.Verb, short string) *cobra.Command {
	var p picks
	one, many := "checked with HR", "the Kiel office closes"
	if verb == events.Deny {
		one, many = "nobody leaves today", "the export was wrong"
	}
	cmd := &cobra.Command{
		Use:   string(verb) + " [ID…] --reason WHY",
		Short: short,
		Long:  short + decideHelp(verb),
		Example: "  keyturn holds " + string(verb) + " qdfwqpxehbd2 --reason '" + one + "'\n" +
			"  keyturn holds " + string(verb) + " --type user.terminated --brake 'per 1h' --since 2h --reason '" + many + "'",
	}
	var seen string
	p.flags(cmd.Flags())
	if verb == events.Approve {
		cmd.Flags().StringVar(&seen, "plan", "", "approve this plan and no other, as keyturn holds show names it (with one id)")
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		p.ids = args
		switch {
		case p.empty():
			return usage(fmt.Errorf("holds %s: name ids, a filter, or --all", verb))
		case p.reason == "" && !p.dry:
			return usage(fmt.Errorf("holds %s: say --reason WHY", verb))
		case p.one():
			return a.decide(cmd.Context(), args[0], verb, seen, p.reason, p.wait)
		case seen != "":
			return usage(fmt.Errorf("holds %s: --plan goes with one id and nothing else", verb))
		}
		p.filter.State = ledger.Held
		return p.run(cmd.Context(), a, verb, a.held(verb))
	}
	return cmd
}

// listHolds prints held plans.
func (a *app) listHolds(ctx context.Context, p picks) error {
	s, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	p.filter.State = ledger.Held
	rows, err := p.rows(ctx, a, s)
	if err != nil {
		return err
	}
	none := "nothing is held"
	if !p.empty() {
		none = "nothing is held that the filters let through"
	}
	return a.printRows(rows, (*screen).holdRows, none)
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
		err = fmt.Errorf("case %s: its plan is %s, not held: see keyturn case %s", v.ID, cmp.Or(v.Plan, "not made yet"), short(v.ID))
	}
	return v, err
}

// minShown is how much of a plan's name tells it from others.
const minShown = 8

// decide approves or denies a held plan: the one that was seen, if the person says which.
func (a *app) decide(ctx context.Context, id string, verb events.Verb, seen, reason string, wait time.Duration) error {
	s, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	v, err := s.heldCase(ctx, id)
	if err != nil {
		return err
	}
	if seen != "" && (len(seen) < minShown || !strings.HasPrefix(v.Shown, seen)) {
		return fmt.Errorf("case %s: its plan is no longer %s: look at it with keyturn holds show %s", v.ID, seen, short(v.ID))
	}
	return a.orderForCase(ctx, s, &outcome{Verb: verb, Target: v.ID, shown: shown(verb, v.CaseRow)}, reason, wait)
}
