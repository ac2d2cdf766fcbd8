package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/planner"
	"keyturn/internal/playbook"
	"keyturn/internal/replay"
)

// fate is what becomes of an event before anybody has spoken of it and anything is counted.
type fate struct {
	State  replay.State     `json:"state"`
	Why    string           `json:"why,omitempty"`
	Due    *due             `json:"when_due,omitempty"` // of what is scheduled: what the same rules make of it then
	Brakes []rehearsedBrake `json:"brakes,omitempty"`   // those that would count it
}

// due is what becomes of an event when it takes effect.
type due struct {
	State replay.State `json:"state"`
	Why   string       `json:"why,omitempty"`
}

// rehearsedBrake is a brake that counts the event.
type rehearsedBrake struct {
	Name string `json:"name"`
	Max  int    `json:"max,omitempty"` // 0 where it is a share of what a provider has
	Per  string `json:"per"`
}

// fateOf judges an event by rules as if it came now.
func fateOf(r replay.Rules, e events.Event, now time.Time) (replay.Judged, fate) {
	judged := replay.Judge(r, e, e.EffectiveAt.After(now))
	f := fate{State: judged.Alone().State, Why: judged.Alone().Why}
	counted := judged.Brakes
	if f.State == replay.Scheduled && !playbook.TakesBack(e) { // which is guarded when it comes
		then := replay.Judge(r, e, false)
		f.Due, counted = &due{then.Alone().State, then.Alone().Why}, then.Brakes
	}
	for _, b := range counted {
		shown := rehearsedBrake{Name: b.Name, Max: b.Max, Per: b.Per.String()}
		if b.Share != nil {
			shown.Max = 0
		}
		f.Brakes = append(f.Brakes, shown)
	}
	slices.SortFunc(f.Brakes, func(x, y rehearsedBrake) int { return cmp.Compare(x.Name, y.Name) })
	return judged, f
}

// text is the fate in a line, for a person: how many must approve is a part of it.
func (f fate) text() string {
	text := due{f.State, f.Why}.text()
	if f.Due != nil {
		text += ", when due " + f.Due.text()
	}
	return text
}

func (d due) text() string {
	if d.State != replay.Held && d.State != replay.Refused {
		return string(d.State) // the reason of a fault names the file, which is another one
	}
	return strings.Join(nonEmpty(string(d.State), d.Why), ": ")
}

// brakes lists those that count the event, for a person.
func (f fate) brakes() []string {
	var list []string
	for _, b := range f.Brakes {
		if b.Max == 0 {
			list = append(list, b.Name)
		} else {
			list = append(list, fmt.Sprintf("%s: no more than %d", b.Name, b.Max))
		}
	}
	return list
}

// paused lists what of a plan stands still now on an operator's word.
func (s *session) paused(ctx context.Context, p events.Plan, now time.Time) ([]string, error) {
	list, err := planner.Pauses(ctx, s.ledger, now)
	var words []string
	for _, pause := range list {
		matched := func(book string) bool { return pause.StopsAction(book, p.Event.Scope) }
		stopped := func(a events.Action) bool { return pause.Stops(a.Connection) }
		if pause.StopsAction("", p.Event.Scope) || slices.ContainsFunc(p.Playbooks, matched) || slices.ContainsFunc(p.Actions, stopped) {
			words = append(words, pause.String())
		}
	}
	return words, err
}
