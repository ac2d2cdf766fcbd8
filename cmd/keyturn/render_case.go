package main

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/view"
)

// caseView tells the way of one event, in order: accepted, planned, each action with its proof, what outlives them,
// where the case stands, and whether the records of it are sound.
func (s *screen) caseView(v view.CaseView) {
	if v.Event != "" {
		_, _ = fmt.Fprintf(s, "%s of %s (%s)\n", clean(v.Event), clean(v.Principal), clean(string(v.Class)))
	}
	_, _ = fmt.Fprintf(s, "case %s: %s, %s\n\n", clean(v.ID), s.state(v.Standing()), tally(v.Tally))
	if !v.Accepted.IsZero() {
		s.hopAccepted(v)
	}
	s.hopPlanned(v)
	for _, a := range v.Actions {
		s.action(v, a)
	}
	for _, run := range v.Decision.DryRuns {
		s.dryRun(run)
	}
	for _, r := range v.Residual {
		s.line("residual", "%s, %s", r.What, s.until(r.Until))
	}
	if len(v.Residual) == 0 && v.Verified != (time.Time{}) {
		s.line("residual", "none")
	}
	s.hopState(v)
	s.chain(v.Chain)
}

// hopAccepted tells who sent the event and when it was on disk.
func (s *screen) hopAccepted(v view.CaseView) {
	s.line("accepted", "%s  from %s: event %s of %s", s.at(v.Accepted), v.Source.Scope, v.Source.EventID, v.Source.Source)
	if !v.Happened.IsZero() {
		s.line("", "it happened %s", s.at(v.Happened))
	}
	if !v.EffectiveAt.IsZero() {
		s.line("", "it takes effect %s (%s)", s.at(v.EffectiveAt), s.away(v.EffectiveAt))
	}
}

// hopPlanned tells what was decided, by whom and why.
func (s *screen) hopPlanned(v view.CaseView) {
	d := v.Decision
	if d.State == "" {
		s.line("planned", "not yet")
		return
	}
	text := "by " + d.By
	if len(d.Playbooks) > 0 {
		text += ", playbook " + strings.Join(d.Playbooks, ", ")
	}
	if d.Config != "" {
		text += ", playbooks.yaml " + d.Config
	}
	s.line(string(d.State), "%s  %s: %s", s.sinceBegan(v, d.Time), text, cmp.Or(d.Reason, plural(v.Tally.Total, "action")))
	if d.State == ledger.Scheduled {
		s.line("", "what follows is a preview: playbooks and guards decide when it takes effect")
	}
	s.hold(v)
	for _, other := range []struct{ text, id string }{{"the same id as case", d.Against}, {"overtaken by case", d.Newer}, {"the rest of case", d.Anew}} {
		if other.id != "" {
			s.line("", "%s %s", other.text, other.id)
		}
	}
	if len(d.Joined) > 0 {
		s.line("", "says that these are one person's: %s", strings.Join(d.Joined, ", "))
	}
	if len(d.Claimed) > 0 {
		s.line("", "gives a name that was another person's, who is not joined: %s", strings.Join(d.Claimed, ", "))
	}
	for _, b := range d.Begun {
		s.line("begun", "%s of case %s was %s, with %s: not undone", b.Do, b.Case, s.state(b.State), plural(b.Made, "change"))
	}
}

// hold tells what a held plan waits for, and what it got.
func (s *screen) hold(v view.CaseView) {
	h := v.Decision.Hold
	if h == nil {
		return
	}
	s.line("", "held: %s%s", h.Why, given(*h))
	if !h.Until.IsZero() && v.Plan == ledger.Held {
		s.line("", "%s %s (%s)", map[ledger.Lapse]string{ledger.LapseDeny: "denied", ledger.LapseProceed: "goes on", ledger.LapseAgain: "judged again"}[h.Then], s.moment(h.Until), s.away(h.Until))
	}
	for _, c := range h.Given {
		s.line("", "approved by %s %s: %s", c.Actor, s.moment(c.Time), c.Reason)
	}
	if none := h.Spent(); v.Plan == ledger.Held && h.Need > 0 && len(h.Pauses) == 0 && len(none) > 0 {
		s.line("", "a person other than %s must approve", strings.Join(none, ", "))
	}
}

// given counts the approvals of a hold that any can end.
func given(h view.Hold) string {
	if h.Need == 0 {
		return ""
	}
	return fmt.Sprintf("; %d of %s given", len(h.Given), plural(h.Need, "approval"))
}

// action tells where one action stands and what proves it.
func (s *screen) action(v view.CaseView, a view.ActionView) {
	s.line("action", "%s: %s%s", a.Step, s.state(a.State), s.progress(v, a))
	s.detail("do", "%s at %s for %s", a.Do, a.Connection, a.Target)
	s.evidence(v, a)
	if a.Pending != "" {
		s.detail("pending", "%s (its outcome is not known yet)", a.Pending)
	}
	if a.Failure != nil {
		s.failure(a)
	}
	s.looks(a)
	if a.Reason != "" && !view.RepeatsFailure(a.Reason, a.Failure) {
		s.detail("because", "%s (%s)", a.Reason, a.By)
	}
}

// looks tells how often an action was found to hold since it was proven, and when it is looked at again.
func (s *screen) looks(a view.ActionView) {
	if a.Looked > 0 {
		s.detail("held", "%s since the proof; last %s", plural(a.Looked, "look"), s.moment(a.Since))
	}
	switch {
	case a.Residuals:
		s.detail("look", "%s (%s), when access that outlives it ends", s.moment(a.NextLook), s.away(a.NextLook))
	case !a.NextLook.IsZero():
		s.detail("re-check", "%s (%s)", s.moment(a.NextLook), s.away(a.NextLook))
	}
	if a.Unwatched != "" {
		s.detail("re-check", "none any more: %s", a.Unwatched)
	}
}

// dryRun tells what a playbook on trial would have done.
func (s *screen) dryRun(run events.DryRun) {
	if run.Fault != "" {
		s.line("dry run", "playbook %s could not be applied: %s", run.Playbook, run.Fault)
		return
	}
	s.line("dry run", "playbook %s: %s that would be sent, none was", run.Playbook, plural(len(run.Actions), "action"))
	for _, a := range run.Actions {
		s.detail("would", "%s: %s at %s for %s", a.Step, a.Do, a.Connection, a.Target)
	}
}

// detail writes a line about an action.
func (s *screen) detail(label, format string, args ...any) {
	s.indented(strings.Repeat(" ", labelWidth+1), label, format, args...)
}

// progress tells when an action came to stand where it does, and after how many tries; or why it was not sent.
func (s *screen) progress(v view.CaseView, a view.ActionView) string {
	switch {
	case a.Since.IsZero() && v.Plan != ledger.Planned:
		return ", not sent"
	case a.Since.IsZero() && len(a.After) > 0:
		return ", after " + clean(steps(a.After))
	case a.Since.IsZero():
		return ""
	}
	since := a.Since
	if !a.Proven.IsZero() {
		since = a.Proven
	}
	text := " " + s.sinceBegan(v, since)
	if a.Tries > 0 {
		text += ", " + tries(a.Tries)
	}
	if a.Attempts != a.Tries {
		text += fmt.Sprintf(", %d counted", a.Attempts)
	}
	return text
}

// evidence tells what an action acted upon, what it changed, and what was seen afterwards.
func (s *screen) evidence(v view.CaseView, a view.ActionView) {
	var changed, seen []string
	for _, e := range a.Applied {
		changed = append(changed, s.effect(v, e))
	}
	for _, f := range a.Seen {
		seen = append(seen, f.What+" = "+f.Value)
	}
	for _, pin := range view.Pins(a.Pins) {
		s.detail("pinned", "%s", first(pin, maxText))
	}
	s.details("changed", changed)
	s.details("seen", seen)
	s.details("needed", a.Needed)
}

// maxLines bounds each list of an action's evidence on the screen: a client that thirty people use has hundreds.
const maxLines = 12

// details writes the first of a list.
func (s *screen) details(label string, lines []string) {
	for _, text := range lines[:min(maxLines, len(lines))] {
		s.detail(label, "%s", text)
	}
	if rest := len(lines) - maxLines; rest > 0 {
		s.detail("", "… and %d more (all of them with --json)", rest)
	}
}

// tries counts tries.
func tries(n int) string {
	if n == 1 {
		return "1 try"
	}
	return fmt.Sprintf("%d tries", n)
}

// failure tells why an action waits or died, and what to do.
func (s *screen) failure(a view.ActionView) {
	s.detail("failed", "%s", view.Explain(*a.Failure))
	if a.State == ledger.Waiting && !a.Failure.RetryAt.IsZero() {
		s.detail("again", "%s (%s)", s.at(a.Failure.RetryAt), s.away(a.Failure.RetryAt))
	}
	if a.Suggestion() != "" {
		s.detail("advice", "%s", a.Suggestion())
	}
	if a.State == ledger.Dead || a.State == ledger.Regressed {
		s.detail("next", "keyturn dead redrive %s", a.ID)
	}
}

// effect tells one change.
func (s *screen) effect(v view.CaseView, e ledger.Effect) string {
	text := fmt.Sprintf("%s %s  %s", e.Call, e.Target, s.sinceBegan(v, e.Time))
	if e.RequestID != "" {
		text += ", request " + e.RequestID
	}
	if e.Blind {
		text += ", nobody can read it back"
	}
	if e.NoReply {
		text += ", found made: no reply to it was recorded"
	}
	return text
}

// hopState tells where the case came to stand, and what a person can do.
func (s *screen) hopState(v view.CaseView) {
	text := ""
	if !v.Rested.IsZero() {
		text += "  " + s.at(v.Rested)
	}
	s.line("state", "%s%s%s", s.state(v.Standing()), text, s.proven(v))
	s.clock(v)
	s.sla(v)
	if v.Standing() == ledger.NeedsPerson && v.Reason != "" {
		s.line("", "%s", v.Reason)
	}
	switch v.Plan {
	case "", ledger.Conflict:
		if v.State == ledger.NeedsPerson {
			s.line("next", "keyturn dead show %s", v.ID)
		}
	case ledger.Planned, ledger.Superseded, ledger.Cancelled:
		if v.State == ledger.NeedsPerson && v.Tally.Total == 0 {
			s.line("next", "give back by hand what had begun and is not to be, then keyturn cancel %s --reason …", v.ID)
		}
	case ledger.Refused:
		if v.State == ledger.NeedsPerson {
			s.line("next", "see to what was done before by hand, then keyturn cancel %s --reason …", v.ID)
			return
		}
		s.line("next", "by hand, if it must be; or correct guards.protected, and let it be sent again under another id")
	case ledger.Held:
		if h := v.Decision.Hold; h != nil && len(h.Pauses) > 0 {
			s.line("next", "keyturn resume %s --reason … (or holds deny %s)", h.Pauses[0], v.ID)
			return
		}
		s.line("next", "keyturn holds approve %s --plan %s --reason … (or deny)", v.ID, short(v.Shown))
	}
}

// chain tells whether the records are what was written.
func (s *screen) chain(c view.Chain) {
	if c.Verified {
		s.line("ledger", "%s, chain %s", plural(c.Records, "record"), s.paint(green, "verified"))
		return
	}
	s.line("ledger", "%s, chain %s", plural(c.Records, "record"), s.paint(red, "BROKEN"))
	for _, b := range c.Broken {
		s.line("", "%s, record %d: %s", b.Subject, b.Seq, b.Why)
	}
}

// maxText bounds the text of a moment and a list of pins, in characters: --json has all of it.
const maxText = 160

// moments tells entries of the timeline, one line each.
func (s *screen) moments(v view.CaseView, list []view.Moment) {
	for _, m := range list {
		text := fmt.Sprintf("%-10s", s.sinceBegan(v, m.Time))
		_, _ = fmt.Fprintf(s, "%s  %s  %s %s", s.at(m.Time), text, clean(m.About), s.state(m.State))
		if m.Text != "" {
			_, _ = fmt.Fprintf(s, ": %s", clean(first(m.Text, maxText)))
		}
		_, _ = fmt.Fprintln(s)
	}
}

// sinceBegan is how long after the case began something happened.
func (s *screen) sinceBegan(v view.CaseView, t time.Time) string {
	began := v.Began()
	if began.IsZero() || t.Before(began) {
		return s.at(t)
	}
	return "+" + human(t.Sub(began))
}

// until says when a residual ends.
func (s *screen) until(t time.Time) string {
	if t.IsZero() {
		return "the provider does not say until when"
	}
	return fmt.Sprintf("until %s (%s)", s.moment(t), s.away(t))
}

// steps names actions by their steps.
func steps(ids []string) string {
	var names []string
	for _, id := range ids {
		names = append(names, id[strings.LastIndexByte(id, ':')+1:])
	}
	return strings.Join(names, ", ")
}

// tally counts actions in words.
func tally(t view.Tally) string {
	if t.Total == 0 {
		return "no actions"
	}
	text := fmt.Sprintf("%d of %s done", t.Done, plural(t.Total, "action"))
	for _, part := range []struct {
		n    int
		word string
	}{{t.Waiting, "waiting"}, {t.Dead, "dead"}, {t.Cancelled, "cancelled"}} {
		if part.n > 0 {
			text += fmt.Sprintf(", %d %s", part.n, part.word)
		}
	}
	return text
}
