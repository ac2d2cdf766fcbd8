package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"keyturn/internal/events"
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

// choice chooses dead letters.
type choice struct {
	ids                                         []string
	connection, kind, do, cause, source, caseID string
	all                                         bool
}

// flags adds the filters to a command.
func (c *choice) flags(f *pflag.FlagSet) {
	f.StringVar(&c.connection, "connection", "", "of this connection")
	f.StringVar(&c.kind, "kind", "", "action, conflict or fault")
	f.StringVar(&c.do, "do", "", "of this kind of action: okta.suspend_user …")
	f.StringVar(&c.cause, "cause", "", "that died of this: permanent, transient, conflict, mapping …")
	f.StringVar(&c.source, "source", "", "that came from this source")
	f.StringVar(&c.caseID, "case", "", "of this case (the beginning of its id is enough)")
}

// empty reports whether nothing was chosen.
func (c choice) empty() bool {
	return len(c.ids) == 0 && !c.all && c.connection+c.kind+c.do+c.cause+c.source+c.caseID == ""
}

// matches reports whether the letter is chosen by the filters. An empty filter chooses all.
func (c choice) matches(d events.DeadLetter) bool {
	for _, f := range []struct{ want, have string }{
		{c.connection, d.Connection}, {c.kind, d.Kind}, {c.do, d.Do}, {c.cause, d.Cause}, {c.source, d.Source},
	} {
		if f.want != "" && f.want != f.have {
			return false
		}
	}
	if len(c.ids) > 0 && !slices.Contains(c.ids, d.ID) {
		return false
	}
	return strings.HasPrefix(d.Case, c.caseID)
}

// letters reads the dead letters that c chooses, oldest first. An id that names none is stream.ErrNotFound.
func (s *session) letters(ctx context.Context, c choice) ([]events.DeadLetter, error) {
	found := []events.DeadLetter{}
	err := s.bus.DeadLetters(ctx, func(d events.DeadLetter) error {
		if c.matches(d) {
			found = append(found, d)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, id := range c.ids {
		if !slices.ContainsFunc(found, func(d events.DeadLetter) bool { return d.ID == id }) {
			return nil, notFound(fmt.Errorf("dead letter %s: not there (keyturn dead list)", id))
		}
	}
	return found, nil
}

// newDeadListCmd makes `keyturn dead list`.
func newDeadListCmd(a *app) *cobra.Command {
	var c choice
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List dead letters, oldest first",
		Long:  "List dead letters, oldest first. With --json it is an array of them.",
		Args:  cobra.NoArgs,
	}
	c.flags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		s, err := a.connect(cmd.Context())
		if err != nil {
			return err
		}
		defer s.close()
		found, err := s.letters(cmd.Context(), c)
		if err != nil {
			return err
		}
		if len(found) == 0 && !a.asJSON {
			a.note("no dead letter")
			return nil
		}
		return a.print(found, func(sc *screen) { sc.deadRows(found) })
	}
	return cmd
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
			if err != nil {
				return err
			}
			return a.print(d, func(sc *screen) { sc.deadLetter(d) })
		},
	}
}

// errNotConfirmed: the person did not say yes.
var errNotConfirmed = errors.New("not confirmed, nothing was done (--yes confirms beforehand)")

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
			s.line("original", "%s", string(text))
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
