package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/playbook"
	"keyturn/internal/view"
)

// newCancelCmd makes `keyturn cancel`.
func newCancelCmd(a *app) *cobra.Command {
	var p picks
	var spare, forged bool
	cmd := &cobra.Command{
		Use:   "cancel [ID…] --reason WHY",
		Short: "Cancel what cases have not begun",
		Long: `Cancel what cases have not begun, chosen by id or by filters: plans that wait for their time or for a person, and the
actions that no lane has started. What is begun or done is never undone; the outcome counts it. One case by its id is
also closed when it only lists what a person had to look at.
After a source sent what it should not have, one command takes back all that is still to come of it, and brings back what
it took: once an event that takes terminations back (user.termination_rescinded, user.rehired) or gives another date is
cancelled, the terminations whose place it had taken are decided anew, by the guards of this moment, unless they are chosen
themselves. That locks these people out: --spare-rescinds leaves alone what takes terminations back. One whose actions had
begun is a case of its own then, which looks at what was done and does the rest.
One case by its id that lists what older events had begun is closed as seen to; with --forged it is taken back.
Interrupted, it may be repeated. Exit code 4 means that some commands are stored and not worked off yet.`,
		Example: "  keyturn cancel qdfwqpxehbd2 --reason 'sent by mistake'\n" +
			"  keyturn cancel --source hr-relay --since 2h --reason 'its key was stolen'",
	}
	p.flags(cmd.Flags())
	cmd.Flags().BoolVar(&spare, "spare-rescinds", false, "leave out what takes terminations back")
	cmd.Flags().BoolVar(&forged, "forged", false, "of one case: its event was never true, and what it took back is decided anew")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		p.ids = args
		switch {
		case p.empty():
			return usage(errors.New("cancel: name ids, a filter, or --all"))
		case p.reason == "" && !p.dry:
			return usage(errors.New("cancel: say --reason WHY"))
		case p.one():
			return a.cancel(cmd.Context(), args[0], forged, p.reason, p.wait)
		}
		p.filter.Unbegun = true
		p.about, p.left = rescindsAmong, "they take terminations back"
		may := func(r view.CaseRow) bool { return !spare || !takesBack(r) }
		p.as = func(r view.CaseRow) events.Verb {
			if takesBack(r) {
				return events.Withdraw
			}
			return events.Cancel
		}
		p.before = func(ctx context.Context, s *session) error { return p.unplace(ctx, a, s, may) }
		return p.run(cmd.Context(), a, events.Cancel, may)
	}
	return cmd
}

// unplace has those of the chosen cases come back no more which others had overtaken: cancelled first, these would bring
// them back. It waits until that is done.
func (p *picks) unplace(ctx context.Context, a *app, s *session, may func(view.CaseRow) bool) error {
	if len(p.ids) > 0 {
		return nil
	}
	f := p.filter
	f.Unbegun = false
	all, err := s.view.Cases(ctx, f)
	if err != nil {
		return err
	}
	var list []said
	for _, r := range all {
		if overtaken(r) && may(r) {
			list = append(list, said{target: r.ID, id: caseCommand(events.Withdraw, r, a.actor()), verb: events.Withdraw})
		}
	}
	if len(list) == 0 {
		return nil
	}
	a.note("%s of the same choice had been overtaken or cancelled before, and will not come back", plural(len(list), "case"))
	outcomes, err := a.tell(ctx, s, p.word, list)
	if err != nil {
		return err
	}
	late, err := hearAll(ctx, s, outcomes, cmp.Or(p.wait, defaultWait))
	// Dying here, or before these are worked off: what overtook them still stands; repeated, it begins with them again.
	return cmp.Or(err, late)
}

// overtaken reports whether a case waits for nothing and would come back if what had taken its place, or had called its
// actions back, were cancelled.
func overtaken(r view.CaseRow) bool {
	switch r.Plan {
	case ledger.Superseded, ledger.Cancelled:
		return r.Event == "user.terminated" || takesBack(r)
	case ledger.Planned:
		return r.Event == "user.terminated" && r.Tally.Cancelled > 0 && r.Tally.Open+r.Tally.Waiting+r.Tally.Dead == 0
	}
	return false
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
	return fmt.Sprintf("%s of these %d: terminations taken back (rescinded, rehired). Cancelled, these are decided anew; "+
		"--spare-rescinds leaves them out", plural(n, "case"), len(rows))
}

// cancel cancels a case.
func (a *app) cancel(ctx context.Context, id string, forged bool, reason string, wait time.Duration) error {
	s, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	v, err := s.view.Case(ctx, id)
	if err != nil {
		return err
	}
	verb := events.Cancel
	if forged {
		verb = events.Withdraw
	}
	return a.orderForCase(ctx, s, &outcome{Verb: verb, Target: v.ID}, reason, wait)
}
