package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"keyturn/internal/planner"
	"keyturn/internal/view"
)

// newCaseCmd makes `keyturn case`.
func newCaseCmd(a *app) *cobra.Command {
	var watch, timeline bool
	cmd := &cobra.Command{
		Use:   "case ID",
		Short: "Show the way of one event: accepted, planned, each action with its proof, what outlives them",
		Long: `Show everything the ledger tells about one case, in the order in which it happened.
ID is the case id, or the first 6 or more characters of it where they are unique.
With --json it is the case view; with --watch --json one view per line, at each change.`,
		Example: "  keyturn case qdfwqpxehbd2 --watch",
		Args:    cobra.ExactArgs(1),
	}
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "follow the case until it closes or needs a person")
	cmd.Flags().BoolVarP(&timeline, "timeline", "t", false, "list every record of it as well")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		s, err := a.connect(cmd.Context())
		if err != nil {
			return err
		}
		defer s.close()
		if watch {
			return a.watchCase(cmd.Context(), s.view, args[0])
		}
		return a.showCase(cmd.Context(), s, args[0], timeline)
	}
	return cmd
}

// showCase prints a case, with the pauses that keep it waiting.
func (a *app) showCase(ctx context.Context, s *session, id string, timeline bool) error {
	v, err := s.view.Case(ctx, id)
	if errors.Is(err, view.ErrNotFound) {
		return fmt.Errorf("%w (an event that was just accepted has no record until it is planned: try --watch)", err)
	}
	if err != nil {
		return err
	}
	paused, err := planner.Pauses(ctx, s.ledger, a.now())
	if err != nil {
		return err
	}
	return a.print(v, func(sc *screen) {
		sc.caseView(v)
		sc.pauses(v, paused)
		if timeline {
			sc.WriteString("\n")
			sc.moments(v, v.Timeline)
		}
	})
}

// pollEvery is how often a followed case is read again. A read costs the broker a few milliseconds.
const pollEvery = 300 * time.Millisecond

// watchCase prints what happens to the case as it happens, and the whole of it when it rests. A case without any
// record is waited for.
func (a *app) watchCase(ctx context.Context, r *view.Reader, id string) error {
	shown := map[view.Moment]bool{}
	for waiting := false; ; {
		v, err := r.Case(ctx, id)
		switch {
		case errors.Is(err, view.ErrNotFound):
			if !waiting {
				a.note("no record of case %s yet: waiting for it to be planned (interrupt to stop)", id)
			}
			waiting = true
		case ctx.Err() != nil:
			return nil // the person has seen enough
		case err != nil:
			return err
		default:
			if err := a.printNew(v, shown); err != nil || v.Resting() {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pollEvery):
		}
	}
}

// printNew prints the moments that were not shown, and the whole case when it rests. A record may tell of a change that
// lies before what was shown.
func (a *app) printNew(v view.CaseView, shown map[view.Moment]bool) error {
	var fresh []view.Moment
	for _, m := range v.Timeline {
		if !shown[m] {
			fresh, shown[m] = append(fresh, m), true
		}
	}
	if len(fresh) == 0 && !v.Resting() {
		return nil
	}
	var b bytes.Buffer
	if a.asJSON {
		if err := json.NewEncoder(&b).Encode(v); err != nil {
			return fmt.Errorf("encode answer: %w", err)
		}
	} else {
		sc := a.screen(&b)
		sc.moments(v, fresh)
		if v.Resting() {
			sc.WriteString("\n")
			sc.caseView(v)
		}
	}
	if _, err := a.out.Write(escaped(b.Bytes())); err != nil {
		return fmt.Errorf("write answer: %w", err)
	}
	return nil
}
