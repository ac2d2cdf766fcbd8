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

// ticks reports whether an event came back because of its case's clock, and not at its effective time.
func (d Decision) ticks(e events.Event) bool {
	return !d.DueBy().IsZero() && (e.EffectiveAt.Equal(d.near()) || e.EffectiveAt.Equal(d.DueBy()))
}

// wind has the event of a plan that goes on come back when its case nears the time in which it is to be verified. A
// plan that goes on needs its place in the timetable for nothing else.
func (t *turn) wind(ctx context.Context, d Decision) error {
	if d.DueBy().IsZero() || len(d.Actions) == 0 {
		return nil
	}
	e := d.Event
	e.EffectiveAt = d.near()
	// Dying before or after it: the message comes again, and so does this. What was told by then is not told again.
	return t.Timetable.Schedule(ctx, e)
}

// tick says that a case nears, or missed, the time in which it was to be verified, unless it is. It stands in the
// case's own record, and whoever subscribes hears of it by that.
func (t *turn) tick(ctx context.Context, e events.Event, d Decision) error {
	if rest := e.EffectiveAt.Sub(t.now()); rest > 0 && rest <= rescheduleAfter {
		t.early = rest
		return nil
	} else if rest > 0 {
		return t.Timetable.Schedule(ctx, e)
	}
	prev, err := t.Ledger.Last(ctx, ledger.LifecycleSubject(d.Case))
	if err != nil || prev.State == ledger.Closed || prev.State == ledger.ClosedWithResidual || prev.State == "" {
		return err
	}
	life, err := prev.Life()
	if err != nil {
		return err
	}
	missed := !t.now().Before(d.DueBy())
	if told := life.Late; told == nil || missed && !told.Missed {
		life.Late = &ledger.Late{Said: t.attempt, Due: d.DueBy(), Missed: missed}
		if err := t.writeLife(ctx, prev, d.Case, prev.State, prev.Reason, life); err != nil {
			return err
		}
		// Dying here: it is told. The message comes again, finds that, and winds the clock on.
		t.warn("the case is not verified: its time of " + time.Duration(d.SLA).String() + map[bool]string{true: " is over", false: " is nearly over"}[missed])
		t.note(slog.String("state", string(prev.State)), slog.Time("due", d.DueBy()))
		if t.Late != nil {
			t.Late(d.Class, missed)
		}
	}
	if missed {
		return nil
	}
	e.EffectiveAt = d.DueBy()
	return t.Timetable.Schedule(ctx, e)
}
