package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"keyturn/internal/planner"
	"keyturn/internal/reads"
	"keyturn/internal/stream"
	"keyturn/internal/worker"
)

// newLanesCmd makes `keyturn lanes`.
func newLanesCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "lanes [NAME]",
		Short: "Show what each connection has to do, its budget, and when it will be done",
		Long: `Show the lane of a connection, or all lanes: who holds it, whether it works or why it stands still, the provider's rate
limits as they were learned, until when one of them, or the endpoint of its tokens, wants to be left alone, what waits in
each class and since when, how fast it went within the last minute, and when what waits will be done. A lane that nobody
holds is shown with what waits there. No call is made to any provider.`,
		Example: "  keyturn lanes\n  keyturn lanes okta-prod --json",
		Args:    cobra.MaximumNArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return a.lanes(cmd.Context(), args) },
	}
}

// lanes prints the named lane, or all.
func (a *app) lanes(ctx context.Context, named []string) error {
	s, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	lanes, err := s.lanes(ctx, named...)
	switch {
	case err != nil:
		return err
	case len(lanes) == 0 && len(named) > 0:
		return notFound(fmt.Errorf("lane %s: no worker was ever configured with this connection: `keyturn lanes` lists those that are known", named[0]))
	case len(lanes) == 0:
		return unavailable(errNoLanes)
	}
	list, err := planner.Pauses(ctx, s.ledger, a.now())
	if err != nil {
		return err
	}
	halted(lanes, list)
	return a.print(lanes, func(sc *screen) {
		for _, l := range lanes {
			sc.lane(l)
		}
	})
}

// halted marks those lanes that work and are paused: a lane reads the pauses before it begins an action, so that one with
// nothing to do does not know of them.
func halted(lanes []reads.Lane, list []planner.Pause) {
	for i, l := range lanes {
		for _, p := range list {
			if l.Standing == reads.Working && p.Stops(l.Connection) {
				lanes[i].Standing, lanes[i].Why = reads.Halted, p.String()
			}
		}
	}
}

// lanes gives the named lanes, or all that are held or have a queue, by name.
func (s *session) lanes(ctx context.Context, named ...string) ([]reads.Lane, error) {
	held, err := s.bus.Leases(ctx)
	if err != nil {
		return nil, err
	}
	queues, err := s.bus.Queues(ctx, named...)
	if err != nil {
		return nil, err
	}
	lanes := map[string]reads.Lane{}
	for _, q := range queues {
		l := lanes[q.Connection]
		l.Connection, l.Standing = q.Connection, reads.NotHeld
		l.Queues = append(l.Queues, worker.QueueOf(q, 0, 0))
		lanes[q.Connection] = l
	}
	for _, lease := range held {
		if len(named) > 0 && !slices.Contains(named, lease.Connection) {
			continue
		}
		l, err := s.lane(ctx, lease.Connection)
		switch {
		case ctx.Err() != nil:
			return nil, err
		case err != nil || l.Standing == reads.NotHeld:
			l = lanes[lease.Connection]
			l.Connection, l.Standing = lease.Connection, reads.NotHeld
			l.Why = lease.Holder + " has its lease and does not answer for it"
		}
		lanes[lease.Connection] = l
	}
	var list []reads.Lane
	for _, name := range slices.Sorted(maps.Keys(lanes)) {
		list = append(list, lanes[name])
	}
	return list, nil
}

// lane asks the holder of a lane how it stands. Whoever has died does not answer, though the lease lasts a few seconds
// more.
func (s *session) lane(ctx context.Context, connection string) (reads.Lane, error) {
	var l reads.Lane
	err := s.bus.Ask(ctx, stream.ReadLane, connection, nil, func(data []byte) error {
		if err := json.Unmarshal(data, &l); err != nil {
			return fmt.Errorf("lane %s: an answer in a form of another version: %w", connection, err)
		}
		return nil
	})
	return l, err
}

// lane draws a lane.
func (s *screen) lane(l reads.Lane) {
	if s.Len() > 0 {
		s.WriteString("\n")
	}
	s.line(l.Connection, "%s", s.standing(l))
	switch {
	case l.Standing != reads.NotHeld:
		s.line("lane", "held by %s since %s, epoch %d", l.Worker, s.moment(l.Since), l.Epoch)
	case l.Why != "":
		s.line("lane", "%s; another worker takes over within 15 s", l.Why)
	default:
		s.line("lane", "no worker holds it, %s to do: start one that has %s in connections.yaml; is one starting, look again in 15 s",
			plural(l.ToDo(), "action"), l.Connection)
	}
	for _, r := range l.Lacks {
		s.line("lacks", "%s", s.paint(red, fmt.Sprintf("%s since %s, for which %s must wait: grant it, and a role that may do it: %s",
			r.Right, s.moment(r.Since), plural(r.Actions, "action"), r.Why)))
	}
	if p := l.Places; p != nil {
		s.line("calls", "%d in flight, %d at a time, at most %d", p.Flying, p.AtOnce, p.Most)
	}
	if r := l.Rate; r != nil {
		s.line("minute", "%s, %s done", plural(r.Calls, "call"), plural(r.Actions, "action"))
	}
	if l.Forecast != nil {
		s.line("forecast", "%s", s.forecast(*l.Forecast, l.Queues))
	}
	s.queues(l.Queues)
	s.windows(l.Buckets)
}

// standing says whether the lane works, or why it does not.
func (s *screen) standing(l reads.Lane) painted {
	switch l.Standing {
	case reads.NotHeld:
		return s.paint(red, "not held")
	case reads.Open:
		what := map[string]string{"refused": ", the credential is refused", "unreachable": ", the provider cannot be reached"}[l.Fault]
		return s.paint(red, "stands still since "+s.moment(l.Stopped)+": the breaker is open"+what+": "+l.Why)
	case reads.Halted:
		return s.paint(yellow, "paused: "+l.Why)
	case reads.Working:
		return s.paint(green, "working, breaker closed")
	}
	return s.paint(yellow, string(l.Standing))
}

// forecast says when a lane will be done. How fast it goes tells nothing of what was told to wait, and is at the broker
// until its time has come.
func (s *screen) forecast(f reads.Forecast, queues []reads.Queue) string {
	in, later := time.Duration(f.Seconds*float64(time.Second)), 0
	for _, q := range queues {
		later += q.Later
	}
	switch {
	case f.Actions == 0:
		return "nothing waits"
	case later >= f.Actions && f.Unknown == "":
		return fmt.Sprintf("%s to do, each at a time of its own: keyturn case says when", plural(f.Actions, "action"))
	case f.Unknown != "":
		return fmt.Sprintf("%s to do; nobody can say when: %s", plural(f.Actions, "action"), f.Unknown)
	case f.Bucket != "":
		return fmt.Sprintf("%s done in %s at the budget of %s", plural(f.Actions, "action"), human(in), f.Bucket)
	}
	return fmt.Sprintf("%s done in %s as fast as in the last minute", plural(f.Actions, "action"), human(in))
}

// queues draws what waits, by class.
func (s *screen) queues(list []reads.Queue) {
	if len(list) == 0 {
		return
	}
	var rows [][]any
	for _, q := range list {
		oldest := "-"
		if !q.Oldest.IsZero() {
			oldest = human(s.now.Sub(q.Oldest))
		}
		rows = append(rows, []any{q.Class, q.Waiting, q.InHand, q.AtGate, q.Later, oldest, q.Visits})
	}
	s.WriteString("\n")
	s.table([]string{"CLASS", "WAITING", "IN HAND", "AT GATE", "LATER", "OLDEST", "VISITS"}, rows)
}

// windows draws what is known of the rate limits.
func (s *screen) windows(list []reads.Window) {
	if len(list) == 0 {
		return
	}
	var rows [][]any
	for _, w := range list {
		limit, allowed, left, resets := "not told", "-", "-", "-"
		if w.Limit > 0 {
			limit, allowed = fmt.Sprint(w.Limit), fmt.Sprint(w.Allowed)
		}
		if w.Known {
			left, resets = fmt.Sprint(w.Left), s.away(w.Resets)
		}
		paused := "-"
		if !w.Paused.IsZero() {
			paused = strings.TrimPrefix(s.away(w.Paused), "in ") + " more"
		}
		rows = append(rows, []any{w.Bucket, limit, allowed, left, resets, w.Flying, paused})
	}
	s.WriteString("\n")
	s.table([]string{"BUCKET", "LIMIT", "ALLOWED", "LEFT", "RESETS", "IN FLIGHT", "TOLD TO WAIT"}, rows)
}
