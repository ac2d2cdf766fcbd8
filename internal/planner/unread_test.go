package planner_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/planner"
	"keyturn/internal/stream"
)

// TestALetterWithoutItsEvent: a command about it is answered, and does not go round for ever.
func TestALetterWithoutItsEvent(t *testing.T) {
	w := newWorld(t)
	w.rules.fault = errors.New("no such field")
	e := w.happening("user.terminated", "1", "maria", w.clock, time.Time{})
	w.send(e)
	w.settle()
	letter := w.now.letters[e.Case()]
	letter.Original = nil // it was too large
	w.now.letters[e.Case()] = letter
	w.rules.fault = nil
	w.send(w.command("again", events.RedriveVerb, e.Case(), "ann"))
	w.settle()
	if said := w.receipt("again").Outcome; !strings.Contains(said, "have its source send it again") {
		t.Errorf("redrive: %s", said)
	}
	w.send(w.command("off", events.Drop, e.Case(), "ann"))
	w.settle()
	if life := w.state(ledger.LifecycleSubject(e.Case())); life != closed || len(w.now.letters) > 0 {
		t.Errorf("the case is %s, letters %v", life, w.now.letters)
	}
}

// TestAnEventThatGrewTooLarge: a delivery that is mapped again into more than the broker takes is said to the person.
func TestAnEventThatGrewTooLarge(t *testing.T) {
	w := newWorld(t)
	w.remap = func(string, json.RawMessage, time.Time) ([]events.Event, json.RawMessage, error) {
		return []events.Event{w.happening("user.terminated", "1", "maria", w.clock, time.Time{})}, nil, nil
	}
	w.send(events.Fault{ID: "f1", Source: "hr", Error: "no id"})
	w.settle()
	p := w.planner()
	p.Intake = full{}
	if out := p.Command(t.Context(), w.command("again", events.RedriveVerb, "f1", "ann")); out.Verdict != events.Done {
		t.Fatalf("%+v", out)
	}
	if said := w.receipt("again").Outcome; !strings.Contains(said, "too large") {
		t.Error(said)
	}
}

// full takes nothing.
type full struct{ planner.Intake }

func (full) PublishEvents(ctx context.Context, list []events.Event) error {
	return fmt.Errorf("event: %w", stream.ErrTooLarge)
}
