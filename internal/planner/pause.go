package planner

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
)

// Pause is an operator's word that something stands still until a deadline. All of them are one record of the ledger,
// changed by compare-and-swap: whoever is about to act goes by what the leader said of it less than PausesHold ago, and a
// command is settled that long after its record, so that a pause holds from then on, on every worker and through every
// restart.
//
// A pause of a source or of a playbook holds the plans of its cases, and lets the lanes begin none of the actions that
// they have of it already. A pause of a connection, or of everything, lets the lanes begin nothing: plans are made, and
// their actions wait. What has begun comes to its end. It is obeyed for every class, urgent too.
type Pause struct {
	Target  string    `json:"target"` // all, connection:NAME, playbook:NAME or source:NAME
	By      string    `json:"by"`
	Reason  string    `json:"reason"`
	Command string    `json:"command"` // id of the last command about it
	Said    time.Time `json:"said"`    // when that command was given: of two, the later one counts
	Since   time.Time `json:"since"`   // when it began
	Until   time.Time `json:"until"`   // when it ends by itself
	Ended   bool      `json:"ended,omitempty"`
}

// PauseAll is the target of a pause of everything.
const PauseAll = "all"

// The kinds of what else can be paused.
const (
	pauseConnection = "connection"
	pausePlaybook   = "playbook"
	pauseSource     = "source"
)

// maxPause bounds a pause: one that nobody remembers must end.
const maxPause = 31 * 24 * time.Hour

// PausesHold is for how long after the question what was read of the pauses may be gone by, however long the answer took. It
// is what the command of a pause takes longer to be settled, and more than a cluster takes to answer.
const PausesHold = 250 * time.Millisecond

// keepEnded is how long it is remembered that a pause ended, so that a command that was given before it and comes late
// changes nothing.
const keepEnded = 24 * time.Hour

// pauses is the body of the record.
type pauses struct {
	List []Pause `json:"pauses"`
}

// pausesSubject is where they stand, in the form of a person's order.
func pausesSubject() string { return ledger.OrderSubject("pauses") }

// Pauses lists the pauses that hold at a moment, oldest first.
func Pauses(ctx context.Context, l *ledger.Ledger, now time.Time) ([]Pause, error) {
	_, all, err := loadPauses(ctx, l)
	return slices.DeleteFunc(all.List, func(p Pause) bool { return !p.holds(now) }), err
}

// holds reports whether the pause holds at a moment.
func (p Pause) holds(now time.Time) bool { return !p.Ended && now.Before(p.Until) }

// Stops reports whether the pause keeps the lane of a connection from beginning anything.
func (p Pause) Stops(connection string) bool {
	return p.Target == PauseAll || p.Target == pauseConnection+":"+connection
}

// OfSource reports whether it is a source that is paused.
func (p Pause) OfSource() bool { return strings.HasPrefix(p.Target, pauseSource+":") }

// StopsAction reports whether the pause keeps actions of a playbook, for events of a source, from being begun by lanes
// that go on with others.
func (p Pause) StopsAction(playbook, source string) bool {
	return p.Target == pausePlaybook+":"+playbook || source != "" && p.Target == pauseSource+":"+source
}

// stopsPlan reports whether the pause holds a plan.
func (p Pause) stopsPlan(d Decision) bool {
	kind, name, _ := strings.Cut(p.Target, ":")
	switch kind {
	case pauseSource:
		return d.Event.Scope == name
	case pausePlaybook:
		return slices.Contains(d.Playbooks, name)
	}
	return false
}

// String tells a pause to a person.
func (p Pause) String() string {
	return fmt.Sprintf("%s is paused until %s by %s: %s", strings.Replace(p.Target, ":", " ", 1), p.Until.UTC().Format(time.RFC3339), p.By, p.Reason)
}

func loadPauses(ctx context.Context, l *ledger.Ledger) (ledger.Record, pauses, error) {
	var all pauses
	rec, err := l.Last(ctx, pausesSubject())
	if err != nil || rec.Seq == 0 {
		return rec, all, err
	}
	if err := json.Unmarshal(rec.Body, &all); err != nil {
		return rec, all, fmt.Errorf("pauses: %w", err)
	}
	return rec, all, nil
}

// pausedBy lists the pauses that hold a plan now.
func (t *turn) pausedBy(ctx context.Context, d Decision) ([]Pause, error) {
	if now := t.come(); t.pausesAsked.IsZero() || now.Sub(t.pausesAsked) >= PausesHold {
		list, err := Pauses(ctx, t.Ledger, now)
		if err != nil {
			return nil, err
		}
		t.pauses, t.pausesAsked = list, now
	}
	return slices.DeleteFunc(slices.Clone(t.pauses), func(p Pause) bool { return !p.stopsPlan(d) }), nil
}

// detain holds an event of a paused source before it takes its place among the events of its person: what is pending by
// others' word must not fall to one that waits. One that has its place keeps it, and its plan is held.
func (t *turn) detain(ctx context.Context, d *Decision) (ledger.State, string, error) {
	if !ordered(d.Event) {
		return "", "", nil
	}
	bare := *d
	bare.Playbooks = nil
	paused, err := t.pausedBy(ctx, bare)
	if err != nil || len(paused) == 0 {
		return "", "", err
	}
	if placed, err := t.placed(ctx, *d); err != nil || placed {
		return "", "", err
	}
	t.preview(d)
	if paused, err = t.pausedBy(ctx, *d); err != nil || len(paused) == 0 {
		return "", "", err
	}
	d.Hold = t.waitFor(paused, *d)
	return ledger.Held, d.Hold.Why, nil
}

// waitFor makes the hold of a plan that is paused. No approval helps; it is judged again when the first of the pauses
// ends.
func (t *turn) waitFor(list []Pause, d Decision) *Hold {
	h := &Hold{Until: list[0].Until, Then: ledger.LapseAgain}
	var why []string
	for _, p := range list {
		h.Pauses = append(h.Pauses, p.Target)
		why = append(why, p.String())
		if p.Until.Before(h.Until) {
			h.Until = p.Until
		}
	}
	h.Why = strings.Join(why, "; ")
	if d.Class == events.Urgent {
		t.warn("an urgent plan waits: " + h.Why)
	}
	return h
}

// stale reports whether the hold is for other pauses than those that hold the plan now.
func (t *turn) stale(ctx context.Context, d Decision) (bool, error) {
	t.pausesAsked = time.Time{} // the plan stands: whoever ended a pause meanwhile did not see it
	list, err := t.pausedBy(ctx, d)
	if err != nil || len(list) == 0 {
		return err == nil, err
	}
	now := t.waitFor(list, d)
	return !slices.Equal(now.Pauses, d.Hold.Pauses) || !now.Until.Equal(d.Hold.Until), nil
}

// pause begins or ends a pause. A command that was given before the last one about the same changes nothing.
func (t *turn) pause(ctx context.Context, c events.Command) (string, error) {
	if c.Lasts != 0 { // counted from when the broker took it, so that it ends at the same moment whenever it is worked off
		c.Until = c.Time.Add(c.Lasts)
	}
	if no := t.cannotPause(c); no != "" {
		return no, nil
	}
	unknown, note := "", ""
	if t.Pausable != nil {
		c.Target, unknown, note = t.Pausable(c.Target)
	}
	outcome, err := t.pauseKnown(ctx, c, unknown)
	if note != "" && c.Verb == events.Pause && err == nil {
		outcome += "; " + note
	}
	return outcome, err
}

// pauseKnown begins or ends a pause of what the target is known to be. unknown says why a pause would stop nothing; a
// pause that holds can be ended all the same.
func (t *turn) pauseKnown(ctx context.Context, c events.Command, unknown string) (string, error) {
	rec, all, err := loadPauses(ctx, t.Ledger)
	if err != nil {
		return "", err
	}
	var was Pause
	if i := slices.IndexFunc(all.List, func(p Pause) bool { return p.Target == c.Target }); i >= 0 {
		was = all.List[i]
	}
	next, no := t.follows(was, c)
	switch {
	case was.Command == c.ID:
		return t.rouse(ctx, was) // written already
	case unknown != "" && c.Verb == events.Pause:
		return unknown, nil
	case no != "":
		return no, nil
	}
	all.List = slices.DeleteFunc(all.List, func(p Pause) bool {
		return p.Target == c.Target || t.now().Sub(p.Until) > keepEnded
	})
	all.List = append(all.List, next)
	body, err := json.Marshal(all)
	if err != nil {
		return "", fmt.Errorf("pauses: %w", err)
	}
	if _, err := t.append(ctx, rec, ledger.Record{
		Subject: pausesSubject(), State: ledger.Kept, Body: body, Reason: next.word() + reason(c),
	}); err != nil {
		return "", err
	}
	// Dying here: it holds. The plans that wait for the old deadline are roused when the command comes again.
	return t.rouse(ctx, next)
}

// outlast waits until nobody goes any more by what was read before.
func (t *turn) outlast(ctx context.Context) error {
	select {
	case <-time.After(cmp.Or(t.Outlast, PausesHold)):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// follows gives the pause that a command makes of the one that was, or says why it makes none.
func (t *turn) follows(was Pause, c events.Command) (next Pause, no string) {
	now := t.now()
	next = Pause{Target: c.Target, By: c.Actor, Reason: c.Reason, Command: c.ID, Said: c.Time.UTC(), Since: now, Until: c.Until.UTC()}
	switch {
	case was.Said.After(next.Said):
		return next, "a later command about " + c.Target + " came first"
	case c.Verb == events.Resume && !was.holds(now):
		return next, c.Target + " is not paused"
	case c.Verb == events.Resume:
		next.Until, next.Ended = was.Until, true
	}
	if was.holds(now) {
		next.Since = was.Since
	}
	return next, ""
}

// cannotPause says what is wrong with a command; empty = nothing.
func (t *turn) cannotPause(c events.Command) string {
	kind, name, named := strings.Cut(c.Target, ":")
	switch {
	case c.Target != PauseAll && (!named || name == "" || !slices.Contains([]string{pauseConnection, pausePlaybook, pauseSource}, kind)):
		return "nothing like that can be paused: name all, connection:NAME, playbook:NAME or source:NAME"
	case c.Actor == "" || c.Reason == "":
		return "a pause needs a name and a reason"
	case c.Verb == events.Resume:
		return ""
	case !c.Until.After(t.now()):
		return "a pause needs a deadline that is still to come"
	case c.Lasts > maxPause, c.Lasts == 0 && c.Until.Sub(t.now()) > maxPause:
		return fmt.Sprintf("a pause lasts %d days at most", int(maxPause.Hours()/24))
	}
	return ""
}

// word says what became of a pause.
func (p Pause) word() string {
	if p.Ended {
		return p.Target + " goes on"
	}
	return p.Target + " is paused until " + p.Until.Format(time.RFC3339)
}

// rouseMargin is how far the clocks of a planner and of the broker may differ.
const rouseMargin = 5 * time.Minute

// rouse has every plan that a pause holds judged again: it ended, or has another deadline. A plan that is being held at
// this moment looks for itself, after its record stands (keep).
func (t *turn) rouse(ctx context.Context, p Pause) (string, error) {
	held := map[string]events.Event{}
	err := t.Ledger.Range(ctx, ledger.PlanSubject("*"), p.Since.Add(-rouseMargin), func(rec ledger.Record) error {
		id := ledger.CaseOf(rec.Subject)
		delete(held, id)
		if rec.State != ledger.Held {
			return nil
		}
		d, err := Decode(rec)
		if err == nil && d.Hold != nil && slices.Contains(d.Hold.Pauses, p.Target) {
			held[id] = d.Event
		}
		return err
	})
	if err != nil {
		return "", err
	}
	if err := errors.Join(t.Queue.Barrier(ctx), t.outlast(ctx)); err != nil {
		return "", err
	}
	for _, id := range slices.Sorted(maps.Keys(held)) {
		if err := t.comeBack(ctx, held[id], t.now()); err != nil {
			return "", err
		}
		// Dying here: it comes back by itself; the others do when the command comes again.
	}
	t.note(slog.Int("roused", len(held)))
	return p.word(), nil
}
