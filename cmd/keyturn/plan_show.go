package main

import (
	"fmt"
	"slices"
	"strings"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/playbook"
	"keyturn/internal/replay"
)

// rehearsed tells what would become of an event.
func (s *screen) rehearsed(r rehearsed) {
	_, _ = fmt.Fprintf(s, "%s of %s (%s)\n", clean(r.Event), clean(r.Principal), clean(string(r.Class)))
	_, _ = fmt.Fprintf(s, "by playbooks.yaml %s (%s)\n\n", clean(r.Config), clean(r.From))
	why := r.Why
	if why == "" && len(r.Actions) == 0 {
		why = "no playbook asks for anything"
		if row, _ := events.Lookup(r.Event); playbook.TakesBack(events.Event{Type: row.Type()}) {
			why += ": what is pending of that person is taken back all the same"
		}
	}
	text := ""
	if len(r.Playbooks) > 0 {
		text = "playbook " + strings.Join(r.Playbooks, ", ")
	}
	s.line("would be", "%s  %s", s.state(ledger.State(r.State)), strings.Join(nonEmpty(text, why), ": "))
	if !r.EffectiveAt.IsZero() {
		s.line("", "it takes effect %s (%s)", s.at(r.EffectiveAt), s.away(r.EffectiveAt))
	}
	if r.Due != nil {
		s.line("when due", "%s", strings.Join(nonEmpty(string(r.Due.State), r.Due.Why), ": "))
	}
	for _, p := range r.Paused {
		s.line("paused", "%s", p)
	}
	for _, b := range r.Brakes {
		if b.Max > 0 {
			s.line("brake", "%s: it counts there, and no more than %d may pass", b.Name, b.Max)
		} else {
			s.line("brake", "%s: it counts there", b.Name)
		}
	}
	for _, action := range r.Actions {
		s.rehearsedAction(action)
	}
	for _, run := range r.DryRuns {
		s.dryRun(run)
	}
	if r.Diff != nil {
		s.rehearsedDiff(r)
	}
}

// nonEmpty gives the texts that are not empty.
func nonEmpty(texts ...string) []string {
	var list []string
	for _, t := range texts {
		if t != "" {
			list = append(list, t)
		}
	}
	return list
}

// rehearsedAction tells what one action would do.
func (s *screen) rehearsedAction(a rehearsedAction) {
	s.line("action", "%s/%s: %s at %s for %s", a.Playbook, a.Step, a.Do, a.Connection, a.Target)
	if len(a.With) > 0 {
		s.detail("with", "%s", string(a.With))
	}
	for _, id := range a.After {
		_, step, _ := strings.Cut(strings.TrimPrefix(id, a.Case+":"), ":")
		s.detail("after", "%s", step)
	}
	if a.Fault != "" {
		s.detail("not seen", "%s", a.Fault)
		if a.Advice != "" {
			s.detail("do", "%s", a.Advice)
		}
	}
	if a.Observed == nil {
		return
	}
	for _, f := range a.Observed.Seen {
		s.detail("seen", "%s: %s", f.What, f.Value)
	}
	for _, c := range a.Observed.Needed {
		s.detail("would call", "%s %s", c.Call, c.Target)
	}
	if len(a.Observed.Needed) == 0 {
		s.detail("would call", "nothing: it holds already")
	}
	for _, r := range a.Observed.Residual {
		s.detail("residual", "%s, %s", r.What, s.until(r.Until))
	}
}

// rehearsedDiff tells what is other than by the playbooks in force.
func (s *screen) rehearsedDiff(r rehearsed) {
	d := r.Diff
	_, _ = fmt.Fprintf(s, "\nagainst playbooks.yaml %s (%s)\n", clean(d.Config), clean(d.From))
	if d.Same {
		s.line("same", "the same actions, and the same becomes of them")
		return
	}
	if was, is := d.text(), r.text(); was != is {
		s.line("state", "%s → %s", was, is)
	}
	was, is := d.brakes(), r.brakes()
	for _, b := range was {
		if !slices.Contains(is, b) {
			s.line("brake", "- %s", b)
		}
	}
	for _, b := range is {
		if !slices.Contains(was, b) {
			s.line("brake", "+ %s", b)
		}
	}
	for _, c := range d.Changes {
		s.change(c)
	}
}

// change writes one action that differs.
func (s *screen) change(c replay.Change) {
	text := fmt.Sprintf("%s %s/%s: %s at %s", c.How.Sign(), c.Playbook, c.Step, c.Do, c.Connection)
	if c.What != "" {
		text += " (" + c.What + ")"
	}
	s.line("", "%s", text)
}
