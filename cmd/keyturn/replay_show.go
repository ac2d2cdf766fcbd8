package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"keyturn/internal/replay"
)

// replayed tells what would come out differently: as numbers, then by whom it is about.
func (s *screen) replayed(r replay.Report, limit int) {
	against := "what was planned then"
	if r.Against == againstActive {
		against = "playbooks.yaml " + r.Then + ", which is in force"
	}
	_, _ = fmt.Fprintf(s, "%s, playbooks.yaml %s against %s\n", clean(plural(r.Events, "event")), clean(r.Now), clean(against))
	_, _ = fmt.Fprintf(s, "%s compared, %d differ\n", clean(plural(r.Cases, "case")), r.Different)
	var beside []string
	for _, what := range slices.Sorted(maps.Keys(r.Apart)) {
		beside = append(beside, fmt.Sprintf("%d %s", r.Apart[what], what))
	}
	for what, n := range map[string]int{"resent": r.Resent, "with other content": r.Conflicts, "unreadable": r.Unreadable} {
		if n > 0 {
			beside = append(beside, fmt.Sprintf("%d %s", n, what))
		}
	}
	if len(beside) > 0 {
		slices.Sort(beside)
		s.line("set apart", "%s", strings.Join(beside, ", "))
	}
	s.ruleDiffs(r)
	s.personDiffs(r, limit)
}

// ruleDiffs are the numbers.
func (s *screen) ruleDiffs(r replay.Report) {
	if len(r.Rules) > 0 {
		var rows [][]any
		for _, d := range r.Rules {
			rows = append(rows, []any{d.Playbook, d.Do, d.Added, d.Removed, d.Changed})
		}
		s.WriteString("\n")
		s.table([]string{"PLAYBOOK", "KIND", "ADDED", "REMOVED", "CHANGED"}, rows)
	}
	if len(r.Verdicts) > 0 {
		var rows [][]any
		for _, d := range r.Verdicts {
			rows = append(rows, []any{string(d.Then), string(d.Now), d.Cases, d.Why})
		}
		s.WriteString("\n")
		s.table([]string{"THEN", "NOW", "CASES", "FOR EXAMPLE"}, rows)
	}
}

// personDiffs are the first so many of those for whom something differs.
func (s *screen) personDiffs(r replay.Report, limit int) {
	shown := r.People
	if limit > 0 && len(shown) > limit {
		shown = shown[:limit]
	}
	for _, p := range shown {
		_, _ = fmt.Fprintf(s, "\n%s\n", clean(p.Principal))
		for _, c := range p.Cases {
			state := string(c.Now)
			if c.Then != c.Now {
				state = string(c.Then) + " → " + string(c.Now)
			}
			s.line(short(c.Case), "%s  %s  %s", c.Event, s.moment(c.Accepted), strings.Join(nonEmpty(state, c.Why), ": "))
			for _, ch := range c.Changes {
				s.change(ch)
			}
		}
	}
	if more := len(r.People) - len(shown); more > 0 {
		_, _ = fmt.Fprintf(s, "\nand %d more; --limit 0 shows all\n", more)
	}
}
