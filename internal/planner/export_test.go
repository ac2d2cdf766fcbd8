package planner

import (
	"context"

	"keyturn/internal/events"
)

// Called is a person as guards count it.
type Called = called

// Identity says whom an event concerns.
func (p *Planner) Identity(ctx context.Context, e events.Event) (Called, error) {
	return p.turn().identity(ctx, e)
}
