package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/pflag"

	"keyturn/internal/events"
)

// batch is how many commands are stored behind one barrier.
const batch = 500

// maxShown bounds what a question and a summary list.
const maxShown = 20

// word is one verb upon many things, as a person gives it.
type word struct {
	verb     events.Verb
	thing    string // what it is upon, for a person: "case"
	reason   string
	yes, dry bool
	wait     time.Duration // for each outcome; 0 = none is waited for
}

// flags adds what goes with a word. why says of the reason whether it is needed.
func (w *word) flags(f *pflag.FlagSet, why string) {
	f.StringVar(&w.reason, "reason", "", "why, for the ledger ("+why+")")
	f.BoolVarP(&w.yes, "yes", "y", false, "do not ask")
	f.BoolVar(&w.dry, "dry-run", false, "only count and list what is chosen")
	f.DurationVar(&w.wait, "wait", defaultWait, "how long to wait for each outcome; 0 to only store the commands")
}

// errNotConfirmed: the person did not say yes.
var errNotConfirmed = errors.New("not confirmed, nothing was done (--yes confirms beforehand)")

// confirm says what is chosen, n things on these lines, and asks.
func (w *word) confirm(a *app, n int, lines []string) error {
	if w.yes {
		return nil
	}
	for _, line := range lines[:min(maxShown, len(lines))] {
		a.note("  %s", line)
	}
	if rest := len(lines) - maxShown; rest > 0 {
		a.note("  … and %d more (--dry-run lists all)", rest)
	}
	_, _ = fmt.Fprintf(a.err, "%s %s? [y/N] ", w.verb, plural(n, w.thing))
	line, _ := bufio.NewReader(a.in).ReadString('\n') // no answer is no
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "y", "yes":
		return nil
	}
	return errNotConfirmed
}

// said is the word upon one thing.
type said struct {
	id     string // of the command
	target string
	shown  string      // of an approval: events.Command.Shown
	behind []string    // events.Command.Behind
	verb   events.Verb // instead of the word's; empty = the word's
}

// commandSpace is the name space of the ids of commands that are made from what they are about (RFC 9562, section 5.5).
var commandSpace = uuid.NewSHA1(uuid.NameSpaceURL, []byte("https://keyturn.dev/commands"))

// commandID names a command by what it says and by the state that it was said upon: repeated by somebody who was
// interrupted, it is the same command.
func commandID(verb events.Verb, target, actor string, upon ...string) string {
	all := append([]string{string(verb), target, actor}, upon...)
	return uuid.NewSHA1(commandSpace, []byte(strings.Join(all, "\x00"))).String()
}

// tell stores a command upon each thing, in batches. Interrupted, it may be repeated: what is stored is the same
// command. On an error it returns those that were stored.
func (a *app) tell(ctx context.Context, s *session, w word, list []said) ([]outcome, error) {
	var outcomes []outcome
	for part := range slices.Chunk(list, batch) {
		var commands []events.Command
		for _, it := range part {
			commands = append(commands, events.Command{ID: it.id, Verb: cmp.Or(it.verb, w.verb), Target: it.target, Actor: a.actor(), Reason: w.reason,
				Time: a.now().UTC(), Shown: it.shown, Behind: it.behind})
		}
		if err := s.bus.PublishCommand(ctx, commands...); err != nil {
			return outcomes, fmt.Errorf("%d of %d are stored; repeat the command to go on: %w", len(outcomes), len(list), err)
		}
		// Dying here: these are on disk and will be worked off; repeated, they are the same commands.
		for _, c := range commands {
			outcomes = append(outcomes, outcome{Command: c.ID, Verb: c.Verb, Target: c.Target})
		}
		if len(list) > batch {
			a.note("%d of %d stored", len(outcomes), len(list))
		}
	}
	return outcomes, nil
}

// hearAll waits for the outcome of each command, as if each were alone behind those before it: as long as they come,
// there is no end. late is errNotYet when they stop coming.
func hearAll(ctx context.Context, s *session, outcomes []outcome, wait time.Duration) (late, err error) {
	if wait <= 0 {
		return nil, nil
	}
	for i := range outcomes {
		err := outcomes[i].await(ctx, s, time.Now().Add(wait))
		if errors.Is(err, errNotYet) {
			return err, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s stored, and what came of them was not heard: look again, or repeat it, which repeats nothing: %w",
				plural(len(outcomes), "command"), err)
		}
	}
	return nil, nil
}

// printMany sums up what became of many commands; --json has each.
func (a *app) printMany(w word, list []outcome, took time.Duration) error {
	return a.print(list, func(s *screen) {
		count := map[string]int{}
		for _, o := range list {
			count[cmp.Or(o.Outcome, "stored, not worked off yet")]++
		}
		var kinds []string
		for text := range count {
			kinds = append(kinds, text)
		}
		slices.SortFunc(kinds, func(a, b string) int { return cmp.Or(cmp.Compare(count[b], count[a]), cmp.Compare(a, b)) })
		_, _ = fmt.Fprintf(s, "%s %s in %s\n", clean(string(w.verb)), plural(len(list), w.thing), took.Round(10*time.Millisecond))
		for _, text := range kinds[:min(maxShown, len(kinds))] {
			_, _ = fmt.Fprintf(s, "  %d: %s\n", count[text], clean(text))
		}
		if rest := len(kinds) - maxShown; rest > 0 {
			_, _ = fmt.Fprintf(s, "  … and %d other outcomes (all of them with --json)\n", rest)
		}
	})
}

// refusedMany is an error when commands were worked off and had no effect.
func refusedMany(list []outcome) error {
	n := 0
	for _, o := range list {
		if o.Settled && !o.Done {
			n++
		}
	}
	if n == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d: %w", n, len(list), errRefused)
}
