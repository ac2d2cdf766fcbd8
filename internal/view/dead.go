package view

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"keyturn/internal/events"
)

// DeadFilter chooses dead letters. What is empty chooses all.
type DeadFilter struct {
	Connection string    // of an action
	Kind       string    // events.DeadAction, events.DeadConflict or events.DeadFault
	Do         string    // the action's kind: "okta.suspend_user"
	Cause      string    // what it died of
	Source     string    // who sent it, as the letter says
	Playbook   string    // of an action: the playbook that asked for it
	Principal  string    // exact, or a part of it
	Case       string    // its id, or the beginning of it
	Since      time.Time // died at or after
	Until      time.Time // died before
}

// Matches reports whether f chooses the letter.
func (f DeadFilter) Matches(d events.DeadLetter) bool {
	for _, pair := range []struct{ want, have string }{
		{f.Connection, d.Connection}, {f.Kind, d.Kind}, {f.Do, d.Do}, {f.Cause, d.Cause}, {f.Source, d.Source},
		{f.Playbook, playbookOf(d)},
	} {
		if pair.want != "" && pair.want != pair.have {
			return false
		}
	}
	switch {
	case !f.Since.IsZero() && d.Time.Before(f.Since), !f.Until.IsZero() && !d.Time.Before(f.Until):
		return false
	}
	return strings.HasPrefix(d.Case, f.Case) && strings.Contains(strings.ToLower(d.Principal), strings.ToLower(f.Principal))
}

// Unsaid reports whether f would choose the letter if that said who sent it: those of actions that died before letters did
// so stay until somebody sees to them.
func (f DeadFilter) Unsaid(d events.DeadLetter) bool {
	want := f.Source
	f.Source = ""
	return want != "" && d.Source == "" && f.Matches(d)
}

// playbookOf is the playbook of a dead action, as its id says; empty for what is no action.
func playbookOf(d events.DeadLetter) string {
	parts := strings.Split(d.ID, ":")
	if d.Kind != events.DeadAction || len(parts) != 3 {
		return ""
	}
	return parts[1]
}

// DeadGroup is dead letters that died of the same and need the same from a person.
type DeadGroup struct {
	Cause      string    `json:"cause"`                // of death: "permanent", "transient", "contested", "conflict", "mapping" …
	Connection string    `json:"connection,omitempty"` // of actions
	Source     string    `json:"source,omitempty"`     // of what is no action: those of one connection are one group, whoever sent them
	Kind       string    `json:"kind"`                 // the actions' kind, "okta.suspend_user"; else "conflict" or "fault"
	Count      int       `json:"count"`
	Oldest     time.Time `json:"oldest"` // when the first of them died
	Suggestion string    `json:"suggestion,omitempty"`
}

// GroupDead puts letters together by cause, connection or source, kind and suggestion: the largest group first. Advice
// that names the letter's own target is one for all targets. An empty answer is not nil.
func GroupDead(list []events.DeadLetter) []DeadGroup {
	groups := []DeadGroup{}
	at := map[DeadGroup]int{} // by what its letters have in common
	for _, d := range list {
		key := DeadGroup{Cause: d.Cause, Connection: d.Connection, Kind: cmp.Or(d.Do, d.Kind), Suggestion: unnamed(d.Suggestion)}
		if key.Connection == "" {
			key.Source = d.Source
		}
		i, ok := at[key]
		if !ok {
			i = len(groups)
			at[key] = i
			groups = append(groups, key)
			groups[i].Suggestion = d.Suggestion
		}
		g := &groups[i]
		g.Count++
		if g.Suggestion != d.Suggestion {
			g.Suggestion = key.Suggestion
		}
		if g.Oldest.IsZero() || d.Time.Before(g.Oldest) {
			g.Oldest = utc(d.Time)
		}
	}
	slices.SortStableFunc(groups, func(a, b DeadGroup) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), a.Oldest.Compare(b.Oldest))
	})
	return groups
}

// nameLength is from how many characters on a word with a digit in it is taken for an id or a mark.
const nameLength = 12

// unnamed is advice without the names in it: a thousand apps without a mark need the same of a person, and are one group.
func unnamed(advice string) string {
	words := strings.Split(advice, " ")
	for i, w := range words {
		if strings.Contains(w, "@") || len(w) >= nameLength && strings.ContainsAny(w, "0123456789") {
			words[i] = "…"
		}
	}
	return strings.Join(words, " ")
}
