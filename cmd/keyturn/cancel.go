package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"keyturn/internal/events"
	"keyturn/internal/playbook"
	"keyturn/internal/view"
)

// newCancelCmd makes `keyturn cancel`.
func newCancelCmd(a *app) *cobra.Command {
	var p picks
	var spare bool
	cmd := &cobra.Command{
		Use:   "cancel [ID…] --reason WHY",
		Short: "Cancel what cases have not begun",
		Long: `Cancel what cases have not begun, chosen by id or by filters: plans that wait for their time or for a person, and the
actions that no lane has started. What is begun or done is never undone; the outcome counts it. One case by its id is
also closed when it only lists what a person had to look at.
After a source sent what it should not have, one command takes back all that is still to come of it. That includes what
takes terminations back (user.termination_rescinded, user.rehired): once it is cancelled, the terminations whose place it
had taken are dead letters of cause "overtaken", and a redrive of them locks those people out. --spare-rescinds leaves it
alone. Actions of another plan that it had called back already do not return by a redrive: their events must be sent anew.
Interrupted, it may be repeated. Exit code 4 means that some commands are stored and not worked off yet.`,
		Example: "  keyturn cancel qdfwqpxehbd2 --reason 'sent by mistake'\n" +
			"  keyturn cancel --source hr-relay --since 2h --reason 'its key was stolen'",
	}
	p.flags(cmd.Flags())
	cmd.Flags().BoolVar(&spare, "spare-rescinds", false, "leave out what takes terminations back")
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
		p.about, p.left = rescindsAmong, "they take terminations back"
		return p.run(cmd.Context(), a, events.Cancel, func(r view.CaseRow) bool { return !spare || !takesBack(r) })
	}
	return cmd
}

// takesBack reports whether a case is about an event that takes terminations back.
func takesBack(r view.CaseRow) bool {
	return playbook.TakesBack(events.Event{Type: events.TypePrefix + r.Event + events.TypeSuffix})
}

// rescindsAmong tells a person how many of the cases that they are about to cancel take terminations back.
func rescindsAmong(rows []view.CaseRow) string {
	n := 0
	for _, r := range rows {
		if takesBack(r) {
			n++
		}
	}
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%s of these %d: terminations taken back (rescinded, rehired). Cancelled, they no longer are; "+
		"--spare-rescinds leaves them out", plural(n, "case"), len(rows))
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
