package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"keyturn/internal/ledger"
	"keyturn/internal/planner"
	"keyturn/internal/playbook"
	"keyturn/internal/replay"
)

// What a replay can be compared with.
const (
	againstLedger = "ledger"
	againstActive = "active"
)

// newReplayCmd makes `keyturn replay`.
func newReplayCmd(a *app) *cobra.Command {
	var since, dir, against string
	var limit int
	cmd := &cobra.Command{
		Use:   "replay --playbooks DIR [--since 30d] [--against ledger|active]",
		Short: "Play the history of events through other playbooks, and show what would come out differently",
		Long: `Play every event that is still stored through the playbooks and guards in DIR, and compare what comes of it with what
was planned at the time (--against ledger), or with what the playbooks in force make of the same events (--against
active). Nothing is sent, stored or changed, and nobody who works events off is disturbed.

Brakes count in the time of the events, from one window before --since on. Events that a newer one overtook, that came
with other content under a known id, or that are not decided yet are set apart: no playbook decides upon them. Events are
kept for 30 days.

Exit code 0 when everything comes out the same, 5 when something differs.`,
		Example: "  keyturn replay --playbooks deploy/config --since 7d",
		Args:    cobra.NoArgs,
	}
	flags := cmd.Flags()
	flags.StringVar(&since, "since", "30d", "accepted since: 90m, 24h, 7d, 2026-03-02, an RFC 3339 time, or all")
	flags.StringVar(&dir, "playbooks", "", "`directory` with playbooks.yaml (required)")
	flags.StringVar(&against, "against", againstLedger, "what to compare with: ledger or active")
	flags.IntVarP(&limit, "limit", "n", 20, "show so many of those for whom something differs; 0 for all")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		from, err := sinceTime(a.now(), a.zone, since)
		switch {
		case err != nil:
			return usage(err)
		case dir == "":
			return usage(errors.New("replay: say --playbooks DIR"))
		case against != againstLedger && against != againstActive:
			return usage(fmt.Errorf("--against %q: ledger or active", against))
		}
		r, err := a.replay(cmd.Context(), from, dir, against)
		if err != nil {
			return err
		}
		if err := a.print(r, func(s *screen) { s.replayed(r, limit) }); err != nil {
			return err
		}
		if r.Different > 0 {
			return differs(fmt.Errorf("replay: %s of %d differ", plural(r.Different, "case"), r.Cases))
		}
		return nil
	}
	return cmd
}

// replay plays and compares.
func (a *app) replay(ctx context.Context, since time.Time, dir, against string) (replay.Report, error) {
	given, err := rulesIn(dir)
	if err != nil {
		return replay.Report{}, err
	}
	s, err := a.connect(ctx)
	if err != nil {
		return replay.Report{}, err
	}
	defer s.close()
	sets := []rules{given}
	r := replay.Report{Since: since.UTC(), Until: a.now().UTC(), Against: against, Now: given.Version()}
	if against == againstActive {
		active, err := s.activeRules(ctx)
		if err != nil {
			return r, err
		}
		sets, r.Then = append(sets, active), active.Version()
	}
	err = s.compare(ctx, &r, sets)
	return r, err
}

// compare plays the history through the first of the sets, and fills in how it differs from what was planned, or from
// what the second set makes of it.
func (s *session) compare(ctx context.Context, r *replay.Report, sets []rules) error {
	// The process does this and ends: memory for time.
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	h, plans, err := s.history(ctx, sets, r.Since, r.Until)
	if err != nil {
		return err
	}
	var unread error
	past := func(c replay.Case) replay.Past {
		p, err := s.past(ctx, plans, c.ID)
		unread = errors.Join(unread, err)
		return p
	}
	var key func(principal string) string
	if keyer, err := s.keyer(ctx); err == nil { // nearly everything is found without it
		key = keyer.Key
	}
	h.Count(s.counts(ctx), past, r.Until, key)
	r.Compare(h, 0, func(c replay.Case) (replay.Outcome, string) {
		p := past(c)
		if apart := p.Apart(); apart != "" {
			return replay.Outcome{}, apart
		}
		if len(sets) > 1 {
			return c.Outcomes[1], ""
		}
		return *p.Outcome, ""
	})
	return unread
}

// before is where the history must begin for the brakes to have counted a whole window at since.
func before(since time.Time, sets []rules) time.Time {
	longest := time.Duration(0)
	for _, set := range sets {
		for _, b := range set.brakes {
			longest = max(longest, b.Per)
		}
	}
	if since.IsZero() {
		return since
	}
	return since.Add(-longest)
}

// history plays the events that were stored since, and reads what the ledger says of their plans beside it.
func (s *session) history(ctx context.Context, sets []rules, since, now time.Time) (replay.History, *replay.Plans, error) {
	since = before(since, sets)
	judges := make([]replay.Rules, len(sets))
	for i, set := range sets {
		judges[i] = set
	}
	plans := replay.NewPlans()
	var h replay.History
	told := make(chan struct{})
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		var err error
		h, err = replay.Play(ctx, judges, now, func(ctx context.Context, hand func(replay.Message) error) error {
			err := s.bus.History(ctx, since, func(data []byte, stored time.Time) error {
				return hand(replay.Message{Data: data, Stored: stored})
			})
			select {
			case <-told:
			case <-ctx.Done():
				return cmp.Or(err, ctx.Err())
			}
			for _, m := range plans.Anew() {
				err = cmp.Or(err, hand(m))
			}
			return err
		})
		return err
	})
	g.Go(func() error {
		defer close(told)
		return s.ledger.Range(ctx, ledger.AllPlans(), since, func(rec ledger.Record) error {
			return plans.Add(ledger.CaseOf(rec.Subject), rec.Time, string(rec.State), rec.Reason, rec.Body)
		})
	})
	err := g.Wait()
	return h, plans, err
}

// past is what the ledger says of a case. One that is not among the plans was planned before the history begins (its
// event came again), or is not planned yet.
func (s *session) past(ctx context.Context, plans *replay.Plans, id string) (replay.Past, error) {
	if p, ok := plans.Of(id); ok {
		return p, nil
	}
	err := s.ledger.Range(ctx, ledger.PlanSubject(id), time.Time{}, func(rec ledger.Record) error {
		return plans.Add(id, rec.Time, string(rec.State), rec.Reason, rec.Body)
	})
	p, ok := plans.Of(id)
	if !ok {
		plans.Undecided(id)
	}
	return p, err
}

// counts gives what the lanes counted last at the providers: a brake that is a share is one of that.
func (s *session) counts(ctx context.Context) replay.Counts {
	known := map[playbook.Count]planner.Count{}
	return func(of playbook.Count) (int, bool) {
		c, ok := known[of]
		if !ok {
			_, c, _ = planner.LoadCount(ctx, s.ledger, of) // what cannot be read is not known
			known[of] = c
		}
		return c.N, !c.Read.IsZero()
	}
}
