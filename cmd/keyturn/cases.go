package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"keyturn/internal/ledger"
	"keyturn/internal/view"
)

// newCasesCmd makes `keyturn cases`.
func newCasesCmd(a *app) *cobra.Command {
	var since, state string
	var f view.Filter
	cmd := &cobra.Command{
		Use:     "cases",
		Short:   "List cases, newest first",
		Long:    "List cases, newest first. With --json it is an array of case rows.",
		Example: "  keyturn cases --since 24h --state needs_person\n  keyturn cases --type user.terminated --person maria",
		Args:    cobra.NoArgs,
	}
	flags := cmd.Flags()
	flags.StringVar(&since, "since", "7d", "accepted since: 90m, 24h, 7d, 2026-03-02, an RFC 3339 time, or all")
	flags.StringVar(&state, "state", "", "where the case or its plan stands: open, closed, needs_person, held, scheduled …")
	flags.StringVar(&f.Type, "type", "", "event: user.terminated, device.lost …")
	flags.StringVar(&f.Principal, "person", "", "part of the principal's name (keyturn person finds all of one person)")
	flags.IntVarP(&f.Limit, "limit", "n", 50, "the newest so many; 0 for all")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var err error
		if f.Since, err = sinceTime(a.now(), a.zone, since); err != nil {
			return usage(err)
		}
		if err := knownType(f.Type); err != nil {
			return err
		}
		if f.State = ledger.State(state); state != "" && !slices.Contains(caseStates(), f.State) {
			return usage(fmt.Errorf("state %q: not one of %v", state, caseStates()))
		}
		s, err := a.connect(cmd.Context())
		if err != nil {
			return err
		}
		defer s.close()
		rows, err := s.view.Cases(cmd.Context(), f)
		if err != nil {
			return err
		}
		if f.Limit > 0 && len(rows) == f.Limit {
			a.note("the newest %d; --limit 0 shows all", f.Limit)
		}
		return a.printRows(rows, (*screen).caseRows, noCase(f, since))
	}
	return cmd
}

// noCase says that a listing is empty, and of what: one of a state is not one of everything.
func noCase(f view.Filter, since string) string {
	if f.State == "" && f.Type == "" && f.Principal == "" {
		return "no case since " + since + " (--since all looks at everything)"
	}
	return "no such case since " + since + " (--since all looks at everything)"
}

// caseStates are the states that a listing can be narrowed to.
func caseStates() []ledger.State {
	return []ledger.State{ledger.Open, ledger.Closed, ledger.ClosedWithResidual, ledger.NeedsPerson, ledger.Planned,
		ledger.Held, ledger.Scheduled, ledger.Refused, ledger.Superseded, ledger.Cancelled, ledger.Conflict}
}

// printRows prints a listing, or says on the side that there is nothing.
func (a *app) printRows(rows []view.CaseRow, draw func(*screen, []view.CaseRow), none string) error {
	if len(rows) == 0 && !a.asJSON {
		a.note("%s", none)
		return nil
	}
	return a.print(rows, func(s *screen) { draw(s, rows) })
}

// sinceTime reads a point in time: a span before now (with d for days), a date in the reader's zone, or RFC 3339. "all"
// is the zero time.
func sinceTime(now time.Time, zone *time.Location, text string) (time.Time, error) {
	if text == "all" {
		return time.Time{}, nil
	}
	if number, ok := strings.CutSuffix(text, "d"); ok {
		if days, err := strconv.ParseUint(number, 10, 16); err == nil {
			return now.AddDate(0, 0, -int(days)), nil
		}
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	if t, err := time.ParseInLocation(time.DateOnly, text, zone); err == nil {
		return t, nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	return time.Time{}, fmt.Errorf("since %q: write 90m, 24h, 7d, 2026-03-02, an RFC 3339 time, or all", text)
}
