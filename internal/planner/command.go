package planner

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"strings"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
)

// Receipts is the place in the ledger, in the form of a person's key, under which every command leaves what it was and
// what came of it: ledger.PersonFilter(Receipts) lists them all.
const Receipts = "commands"

// Receipt is the body of such a record.
type Receipt struct {
	Command events.Command `json:"command"`
	Outcome string         `json:"outcome"` // for a person
}

// Command works off what an operator asks for. A command is done once under its id; whatever it cannot do is said in
// its receipt, and it is done with: nothing that a person asks for goes round for ever.
func (p *Planner) Command(ctx context.Context, c events.Command) events.Outcome {
	t := p.turn()
	t.attempt = c.ID
	if c.Actor != "" {
		t.by, t.actor = c.Actor, c.Actor
	}
	return p.work(ctx, "command", t, func() error { return t.command(ctx, c) })
}

func (t *turn) command(ctx context.Context, c events.Command) error {
	t.note(slog.String("command", c.ID), slog.String("verb", string(c.Verb)), slog.String("target", c.Target),
		slog.String("actor", c.Actor))
	subject := receiptSubject(c.ID)
	done, err := t.Ledger.Last(ctx, subject)
	if err != nil {
		return err
	}
	if done.Seq != 0 {
		t.note(slog.Bool("repeated", true))
		return nil
	}
	if t.early, err = t.behind(ctx, c); err != nil || t.early > 0 {
		return err
	}
	outcome, err := t.obey(ctx, c)
	if err != nil {
		return err
	}
	t.note(slog.String("outcome", outcome))
	body, err := json.Marshal(Receipt{Command: c, Outcome: outcome})
	if err != nil {
		return fmt.Errorf("receipt of %s: %w", c.ID, err)
	}
	// The receipt ends the command, and so it comes after everything that it tells of is on disk. Dying before it: the
	// command comes again and finds what it did by its id in the records.
	if err := t.Queue.Barrier(ctx); err != nil {
		return err
	}
	_, err = t.append(ctx, ledger.Record{}, ledger.Record{Subject: subject, State: ledger.Kept, Reason: outcome, Body: body})
	if errors.Is(err, ledger.ErrConflict) {
		return nil // another planner works off the same message, and has said so first
	}
	return err
}

// How long a command waits for those that it is behind, and how often it asks. They were stored before it, so that one that
// was not worked off by then waits for something else; what a person asks for does not wait for ever.
const (
	behindAtMost = time.Minute
	behindAgain  = 200 * time.Millisecond
)

// behind says in which time to ask again whether the commands before it were worked off; 0 = it is its turn.
func (t *turn) behind(ctx context.Context, c events.Command) (time.Duration, error) {
	for _, id := range c.Behind {
		rec, err := t.Ledger.Last(ctx, receiptSubject(id))
		if err != nil {
			return 0, err
		}
		if rec.Seq == 0 && t.now().Sub(c.Time) < behindAtMost {
			return behindAgain, nil
		}
	}
	return 0, nil
}

// obey does it and says what came of it, for a person. An error is ours, not the command's.
func (t *turn) obey(ctx context.Context, c events.Command) (string, error) {
	if !token(c.Target) {
		return "nothing has such an id", nil
	}
	caseID, _, action := strings.Cut(c.Target, ":")
	switch {
	case c.Verb == events.Pause || c.Verb == events.Resume:
		return t.pause(ctx, c)
	case c.Verb == events.Unmerge:
		return t.unmerge(ctx, c)
	case c.Verb == events.RedriveVerb && action:
		return t.redriveAction(ctx, c, caseID)
	case c.Verb == events.RedriveVerb:
		return t.redriveCase(ctx, c)
	case c.Verb == events.Drop && action:
		return t.dropAction(ctx, c, caseID)
	case c.Verb == events.Drop:
		return t.dropCase(ctx, c)
	case c.Verb != events.Approve && c.Verb != events.Deny && c.Verb != events.Cancel && c.Verb != events.Withdraw:
		return fmt.Sprintf("%q is no command for the planner", c.Verb), nil
	}
	return t.onPlan(ctx, c)
}

// onPlan does what a command asks for about the plan of a case.
func (t *turn) onPlan(ctx context.Context, c events.Command) (string, error) {
	rec, d, err := t.plan(ctx, c.Target)
	if err != nil {
		return "", err
	}
	if rec.Seq == 0 {
		return "no case of that id is planned", nil
	}
	switch c.Verb {
	case events.Approve:
		if rec.State == ledger.Held && !d.approvedBy(c) && c.Shown != "" && c.Shown != d.Shown() {
			return "it was judged again and would do something else than you were shown: look at it with keyturn holds show, then approve that", nil
		}
		return t.approve(ctx, c, rec, d)
	case events.Deny:
		if rec.State != ledger.Held && !d.deniedBy(c) {
			return "the case is " + string(rec.State) + ", not held", nil
		}
	}
	return t.cancel(ctx, c, rec, d)
}

// cancel ends what a case has not begun, and closes one that waits for nothing but a person's look.
func (t *turn) cancel(ctx context.Context, c events.Command, rec ledger.Record, d Decision) (string, error) {
	by := "cancelled by " + c.Actor + reason(c)
	idle := rec.State == ledger.Planned && len(d.Actions) == 0
	if (idle || d.lists() || rec.State == ledger.Refused) && c.Verb != events.Withdraw {
		if said, err := t.seenTo(ctx, c, rec, by); said != "" || err != nil {
			return said, err
		}
	}
	switch state := rec.State; {
	case idle, state == ledger.Scheduled, state == ledger.Held, state == ledger.Conflict:
		w := consent(c)
		d.Denied = &w
		rec, err := t.write(ctx, rec, d, ledger.Cancelled, by)
		if err != nil {
			return "", err
		}
		// Dying here: cancelled; what was published for it is taken back when the command comes again.
		return t.cancelled(ctx, rec, d)
	case state == ledger.Planned:
		return t.cancelUnbegun(ctx, c, d, by)
	case state == ledger.Cancelled && d.deniedBy(c):
		return t.cancelled(ctx, rec, d)
	case c.Verb == events.Withdraw && (state == ledger.Superseded || state == ledger.Refused || state == ledger.Cancelled):
		said, err := t.withdraw(ctx, d)
		if err == nil && d.lists() {
			// What never was asks nobody to give anything back. Dying before it: withdrawn; the command comes again and closes it.
			_, err = t.seenTo(ctx, c, rec, by)
		}
		return "the case stays " + string(state) + ", and overtakes nothing any more" + said, err
	}
	return "the case is " + string(rec.State) + " already", nil
}

// seenTo closes a case that lists what a person had to look at, and says so; empty = there is nothing to look at. What it
// lists stands: that of a plan without actions, and what was done before a lane refused the rest.
func (t *turn) seenTo(ctx context.Context, c events.Command, rec ledger.Record, by string) (string, error) {
	caseID := ledger.CaseOf(rec.Subject)
	life, err := t.Ledger.Last(ctx, ledger.LifecycleSubject(caseID))
	if err != nil || life.State == ledger.Closed && life.Attempt != c.ID {
		return "", err
	}
	if rec.State == ledger.Refused && life.State == ledger.Open {
		return "", nil // its lanes are still at it
	}
	return "closed: what it lists was seen to", t.moveTo(ctx, caseID, ledger.Closed, by)
}

// cancelUnbegun ends what has not begun of a plan that goes on.
func (t *turn) cancelUnbegun(ctx context.Context, c events.Command, d Decision, by string) (string, error) {
	begun, err := t.recall(ctx, d, by, "")
	lost := ""
	if err == nil && (len(begun) == 0 || c.Verb == events.Withdraw) { // what has begun keeps its place, unless it was never true
		lost, err = t.withdraw(ctx, d)
	}
	return fmt.Sprintf("what had not begun is cancelled; begun or done before: %d%s", len(begun), lost), err
}

// deniedBy reports whether it was this command that cancelled the plan.
func (d Decision) deniedBy(c events.Command) bool { return d.Denied != nil && d.Denied.Command == c.ID }

// approvedBy reports whether it was this command that gave its word to the held plan.
func (d Decision) approvedBy(c events.Command) bool {
	return d.Hold != nil && d.Hold.Has(func(w Consent) bool { return w.Command == c.ID })
}

// reason is the operator's own, as the end of a sentence.
func reason(c events.Command) string {
	if c.Reason == "" {
		return ""
	}
	return ": " + c.Reason
}

// token reports whether s can stand in a subject.
func token(s string) bool {
	bad := func(r rune) bool { return r <= ' ' || r == 0x7f || r == '.' || r == '*' || r == '>' }
	return s != "" && len(s) <= maxToken && !strings.ContainsFunc(s, bad)
}

// maxToken bounds what is taken as an id, in bytes; ids of actions are the longest.
const maxToken = 200

// receiptSubject is where the receipt of a command stands.
func receiptSubject(id string) string {
	if !token(id) {
		h := fnv.New128a()
		_, _ = h.Write([]byte(id))
		id = "x-" + hex.EncodeToString(h.Sum(nil))
	}
	return ledger.PersonSubject(Receipts, id)
}
