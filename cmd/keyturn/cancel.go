package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"keyturn/internal/events"
	"keyturn/internal/view"
)

// newCancelCmd makes `keyturn cancel`.
func newCancelCmd(a *app) *cobra.Command {
	var p picks
	cmd := &cobra.Command{
		Use:   "cancel [ID…] --reason WHY",
		Short: "Cancel what cases have not begun",
		Long: `Cancel what cases have not begun, chosen by id or by filters: plans that wait for their time or for a person, and the
actions that no lane has started. What is begun or done is never undone; the outcome counts it. One case by its id is
also closed when it only lists what a person had to look at.
After a source sent what it should not have, one command takes back all that is still to come of it.
Interrupted, it may be repeated. Exit code 4 means that some commands are stored and not worked off yet.`,
		Example: "  keyturn cancel qdfwqpxehbd2 --reason 'sent by mistake'\n" +
			"  keyturn cancel --source hr-relay --since 2h --reason 'its key was stolen'",
	}
	p.flags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		p.ids = args
		switch {
		case p.empty():
			return usage(errors.New("cancel: name ids, a filter, or --all"))
		case p.reason == "" && !p.dry:
			return usage(errors.New("cancel: say --reason WHY"))
		case p.one():
			return a.cancel(cmd.Context(), args[0], p.reason, p.wait)
		}
		p.filter.Unbegun = true
		return p.run(cmd.Context(), a, events.Cancel, func(view.CaseRow) bool { return true })
	}
	return cmd
}

// cancel cancels a case.
func (a *app) cancel(ctx context.Context, id, reason string, wait time.Duration) error {
	s, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	v, err := s.view.Case(ctx, id)
	if err != nil {
		return err
	}
	return a.orderForCase(ctx, s, &outcome{Verb: events.Cancel, Target: v.ID}, reason, wait)
}
