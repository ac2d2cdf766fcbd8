package planner

import (
	"context"
	"log/slog"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
)

// near is when a case nears the time in which it is to be verified: at four fifths of it.
func (d Decision) near() time.Time { return d.DueBy().Add(-time.Duration(d.SLA) / 5) }

// ticks reports whether an event came back because of its case's clock alone, and not at its effective time, nor to a plan
// that was held when it was scheduled (keep).
func (d Decision) ticks(e events.Event) bool {
	return !d.DueBy().IsZero() && (e.EffectiveAt.Equal(d.near()) || e.EffectiveAt.Equal(d.DueBy()))
}

// rings gives when a case is next to be told of, by what was told; zero = never.
func (d Decision) rings(told *ledger.Late) time.Time {
	switch {
	case d.DueBy().IsZero() || len(d.Actions) == 0 || told != nil && told.Missed:
		return time.Time{}
	case told != nil:
		return d.DueBy()
	}
	return d.near()
}

// wind has the event of a plan that goes on come back when its case nears the time in which it is to be verified. A
// plan that goes on needs its place in the timetable for nothing else.
func (t *turn) wind(ctx context.Context, d Decision) error {
	at := d.rings(nil)
	if at.IsZero() {
		return nil
	}
	// Dying before or after it: the message comes again, and so does this. What was told by then is not told again.
	return t.ring(ctx, d.Event, at)
}

// ring has an event come back because of its case's clock, which tells by its time that it is no effective time.
func (t *turn) ring(ctx context.Context, e events.Event, at time.Time) error {
	e.EffectiveAt = at
	return t.Timetable.Schedule(ctx, e)
}

// back gives when a held plan is to come back: when its hold ends, or before that when its case is late; zero = never.
func (t *turn) back(ctx context.Context, d Decision) (time.Time, error) {
	var until time.Time
	if d.Hold != nil {
		until = d.Hold.Until
	}
	if d.DueBy().IsZero() {
		return until, nil
	}
	prev, err := t.Ledger.Last(ctx, ledger.LifecycleSubject(d.Case))
	if err != nil {
		return until, err
	}
	life, err := prev.Life()
	if at := d.rings(life.Late); !at.IsZero() && (until.IsZero() || at.Before(until)) {
		until = at
	}
	return until, err
}

// tick tells of a case whose plan goes on, and winds its clock on.
func (t *turn) tick(ctx context.Context, e events.Event, d Decision) error {
	if rest := e.EffectiveAt.Sub(t.rung()); rest > 0 && rest <= rescheduleAfter {
		t.early = rest
		return nil
	} else if rest > 0 { // dying after this or the next schedule: the message comes again and makes the same one
		return t.ring(ctx, e, e.EffectiveAt)
	}
	rests, err := t.late(ctx, d)
	if err != nil || rests || !t.rung().Before(d.DueBy()) {
		return err
	}
	return t.ring(ctx, e, d.DueBy())
}

// rung is the time by which a case is told of: ours, or that at which the broker gave its clock back if ours is behind it.
// Nothing is done by it but telling, so that the broker is believed: asked for the same time again, it gives it back at
// once, again and again.
func (t *turn) rung() time.Time {
	if now := t.now(); !t.fired.After(now) {
		return now
	}
	return t.fired
}

// late says that a case nears, or missed, the time in which it was to be verified, unless it is. It stands in the
// case's own record, and whoever subscribes hears of it by that. It reports whether the case is at rest.
func (t *turn) late(ctx context.Context, d Decision) (rests bool, err error) {
	missed := !t.rung().Before(d.DueBy())
	if d.DueBy().IsZero() || t.rung().Before(d.near()) {
		return false, nil
	}
	prev, err := t.Ledger.Last(ctx, ledger.LifecycleSubject(d.Case))
	if err != nil || prev.State == "" {
		return false, err
	}
	if prev.State == ledger.Closed || prev.State == ledger.ClosedWithResidual {
		rests = true
		if after, err := t.endedAfter(ctx, d, prev); err != nil || !after {
			return rests, err
		}
	}
	life, err := prev.Life()
	if told := life.Late; err != nil || told != nil && (told.Missed || !missed) {
		return rests, err
	}
	life.Late = &ledger.Late{Said: t.attempt, Due: d.DueBy(), Missed: missed}
	if _, err := t.writeLife(ctx, prev, d.Case, prev.State, prev.Reason, life); err != nil {
		return rests, err
	}
	// Dying here: it is told. The message comes again, finds that, and winds the clock on.
	t.warn("the case is not verified: its time of " + time.Duration(d.SLA).String() + map[bool]string{true: " is over", false: " is nearly over"}[missed])
	t.note(slog.String("state", string(prev.State)), slog.Time("due", d.DueBy()))
	if t.Late != nil {
		t.Late(d.Class, missed)
	}
	return rests, nil
}

// endedAfter reports whether a closed case, whose own last record is life, was done when its time was over. The clock
// may come late: a plan that was held for longer than its time goes on, and is done, before anybody can tell.
func (t *turn) endedAfter(ctx context.Context, d Decision, life ledger.Record) (bool, error) {
	if !life.Time.After(d.DueBy()) {
		return false, nil
	}
	for _, a := range d.Actions {
		rec, err := t.Ledger.Last(ctx, ledger.ActionSubject(d.Case, a.ID))
		if err != nil || rec.Proven().After(d.DueBy()) {
			return err == nil, err
		}
	}
	return false, nil
}
