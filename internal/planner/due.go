package planner

import (
	"context"
	"log/slog"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
)

// Due works off an event that came back at its effective time. Its case is planned now, by the playbooks and the
// guards of this day, if it still waits. One that comes early is given back for the rest of the time.
func (p *Planner) Due(ctx context.Context, e events.Event, stored time.Time) events.Outcome {
	t := p.turn()
	return p.work(ctx, "due", t, func() error { return t.due(ctx, e, stored) })
}

// rescheduleAfter is how early an event must come back to be scheduled anew instead of being given back for the rest.
const rescheduleAfter = 30 * time.Second

// pace is how long an event is put off at least that is not due by our clock and is by the broker's: whose clock is behind
// would get it back at once, again and again, and each copy is kept for a month.
const pace = time.Minute

// comeBack has an event come back at a time, and not at once if that is still to come by our clock.
func (t *turn) comeBack(ctx context.Context, e events.Event, at time.Time) error {
	if rest := at.Sub(t.come()); rest > 0 && !at.After(t.fired) {
		at = t.fired.Add(min(rest, pace))
	}
	e.EffectiveAt = at
	return t.Timetable.Schedule(ctx, e)
}

func (t *turn) due(ctx context.Context, e events.Event, stored time.Time) error {
	t.fired = stored
	t.note(slog.String("case", e.Case()), slog.String("event", e.Name()), slog.String("principal", e.Subject))
	rec, d, err := t.plan(ctx, e.Case())
	if err != nil {
		return err
	}
	if rec.Seq == 0 {
		// A power cut took the plan and left the schedule. The event's own message was not acknowledged and comes again;
		// whoever is first decides.
		return t.event(ctx, e, stored)
	}
	if rec.State == ledger.Planned && d.ticks(e) {
		return t.tick(ctx, e, d)
	}
	switch rec.State {
	case ledger.Scheduled:
	case ledger.Held:
		if _, err := t.late(ctx, d); err != nil {
			return err
		}
		return t.lapse(ctx, rec, d)
	default:
		t.tell(rec, d)
		if err := t.follow(ctx, rec, d); err != nil {
			return err
		}
		return t.lapsed(ctx, rec, d)
	}
	switch rest := d.EffectiveAt.Sub(t.come()); {
	case rest > rescheduleAfter:
		// Far too early: the timetable cannot tell that time, or a clock stepped. Held here, it would take one of the
		// places of its class until then.
		return t.comeBack(ctx, e, d.EffectiveAt)
	case rest > 0:
		t.early = rest
		return nil
	}
	// It was listed under the person's names before it was scheduled.
	t.listed = d.Case
	return t.decide(ctx, rec, d)
}
