package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"keyturn/internal/config"
	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/planner"
	"keyturn/internal/view"
)

// pauseTargets is what a pause can be about, for help texts.
const pauseTargets = "all, connection:NAME, playbook:NAME or source:NAME"

// newPauseCmd makes `keyturn pause`.
func newPauseCmd(a *app) *cobra.Command {
	var reason, until string
	var lasts, wait time.Duration
	cmd := &cobra.Command{
		Use:   "pause TARGET --for SPAN --reason WHY",
		Short: "Let something stand still until a deadline",
		Long: `Let ` + pauseTargets + ` stand still until a deadline.
Plans of a paused source or playbook are held, and those of their actions that the lanes have already are not begun, while
the lanes go on with others; after a resume they take up to 75 s. Nothing begins at a paused connection, or anywhere while
all is paused. A source goes by its dedup_scope where it has one. A name that the configuration does not have is refused.
What has begun comes to its end. Urgent work waits too. It ends by itself, or with keyturn resume; pausing again moves the
deadline. --for counts from when the broker took the command. Exit code 4 means that the command is stored and not worked off yet.`,
		Example: "  keyturn pause source:hr-relay --for 2h --reason 'its key was stolen'\n" +
			"  keyturn pause connection:okta-prod --until 2026-03-02T18:00:00Z --reason 'maintenance'",
		Args: cobra.ExactArgs(1),
	}
	flags := cmd.Flags()
	flags.StringVar(&reason, "reason", "", "why, for the ledger (required)")
	flags.Var((*span)(&lasts), "for", "how long: 30m, 2h, 7d …")
	flags.StringVar(&until, "until", "", "until when: an RFC 3339 time, or a date")
	flags.DurationVar(&wait, "wait", defaultWait, "how long to wait for the outcome; 0 to only store the command")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		end, err := a.deadline(lasts, until)
		switch {
		case err != nil:
			return usage(err)
		case reason == "":
			return usage(errors.New("pause: say --reason WHY"))
		}
		return a.orderPause(cmd.Context(), events.Command{Verb: events.Pause, Target: args[0], Reason: reason, Until: end, Lasts: lasts}, wait)
	}
	return cmd
}

// span is a flag for a span of time, in the notation of the configuration: Go's, and d for days.
type span time.Duration

func (s *span) String() string {
	if *s == 0 {
		return "" // no default to show
	}
	return time.Duration(*s).String()
}

func (s *span) Type() string { return "span" }

func (s *span) Set(text string) error {
	d, err := config.ParseDuration(text)
	if err != nil || d <= 0 {
		return errors.New("write a number above zero and its unit, such as 30m, 2h or 7d")
	}
	*s = span(d)
	return nil
}

// deadline reads when a pause ends.
func (a *app) deadline(lasts time.Duration, until string) (time.Time, error) {
	switch {
	case lasts > 0 && until == "":
		return a.now().Add(lasts).UTC(), nil
	case lasts != 0 || until == "":
		return time.Time{}, errors.New("pause: say how long with --for, or --until when")
	}
	for _, form := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.ParseInLocation(form, until, a.zone); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("until %q: write an RFC 3339 time, or a date", until)
}

// newResumeCmd makes `keyturn resume`.
func newResumeCmd(a *app) *cobra.Command {
	var reason string
	var wait time.Duration
	cmd := &cobra.Command{
		Use:     "resume TARGET --reason WHY",
		Short:   "End a pause before its deadline",
		Long:    "End the pause of " + pauseTargets + ".\nWhat waited for it is judged again, by the playbooks and the guards of now.",
		Example: "  keyturn resume source:hr-relay --reason 'it has a new key'",
		Args:    cobra.ExactArgs(1),
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the ledger (required)")
	cmd.Flags().DurationVar(&wait, "wait", defaultWait, "how long to wait for the outcome; 0 to only store the command")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if reason == "" {
			return usage(errors.New("resume: say --reason WHY"))
		}
		return a.orderPause(cmd.Context(), events.Command{Verb: events.Resume, Target: args[0], Reason: reason}, wait)
	}
	return cmd
}

// orderPause stores a command about a pause and waits for its outcome.
func (a *app) orderPause(ctx context.Context, c events.Command, wait time.Duration) error {
	s, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	c.ID, c.Actor, c.Time = uuid.NewString(), a.actor(), a.now().UTC()
	if err := s.bus.PublishCommand(ctx, c); err != nil {
		return err
	}
	// Dying here: the command is on disk and will be worked off.
	o := outcome{Command: c.ID, Verb: c.Verb, Target: c.Target}
	var late error
	if wait > 0 {
		if late = o.await(ctx, s, time.Now().Add(wait)); late != nil && !errors.Is(late, errNotYet) {
			return late
		}
	}
	if o.Settled {
		list, err := planner.Pauses(ctx, s.ledger, time.Time{}) // all that nobody ended: this machine's clock may be wrong
		if err != nil {
			return err
		}
		holds := slices.ContainsFunc(list, func(p planner.Pause) bool { return p.Command == c.ID }) // its target may go by its dedup_scope
		o.Done = holds || c.Verb == events.Resume && strings.HasSuffix(o.Outcome, "goes on")
	}
	if err := a.print([]outcome{o}, func(sc *screen) {
		switch {
		case o.Settled && o.Done:
			_, _ = fmt.Fprintf(sc, "%s\n", clean(o.Outcome))
		case !o.Settled:
			_, _ = fmt.Fprintf(sc, "%s %s: stored\n", clean(string(o.Verb)), clean(o.Target))
		}
	}); err != nil {
		return err
	}
	return errors.Join(late, refused([]outcome{o}))
}

// pauseRow is a pause with what waits for it.
type pauseRow struct {
	planner.Pause
	Held   int `json:"held"`   // plans that wait for it
	Urgent int `json:"urgent"` // those of them that are urgent
	Lanes  int `json:"lanes"`  // cases with actions that lanes have and do not begin, of a source or a playbook
}

// newPausesCmd makes `keyturn pauses`.
func newPausesCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "pauses",
		Short: "List what is paused, by whom, until when, and what waits for it",
		Long:  "List what is paused. With --json it is an array of pauses.",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return a.listPauses(cmd.Context()) },
	}
}

// listPauses prints the pauses that hold now.
func (a *app) listPauses(ctx context.Context) error {
	s, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	list, err := planner.Pauses(ctx, s.ledger, a.now())
	if err != nil {
		return err
	}
	if len(list) == 0 && !a.asJSON {
		a.note("nothing is paused")
		return nil
	}
	held, err := s.view.Cases(ctx, view.Filter{State: ledger.Held})
	if err != nil {
		return err
	}
	rows := []pauseRow{}
	for _, p := range list {
		row := pauseRow{Pause: p}
		if row.Lanes, err = s.detained(ctx, p); err != nil {
			return err
		}
		for _, r := range held {
			if r.Hold != nil && slices.Contains(r.Hold.Pauses, p.Target) {
				row.Held++
				if r.Class == events.Urgent {
					row.Urgent++
				}
			}
		}
		rows = append(rows, row)
	}
	return a.print(rows, func(sc *screen) { sc.pauseRows(rows) })
}

// detained counts the cases of which lanes have actions that a pause keeps from beginning.
func (s *session) detained(ctx context.Context, p planner.Pause) (int, error) {
	f := view.Filter{Unbegun: true}
	switch kind, name, _ := strings.Cut(p.Target, ":"); kind {
	case "source":
		f.Source = name
	case "playbook":
		f.Playbook = name
	default:
		return 0, nil
	}
	list, err := s.view.Cases(ctx, f)
	n := 0
	for _, r := range list {
		if r.Plan == ledger.Planned && r.Tally.Open+r.Tally.Waiting > 0 {
			n++
		}
	}
	return n, err
}

// pauseRows lists pauses.
func (s *screen) pauseRows(rows []pauseRow) {
	var cells [][]any
	for _, r := range rows {
		waits := plural(r.Held, "plan")
		if r.Urgent > 0 {
			waits += fmt.Sprintf(", %d URGENT", r.Urgent)
		}
		if r.Lanes > 0 {
			waits += fmt.Sprintf(", and %s in lanes", plural(r.Lanes, "case"))
		}
		if r.Target == planner.PauseAll || strings.HasPrefix(r.Target, "connection:") {
			waits = "its lane begins nothing"
			if r.Target == planner.PauseAll {
				waits = "no lane begins anything"
			}
		}
		cells = append(cells, []any{r.Target, s.moment(r.Until), s.away(r.Until), r.By, waits, r.Reason})
	}
	s.table([]string{"PAUSED", "UNTIL", "", "BY", "WAITS", "WHY"}, cells)
}

// pauses tells which pauses keep actions of the case from beginning.
func (s *screen) pauses(v view.CaseView, list []planner.Pause) {
	for _, p := range list {
		waits := slices.ContainsFunc(v.Actions, func(act view.ActionView) bool {
			stopped := p.Stops(act.Connection) || p.StopsAction(act.Playbook, v.Source.Scope)
			return v.Plan == ledger.Planned && !act.State.Terminal() && stopped
		})
		if waits {
			s.line("paused", "%s", p.String())
		}
	}
}
