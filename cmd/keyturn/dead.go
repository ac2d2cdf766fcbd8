package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"keyturn/internal/events"
	"keyturn/internal/stream"
	"keyturn/internal/view"
)

// newDeadCmd makes `keyturn dead` and its commands.
func newDeadCmd(a *app) *cobra.Command {
	group := &cobra.Command{
		Use:   "dead",
		Short: "List what cannot be done without a person, send it again or give it up",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	group.AddCommand(newDeadListCmd(a), newDeadShowCmd(a),
		newSettleCmd(a, events.RedriveVerb, "Send dead letters again"),
		newSettleCmd(a, events.Drop, "Give dead letters up: nothing will be done about them"))
	return group
}

// choice chooses dead letters for one command upon many: by ids, or by filters.
type choice struct {
	word
	ids          []string
	filter       view.DeadFilter
	since, until string
	all          bool
}

// filters adds the filters to a command.
func (c *choice) filters(f *pflag.FlagSet) {
	f.StringVar(&c.filter.Cause, "cause", "", "that died of this: permanent, transient, contested, conflict, mapping …")
	f.StringVar(&c.filter.Connection, "connection", "", "of this connection")
	f.StringVar(&c.filter.Do, "do", "", "of this kind of action: okta.suspend_user …")
	f.StringVar(&c.filter.Kind, "kind", "", "action, conflict or fault")
	f.StringVar(&c.filter.Source, "source", "", "that came from this source (its dedup_scope where it has one, else its name; faults of its mapping always by its name)")
	f.StringVar(&c.filter.Playbook, "playbook", "", "actions of this playbook")
	f.StringVar(&c.filter.Principal, "person", "", "part of the principal's name")
	f.StringVar(&c.filter.Case, "case", "", "of this case (the beginning of its id is enough)")
	f.StringVar(&c.since, "since", "", "died since: 90m, 24h, 7d, 2026-03-02, or an RFC 3339 time")
	f.StringVar(&c.until, "until", "", "died before, in the same forms")
}

// empty reports whether nothing was chosen.
func (c choice) empty() bool {
	return len(c.ids) == 0 && !c.all && c.filter == (view.DeadFilter{}) && c.since+c.until == ""
}

// letters reads the dead letters that c chooses, oldest first, and counts all there are. An id that names none is an
// error, and so is a filter that can choose none.
func (c choice) letters(ctx context.Context, a *app, s *session) (found []events.DeadLetter, all int, err error) {
	if err := cmp.Or(c.check(), a.times(bound{c.since, &c.filter.Since}, bound{c.until, &c.filter.Until})); err != nil {
		return nil, 0, err
	}
	if c.filter.Case != "" {
		if c.filter.Case, err = view.CasePrefix(c.filter.Case); err != nil {
			return nil, 0, err
		}
	}
	wanted := map[string]bool{}
	for _, id := range c.ids {
		wanted[id] = true
	}
	found = []events.DeadLetter{}
	unsaid := 0
	err = s.bus.DeadLetters(ctx, func(d events.DeadLetter) error {
		all++
		switch {
		case len(c.ids) > 0 && !wanted[d.ID]:
		case c.filter.Matches(d):
			found = append(found, d)
			delete(wanted, d.ID)
		case c.filter.Unsaid(d):
			unsaid++
		}
		return nil
	})
	if err != nil {
		return nil, 0, err
	}
	a.noteUnsaid(unsaid)
	for id := range wanted {
		return nil, 0, notFound(fmt.Errorf("dead letter %s: not there, or a filter leaves it out (keyturn dead list --all)", id))
	}
	if c.filter.Case != "" && slices.ContainsFunc(found, func(d events.DeadLetter) bool { return d.Case != found[0].Case }) {
		return nil, 0, fmt.Errorf("case %s: %w", c.filter.Case, view.ErrAmbiguous)
	}
	return found, all, nil
}

// noteUnsaid says that a filter by source leaves letters out of which nobody can say whether it means them.
func (a *app) noteUnsaid(n int) {
	if n > 0 {
		a.note("%s left out: of before letters of actions had a source; choose those by --playbook, --case or id", plural(n, "letter"))
	}
}

// check refuses a kind that there is not: nothing died of it, which would be a wrong comfort.
func (c choice) check() error {
	kinds := []string{events.DeadAction, events.DeadConflict, events.DeadFault}
	if c.filter.Kind == "" || slices.Contains(kinds, c.filter.Kind) {
		return nil
	}
	return usage(fmt.Errorf("kind %q: use %s (--do for kinds of actions)", c.filter.Kind, strings.Join(kinds, ", ")))
}

// noLetter says that none is chosen, and how many there are all the same: a filter may be misspelt.
func noLetter(all int) string {
	if all == 0 {
		return "no dead letter"
	}
	return fmt.Sprintf("no dead letter is chosen, of %d that there are: see keyturn dead list", all)
}

// newDeadListCmd makes `keyturn dead list`.
func newDeadListCmd(a *app) *cobra.Command {
	var c choice
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List dead letters: how many died of what, or with a filter each of them",
		Long: `List how many dead letters died of what, and what each group of them needs. With a filter, or --all, list the letters
themselves, oldest first. With --json it is an array: of groups without a filter, of letters with one.`,
		Example: "  keyturn dead list\n  keyturn dead list --cause permanent --connection okta-prod --since 24h",
		Args:    cobra.NoArgs,
	}
	c.filters(cmd.Flags())
	cmd.Flags().BoolVar(&c.all, "all", false, "each letter, of all of them")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return a.listDead(cmd.Context(), c) }
	return cmd
}

// listDead prints what is dead: groups, or the letters that were asked for.
func (a *app) listDead(ctx context.Context, c choice) error {
	s, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	found, all, err := c.letters(ctx, a, s)
	if err != nil {
		return err
	}
	if len(found) == 0 && !a.asJSON {
		a.note("%s", noLetter(all))
		return nil
	}
	if !c.empty() {
		return a.print(found, func(sc *screen) { sc.deadRows(found) })
	}
	groups := view.GroupDead(found)
	return a.print(groups, func(sc *screen) {
		sc.deadGroups(groups)
		sc.WriteString("\nkeyturn dead list with a filter, or --all, shows the letters\n")
	})
}

// newDeadShowCmd makes `keyturn dead show`.
func newDeadShowCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "show ID",
		Short: "Show one dead letter: what it is, why it died, what to do",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer s.close()
			d, err := s.bus.DeadLetter(cmd.Context(), args[0])
			if errors.Is(err, stream.ErrNotFound) {
				return fmt.Errorf("%w: keyturn dead list --all lists them, --case ID those of a case", err)
			}
			if err != nil {
				return err
			}
			return a.print(d, func(sc *screen) { sc.deadLetter(d) })
		},
	}
}

// deadGroups lists what dead letters died of, and what to do about it.
func (s *screen) deadGroups(groups []view.DeadGroup) {
	var rows [][]any
	for _, g := range groups {
		rows = append(rows, []any{g.Count, g.Cause, cmp.Or(g.Connection, g.Source), g.Kind, s.moment(g.Oldest), g.Suggestion})
	}
	s.table([]string{"COUNT", "CAUSE", "AT", "KIND", "OLDEST", "WHAT TO DO"}, rows)
}

// deadRows lists dead letters.
func (s *screen) deadRows(list []events.DeadLetter) {
	var rows [][]any
	for _, d := range list {
		rows = append(rows, []any{d.ID, where(d), what(d), d.Cause, s.moment(d.Time), first(d.Error, 60)})
	}
	s.table([]string{"ID", "AT", "WHAT", "CAUSE", "SINCE", "ERROR"}, rows)
}

// deadLetter shows one dead letter.
func (s *screen) deadLetter(d events.DeadLetter) {
	s.line("dead", "%s (%s), since %s (%s)", d.ID, d.Kind, s.moment(d.Time), s.away(d.Time))
	s.line("what", "%s at %s", what(d), where(d))
	if d.Source != "" && d.Connection != "" {
		s.line("source", "%s", d.Source)
	}
	if d.Case != "" {
		s.line("case", "%s", d.Case)
	}
	why := d.Error + " (" + d.Cause
	if d.Status > 0 {
		why += fmt.Sprintf(", status %d", d.Status)
	}
	if d.RequestID != "" {
		why += ", request " + d.RequestID
	}
	if d.Attempts > 0 {
		why += ", " + plural(d.Attempts, "attempt")
	}
	s.line("failed", "%s", why+")")
	if d.Suggestion != "" {
		s.line("advice", "%s", d.Suggestion)
	}
	if len(d.Original) > 0 {
		var v any
		if json.Unmarshal(d.Original, &v) == nil {
			text, _ := json.MarshalIndent(v, strings.Repeat(" ", labelWidth+1), "  ") // was JSON a moment ago
			// Its lines are ours: within a string of JSON there are none.
			s.line("original", "%s", painted(cleanLines(string(text))))
		}
	}
	s.line("next", "keyturn dead redrive %s (or drop)", d.ID)
}

// where is the connection or the source of a dead letter.
func where(d events.DeadLetter) string {
	if d.Connection != "" {
		return d.Connection
	}
	return d.Source
}

// what is the action and its principal, or the kind of what is no action.
func what(d events.DeadLetter) string {
	text := d.Do
	if text == "" {
		text = d.Kind
	}
	if d.Principal != "" {
		text += " for " + d.Principal
	}
	return text
}

// first cuts text for a cell, after n characters.
func first(text string, n int) string {
	r := []rune(strings.ReplaceAll(text, "\n", " "))
	if len(r) <= n {
		return string(r)
	}
	return string(r[:n-1]) + "…"
}
