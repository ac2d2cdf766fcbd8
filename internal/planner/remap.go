package planner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/stream"
)

// Remap gives the events of a delivery that could not be mapped when it came, by the mapping of now. kept is what the
// intake has kept of it, received when it came. An error says, for a person, why it still cannot be mapped; with a rest,
// that is true of a part of it alone, and the rest is what is kept for that part.
type Remap func(source string, kept json.RawMessage, received time.Time) (list []events.Event, rest json.RawMessage, err error)

// Intake takes events as the intake does: when it returns nil, all of them are on disk and will be planned.
type Intake interface {
	PublishEvents(ctx context.Context, list []events.Event) error
}

// redriveFault maps a delivery again that could not be mapped, after its mapping was mended. Its events go the way of
// any other: those that the delivery gave when it came are the same cases. What still cannot be mapped of it stays a dead
// letter, which keeps none of the others from happening.
func (t *turn) redriveFault(ctx context.Context, c events.Command, letter events.DeadLetter) (string, error) {
	if t.Remap == nil || t.Intake == nil {
		return "no worker here can map a delivery again: have its source send it again", nil
	}
	list, rest, faulty := t.Remap(letter.Source, letter.Original, letter.Time)
	if faulty != nil && len(rest) == 0 {
		return "still not mapped: " + faulty.Error(), nil
	}
	t.note(slog.String("source", letter.Source), slog.Int("events", len(list)))
	if len(list) > 0 {
		switch err := t.Intake.PublishEvents(ctx, list); {
		case errors.Is(err, stream.ErrTooLarge): // nothing was stored, and nothing will be
			return "still not taken: " + err.Error(), nil
		case err != nil:
			return "", err
		}
	}
	// Dying here: the events are on disk and the letter still stands; the command comes again, and so do the same events.
	if faulty != nil {
		letter.Original, letter.Error = rest, faulty.Error()
		return "mapped: " + count(len(list)) + "; still not mapped: " + faulty.Error(), t.Morgue.Bury(ctx, letter)
	}
	return "mapped: " + count(len(list)), t.Morgue.Unbury(ctx, c.Target)
}

// count says how many events there are, for a person.
func count(n int) string {
	switch n {
	case 0:
		return "it makes no event now"
	case 1:
		return "1 event"
	}
	return fmt.Sprintf("%d events", n)
}
