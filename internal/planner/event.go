package planner

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/stream"
)

// Event works off an event that was stored at the given time. Done means that its case is decided, and that everything
// that follows from the decision was published; the caller's settle must put it on disk before it acknowledges.
func (p *Planner) Event(ctx context.Context, e events.Event, stored time.Time) events.Outcome {
	t := p.turn()
	return p.work(ctx, "event", t, func() error { return t.event(ctx, e, stored) })
}

// event decides a case that is new, repeats what follows from one that is decided, and sets apart other content that
// came under the same id.
func (t *turn) event(ctx context.Context, e events.Event, stored time.Time) error {
	if e.Time.IsZero() {
		e.Time = stored
	}
	id, hash := e.Case(), e.ContentHash()
	t.note(slog.String("case", id), slog.String("event", e.Name()), slog.String("principal", e.Subject))
	rec, d, err := t.plan(ctx, id)
	if err != nil {
		return err
	}
	if rec.Seq == 0 {
		return t.decide(ctx, rec, Decision{Plan: blank(id, hash, e, stored)})
	}
	if d.Hash != hash {
		return t.conflict(ctx, e, stored, d)
	}
	t.note(slog.Bool("resent", true))
	t.tell(rec, d)
	if d.Event.Data == nil {
		if rec, d, err = t.told(ctx, rec, d, e); err != nil {
			return err
		}
	}
	return t.follow(ctx, rec, d)
}

// told works off an event whose case a newer one took before it was planned, and which knew the person by one name only. What
// turns out to have begun, now that it is known who is who, is listed in its plan: the newer one was decided without it.
func (t *turn) told(ctx context.Context, rec ledger.Record, taken Decision, e events.Event) (ledger.Record, Decision, error) {
	d := taken
	d.Event = e
	now := d
	if _, _, err := t.overtake(ctx, &now); err != nil {
		return rec, d, err
	}
	if err := t.index(ctx, d); err != nil {
		return rec, d, err
	}
	if len(taken.Begun) > 0 || len(now.Begun) == 0 {
		return rec, d, nil
	}
	taken.Begun, d.Begun = now.Begun, now.Begun
	// Dying here: the actions are ended and stand as they did; the message comes again and lists them.
	rec, err := t.write(ctx, rec, taken, rec.State, rec.Reason)
	return rec, d, err
}

// blank is the plan of an event of which nothing is planned yet.
func blank(id, hash string, e events.Event, stored time.Time) events.Plan {
	return events.Plan{
		Case: id, Event: e, Hash: hash, Accepted: stored.UTC(), Class: e.Class, EffectiveAt: e.EffectiveAt,
	}
}

// conflict sets apart an event that says something else than the one that its case was decided upon. It becomes a
// case of its own, which a person may redrive: a weak sender must neither pre-empt nor swallow a real event. Resent,
// it is the same case again.
func (t *turn) conflict(ctx context.Context, e events.Event, stored time.Time, decided Decision) error {
	if err := t.disown(ctx, e, decided); err != nil {
		return err
	}
	own := e
	own.ID = e.ID + "~" + e.ContentHash()
	id := own.Case()
	t.note(slog.String("own_case", id))
	rec, d, err := t.plan(ctx, id)
	if err != nil {
		return err
	}
	if rec.Seq == 0 {
		d = Decision{Plan: blank(id, own.ContentHash(), own, stored), Said: ledger.Said{Against: decided.Case}}
		if rec, err = t.write(ctx, rec, d, ledger.Conflict, "case "+decided.Case+" came with other content"); err != nil {
			return err
		}
	}
	t.alert = "other content came under the id of case " + decided.Case
	t.tell(rec, d)
	// Dying here: the conflict stands; the redelivery comes by here again and buries it.
	return t.follow(ctx, rec, d)
}

// setApart makes a conflict of the event that a dead letter of d's case keeps, if it says something else than d: nothing
// was decided when d came under its id, and the letter is about to go.
func (t *turn) setApart(ctx context.Context, d Decision) error {
	kept, err := t.kept(ctx, d)
	if err != nil || kept.Hash == "" {
		return err
	}
	if err := t.conflict(ctx, kept.Event, kept.Accepted, d); err != nil {
		return err
	}
	// Dying here: it is a conflict with a letter of its own, and the old letter stands, which does not go before all of that
	// is on disk; what brought us here comes again.
	return t.Queue.Barrier(ctx)
}

// kept gives what the dead letter of d's case keeps that is not d's own event; the zero Decision when it keeps nothing
// else.
func (t *turn) kept(ctx context.Context, d Decision) (Decision, error) {
	letter, err := t.Morgue.DeadLetter(ctx, d.Case)
	if errors.Is(err, stream.ErrNotFound) {
		return Decision{}, nil
	}
	if err != nil {
		return Decision{}, err
	}
	kept, err := enclosed(letter)
	if err != nil || kept.Hash == d.Hash {
		return Decision{}, nil // its own, or one that nobody can read
	}
	return kept, nil
}

// write appends a decision to the plan's subject. ledger.ErrConflict means that somebody else decided.
func (t *turn) write(ctx context.Context, prev ledger.Record, d Decision, s ledger.State, why string) (ledger.Record, error) {
	rec, err := d.encode(s, why)
	if err != nil {
		return ledger.Record{}, err
	}
	return t.append(ctx, prev, rec)
}
