package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"keyturn/internal/reads"
	"keyturn/internal/stream"
)

// newConnectionCmd makes `keyturn connection` and its commands.
func newConnectionCmd(a *app) *cobra.Command {
	list := func(cmd *cobra.Command, _ []string) error { return a.listConnections(cmd.Context()) }
	group := &cobra.Command{
		Use:   "connection",
		Short: "List the connections whose lanes are held, or check them",
		Long:  "List the connections whose lanes a worker holds, and since when.",
		Args:  cobra.NoArgs,
		RunE:  list,
	}
	check := &cobra.Command{
		Use:   "check [NAME]",
		Short: "Try what a connection's credential can do, and say what to fix",
		Long: `Try the credential of a connection, or of all whose lanes are held, with reads that change nothing: which operations
work, which are denied, what each needs, the rate limits that were seen, and what to fix. A credential is tried afresh,
not with a token in hand. Exit code 1 means that something is wrong.`,
		Example: "  keyturn connection check okta-prod",
		Args:    cobra.MaximumNArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return a.checkConnections(cmd.Context(), args) },
	}
	group.AddCommand(&cobra.Command{Use: "list", Short: "List the connections whose lanes are held", Args: cobra.NoArgs, RunE: list}, check)
	return group
}

// listConnections prints who holds which lane.
func (a *app) listConnections(ctx context.Context) error {
	s, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	held, err := s.bus.Leases(ctx)
	if err != nil {
		return err
	}
	if len(held) == 0 {
		return unavailable(errNoLanes)
	}
	return a.print(held, func(sc *screen) {
		var rows [][]any
		for _, l := range held {
			rows = append(rows, []any{l.Connection, l.Holder, sc.moment(l.Since)})
		}
		sc.table([]string{"CONNECTION", "HELD BY", "SINCE"}, rows)
	})
}

// errWrong: a connection does not stand as it should. What and why was printed.
var errWrong = errors.New("something is wrong, see above")

// checkConnections checks the named connection, or all whose lanes are held, one after the other.
func (a *app) checkConnections(ctx context.Context, named []string) error {
	s, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	all := len(named) == 0
	if all {
		if named, err = s.held(ctx); err != nil {
			return err
		}
	}
	reports := make([]reads.Report, 0, len(named))
	for _, connection := range named {
		answered := a.noteWait(connection)
		r, err := s.check(ctx, connection)
		answered()
		switch {
		case err != nil && (!all || ctx.Err() != nil):
			return err
		case err != nil: // the others are worth a look all the same
			r = reads.Report{Connection: connection, Problems: []string{err.Error()}}
		}
		reports = append(reports, r)
	}
	if err := a.print(reports, func(sc *screen) {
		for _, r := range reports {
			sc.report(r)
		}
	}); err != nil {
		return err
	}
	if slices.ContainsFunc(reports, func(r reads.Report) bool { return !r.OK }) {
		return errWrong
	}
	return nil
}

// held names the connections whose lanes are held; none is an error.
func (s *session) held(ctx context.Context) ([]string, error) {
	leases, err := s.bus.Leases(ctx)
	if err != nil {
		return nil, err
	}
	if len(leases) == 0 {
		return nil, unavailable(errNoLanes)
	}
	var names []string
	for _, l := range leases {
		names = append(names, l.Connection)
	}
	return names, nil
}

// check asks the holder of a connection's lane how it stands.
func (s *session) check(ctx context.Context, connection string) (reads.Report, error) {
	var r reads.Report
	err := s.bus.Ask(ctx, stream.ReadCheck, connection, nil, func(data []byte) error {
		if err := json.Unmarshal(data, &r); err != nil {
			return fmt.Errorf("check %s: an answer in a form of another version: %w", connection, err)
		}
		return nil
	})
	return r, s.readFault(ctx, connection, err)
}

// report draws how a connection stands.
func (s *screen) report(r reads.Report) {
	if s.Len() > 0 {
		s.WriteString("\n")
	}
	verdict := s.paint(green, "ok")
	if !r.OK {
		verdict = s.paint(red, "something is wrong")
	}
	s.line(r.Connection, "%s", verdict)
	if r.Provider != "" {
		s.line("provider", "%s at %s, credential %s", r.Provider, r.BaseURL, r.Credential)
		s.line("lane", "held by %s, epoch %d, %d calls at a time", r.Worker, r.Epoch, r.AtOnce)
		breaker := "closed"
		if r.Breaker != "" {
			breaker = "open: " + r.Breaker
		}
		s.line("breaker", "%s", breaker)
	}
	s.operations(r.Operations)
	s.buckets(r.Buckets)
	for _, p := range r.Problems {
		s.line("problem", "%s", s.paint(red, p))
	}
}

// operations draws what was tried.
func (s *screen) operations(list []reads.Operation) {
	if len(list) == 0 {
		return
	}
	var rows [][]any
	for _, o := range list {
		status, note := "-", o.Note
		if o.Status != 0 {
			status = fmt.Sprint(o.Status)
		}
		if o.Fix != "" {
			note += ". " + o.Fix
		}
		rows = append(rows, []any{o.Op, o.Needs, s.result(o), status, dash(o.RequestID), note})
	}
	s.WriteString("\n")
	s.table([]string{"OPERATION", "NEEDS", "RESULT", "STATUS", "REQUEST", "NOTE"}, rows)
	s.WriteString("\n")
}

func (s *screen) result(o reads.Operation) painted {
	colour := plain
	switch {
	case o.Wrong():
		colour = red
	case o.Result == reads.Works:
		colour = green
	case o.Result == reads.HeldBack:
		colour = yellow
	}
	return s.paint(colour, string(o.Result))
}

// buckets draws what is known of the rate limits.
func (s *screen) buckets(list []reads.Bucket) {
	if len(list) == 0 {
		return
	}
	var rows [][]any
	for _, b := range list {
		limit, left, resets := "not told", "-", "-"
		if b.Limit > 0 {
			limit = fmt.Sprint(b.Limit)
		}
		if b.Limit > 0 && !b.Unknown {
			left, resets = fmt.Sprint(b.Left), s.away(b.Resets)
		}
		if !b.Paused.IsZero() {
			resets = "paused, " + s.away(b.Paused)
		}
		rows = append(rows, []any{b.Name, limit, left, resets})
	}
	s.table([]string{"BUCKET", "LIMIT", "LEFT", "RESETS"}, rows)
}

func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
