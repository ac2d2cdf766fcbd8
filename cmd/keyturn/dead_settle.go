package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/planner"
	"keyturn/internal/view"
)

// newSettleCmd makes `keyturn dead redrive` and `drop`.
func newSettleCmd(a *app, verb events.Verb, short string) *cobra.Command {
	c := choice{word: word{verb: verb, thing: "dead letter"}}
	cmd := &cobra.Command{
		Use:   string(verb) + " [ID…]",
		Short: short,
		Long:  short + settleHelp(verb),
		Example: "  keyturn dead " + string(verb) + " --connection okta-prod --cause permanent --reason '" +
			map[bool]string{true: "left long ago", false: "scope granted"}[verb == events.Drop] + "'",
	}
	flags := cmd.Flags()
	c.filters(flags)
	flags.BoolVar(&c.all, "all", false, "all of them")
	c.flags(flags, map[bool]string{true: "required", false: "for a drop required"}[verb == events.Drop])
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c.ids = args
		switch {
		case c.empty():
			return usage(fmt.Errorf("dead %s: name ids, a filter, or --all", verb))
		case verb == events.Drop && c.reason == "" && !c.dry:
			return usage(errors.New("dead drop: say --reason WHY"))
		}
		return c.settle(cmd.Context(), a)
	}
	return cmd
}

// settleHelp explains a word upon dead letters.
func settleHelp(verb events.Verb) string {
	after := `sent again goes to the lanes, and waits there for its class and the provider's budget as everything else does; it begins
by looking, and repeats nothing that is done.`
	if verb == events.Drop {
		after = `dropped is never sent again: its action is cancelled, and its case closes when nothing else of it is left to do.`
	}
	return `, chosen by id or by filters. What is chosen is counted and confirmed first; --dry-run lists it.
Each is a command of its own, stored first and worked off by the planner; the ledger keeps who decided and why. What is
` + after + `
Interrupted, it may be repeated: what left the dead letters is not chosen again.
Exit code 4 means that some commands are stored and not worked off yet.`
}

// settle chooses, asks, stores all commands and waits for their outcomes.
func (c choice) settle(ctx context.Context, a *app) error {
	s, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	list, all, err := c.letters(ctx, a, s)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return notFound(errors.New(noLetter(all)))
	}
	groups := view.GroupDead(list)
	if c.dry {
		return a.print(list, func(sc *screen) {
			sc.deadGroups(groups)
			sc.WriteString("\n")
			sc.deadRows(list)
		})
	}
	var lines []string
	for _, g := range groups {
		lines = append(lines, fmt.Sprintf("%d  %s at %s, %s: %s", g.Count, g.Kind, cmp.Or(g.Connection, g.Source), g.Cause, g.Suggestion))
	}
	if err := c.confirm(a, len(list), lines); err != nil {
		return err
	}
	return c.give(ctx, a, s, list)
}

// give stores the command upon each letter, and waits for what comes of them.
func (c choice) give(ctx context.Context, a *app, s *session, list []events.DeadLetter) error {
	began := time.Now()
	before, err := s.before(ctx, list)
	if err != nil {
		return err
	}
	list = before.sort(list)
	outcomes, err := a.tell(ctx, s, c.word, c.orders(list, before, a.actor()))
	if err != nil {
		return err
	}
	late, err := hearAll(ctx, s, outcomes, c.wait)
	if err == nil && c.wait > 0 {
		err = look(ctx, s, outcomes, list)
	}
	if err != nil {
		return err
	}
	if len(outcomes) == 1 {
		return cmp.Or(a.printOutcomes(outcomes), late, refused(outcomes))
	}
	return cmp.Or(a.printMany(c.word, outcomes, time.Since(began)), late, refusedMany(outcomes))
}

// orders makes the command upon each letter. Of letters in the order of their plan, a redrive goes behind those of what it
// goes after.
func (c choice) orders(list []events.DeadLetter, before order, actor string) (orders []said) {
	ids := map[string]string{} // of the commands, by what they are upon
	for _, d := range list {
		o := said{id: letterCommand(c.verb, d, actor), target: d.ID}
		if c.verb == events.RedriveVerb && d.Kind == events.DeadAction {
			o.shown = planner.Death(d.Time)
			for _, other := range before[d.ID] {
				if id := ids[other]; id != "" {
					o.behind = append(o.behind, id)
				}
			}
		}
		ids[d.ID] = o.id
		orders = append(orders, o)
	}
	return orders
}

// order gives for an action those that it goes after, directly or behind others that may have ended, by their ids.
type order map[string][]string

// before reads the order of what died together: the plans of the cases of which several actions are chosen.
func (s *session) before(ctx context.Context, list []events.DeadLetter) (order, error) {
	of := map[string]int{}
	for _, d := range list {
		if d.Kind == events.DeadAction {
			of[d.Case]++
		}
	}
	before := order{}
	for id, n := range of {
		if n < 2 {
			continue
		}
		rec, err := s.ledger.Last(ctx, ledger.PlanSubject(id))
		if err != nil {
			return nil, err
		}
		plan, err := planner.Decode(rec)
		if err != nil {
			continue // nothing of it goes, which its commands will say
		}
		for _, a := range plan.Actions {
			before[a.ID] = plan.Before(a)
		}
	}
	return before, nil
}

// sort puts the letters of actions behind those of the actions that they go after, and leaves the order otherwise.
func (o order) sort(list []events.DeadLetter) []events.DeadLetter {
	at := map[string]int{}
	for i, d := range list {
		at[d.ID] = i
	}
	sorted := make([]events.DeadLetter, 0, len(list))
	var put func(id string)
	put = func(id string) {
		i, chosen := at[id]
		if !chosen {
			return
		}
		delete(at, id)
		for _, other := range o[id] {
			put(other)
		}
		sorted = append(sorted, list[i])
	}
	for _, d := range list {
		put(d.ID)
	}
	return sorted
}

// letterCommand names a command upon a letter. Upon a dead action it is one command for one death, however often it is
// given. What is no action may need the same word again, after its mapping or a playbook was mended: each is a command
// of its own, and the states make them one.
func letterCommand(verb events.Verb, d events.DeadLetter, actor string) string {
	if d.Kind != events.DeadAction {
		return uuid.NewString()
	}
	return commandID(verb, d.ID, actor, d.Time.UTC().Format(time.RFC3339Nano))
}

// look finds what became of the letters whose commands were worked off. A command had its effect when its letter has
// left DEAD, or is another one: the action was begun again and died again.
func look(ctx context.Context, s *session, outcomes []outcome, list []events.DeadLetter) error {
	left := map[string]time.Time{}
	err := s.bus.DeadLetters(ctx, func(d events.DeadLetter) error {
		left[d.ID] = d.Time
		return nil
	})
	if err != nil {
		return err
	}
	for i, d := range list {
		o := &outcomes[i]
		if !o.Settled {
			return nil // nor are those behind it
		}
		died, there := left[d.ID]
		o.Done = !there || !died.Equal(d.Time)
		if d.Case == "" {
			continue
		}
		subject := ledger.PlanSubject(d.Case)
		if d.Kind == events.DeadAction {
			subject = ledger.ActionSubject(d.Case, d.ID)
		}
		last, err := s.ledger.Last(ctx, subject)
		if err != nil {
			return err
		}
		o.State = last.State
		if d.Kind == events.DeadAction && overruled(o.Verb, last.State) {
			if o.Done, err = s.wrote(ctx, subject, o.Command); err != nil {
				return err
			}
		}
	}
	return nil
}

// overruled reports whether another word upon the same letter seems to have come first: what was to be given up goes on, or
// what was to be sent again is given up. That the letter has left is that word's effect then.
func overruled(verb events.Verb, now ledger.State) bool {
	if verb == events.Drop {
		return now != ledger.Cancelled && !now.Achieved()
	}
	return now == ledger.Cancelled
}

// wrote reports whether a command has a record under a subject.
func (s *session) wrote(ctx context.Context, subject, command string) (found bool, err error) {
	err = s.ledger.Range(ctx, subject, time.Time{}, func(rec ledger.Record) error {
		found = found || rec.Attempt == command
		return nil
	})
	return found, err
}
