package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/planner"
	"keyturn/internal/view"
)

// newNamesCmd makes `keyturn person names`.
func newNamesCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "names IDENTIFIER",
		Short: "List all names of a person, and the events that made them one person's",
		Long: `List all names of a person, and the events that made them one person's. They decide order, guards and what is found;
an action is aimed by what its own event gives. Take them apart with "keyturn person unmerge" where an event was wrong.`,
		Example: "  keyturn person names maria@acme.example",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer s.close()
			p, _, err := s.called(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return a.print(p, func(sc *screen) { sc.person(p) })
		},
	}
}

// called finds the person whom text is a name of, and the key of that name.
func (s *session) called(ctx context.Context, text string) (view.Person, string, error) {
	ids, err := identifiers(text)
	if err != nil {
		return view.Person{}, "", usage(err)
	}
	keyer, err := s.keyer(ctx)
	if err != nil {
		return view.Person{}, "", err
	}
	for _, key := range keys(keyer, ids) {
		p, err := s.view.Who(ctx, key)
		if err != nil {
			return p, "", err
		}
		if len(p.Known([]string{key})) > 0 {
			return p, key, nil
		}
	}
	return view.Person{}, "", notFound(fmt.Errorf("person %s: no event gave this name in order or with another one", text))
}

// person lists a person's names.
func (s *screen) person(p view.Person) {
	for _, n := range p.Names {
		s.line("name", "%s", n.ID)
	}
	for _, j := range p.Joins {
		s.line("joined", "%s by %s, case %s: %s", s.moment(j.Time), j.Event, j.Case, strings.Join(slices.Concat(j.Names, j.Claimed), ", "))
	}
}

// newUnmergeCmd makes `keyturn person unmerge`.
func newUnmergeCmd(a *app) *cobra.Command {
	var reason string
	var wait time.Duration
	cmd := &cobra.Command{
		Use:   "unmerge IDENTIFIER… --reason WHY",
		Short: "Take names apart that a wrong event made one person's",
		Long: `Give some names of a person to a person of their own, with the events that came by them. Both stay in order, and no
event joins the two again. What the events of one had taken back from the other is listed: look at these cases.
Exit code 4 means that the command is stored and not worked off yet.`,
		Example: "  keyturn person unmerge desk@acme.example --reason 'a shared mailbox'",
		Args:    cobra.RangeArgs(1, mostNames),
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the ledger (required)")
	cmd.Flags().DurationVar(&wait, "wait", defaultWait, "how long to wait for the outcome; 0 to only store the command")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if reason == "" {
			return usage(errors.New("person unmerge: say --reason WHY"))
		}
		return a.unmerge(cmd.Context(), args, reason, wait)
	}
	return cmd
}

// mostNames is how many names fit into one command.
const mostNames = 6

// unmerge takes names apart.
func (a *app) unmerge(ctx context.Context, names []string, reason string, wait time.Duration) error {
	s, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	var keys []string
	for _, name := range names {
		_, key, err := s.called(ctx, name)
		if err != nil {
			return err
		}
		keys = append(keys, key)
	}
	o := &outcome{Verb: events.Unmerge, Target: planner.UnmergeTarget(keys...)}
	late, err := a.orderAndWait(ctx, s, o, reason, wait)
	if err != nil {
		return err
	}
	if o.Settled {
		rec, err := s.ledger.Last(ctx, ledger.OrderSubject(keys[0]))
		if err != nil {
			return err
		}
		o.Done, o.State = rec.Attempt == o.Command, rec.State
	}
	return cmp.Or(a.printOutcomes([]outcome{*o}), late, refused([]outcome{*o}))
}
