package planner

import (
	"context"
	"log/slog"

	"keyturn/internal/events"
)

// Fault keeps a delivery that could not be mapped for a person.
func (p *Planner) Fault(ctx context.Context, f events.Fault) events.Outcome {
	t := p.turn()
	return p.work(ctx, "fault", t, func() error {
		t.alert = "a delivery could not be mapped: " + f.Error
		t.note(slog.String("fault", f.ID), slog.String("source", f.Source))
		// Dying after this: buried twice is buried once.
		return t.Morgue.Bury(ctx, events.DeadLetter{
			ID: f.ID, Kind: events.DeadFault, Source: f.Source, Cause: causeMapping, Error: f.Error, Time: f.Time,
			Suggestion: "mend the mapping of the source and redrive it, or drop it", Original: f.Body,
		})
	})
}
