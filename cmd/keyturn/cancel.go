package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"keyturn/internal/events"
)

// newCancelCmd makes `keyturn cancel`.
func newCancelCmd(a *app) *cobra.Command {
	var reason string
	var wait time.Duration
	cmd := &cobra.Command{
		Use:   "cancel ID --reason WHY",
		Short: "Cancel what a case has not begun",
		Long: `Cancel what a case has not begun: a plan that waits for its time or for a person, or the actions of it that no lane
has started. What is begun or done is never undone. It also closes a case that only lists what a person had to look at.
Exit code 4 means that the command is stored and not worked off yet.`,
		Example: "  keyturn cancel qdfwqpxehbd2 --reason 'sent by mistake'",
		Args:    cobra.ExactArgs(1),
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the ledger (required)")
	cmd.Flags().DurationVar(&wait, "wait", defaultWait, "how long to wait for the outcome; 0 to only store the command")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if reason == "" {
			return usage(errors.New("cancel: say --reason WHY"))
		}
		return a.cancel(cmd.Context(), args[0], reason, wait)
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
