package planner_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
)

// PublishEvents stores events as the intake does. They are on disk when it returns nil.
func (w *world) PublishEvents(_ context.Context, list []events.Event) error {
	return w.write("publish events", func() {
		for _, e := range list {
			w.inbox = append(w.inbox, &mail{kind: "event", event: w.overWire(e), stored: w.clock})
		}
	})
}

// errUnmended is what a mapping says that was not mended.
var errUnmended = errors.New("is in none of the formats")

// Wherever everything dies: a delivery that could not be mapped waits until its mapping is mended, and is then the case
// that it would have been. Nothing of it is lost, and none of it happens twice.
func TestRedriveMapsAgainAnywhere(t *testing.T) {
	explore(t, scenario{"mapped again", func(w *world) {
		e := w.happening("user.terminated", "1", "maria", w.clock, time.Time{})
		mended := false
		w.remap = func(source string, kept json.RawMessage, received time.Time) ([]events.Event, json.RawMessage, error) {
			if source != "hr-relay" || string(kept) != `{"body":1}` || !received.Equal(begin) {
				w.t.Errorf("asked to map %s of %s at %s", kept, source, received)
			}
			if !mended {
				return nil, nil, errUnmended
			}
			return []events.Event{e}, nil, nil
		}
		w.send(events.Fault{ID: "f1", Source: "hr-relay", Error: "odd", Time: begin, Body: json.RawMessage(`{"body":1}`)})
		w.settle()
		w.wantRest("f1")
		w.send(w.command("c1", events.RedriveVerb, "f1", "ann"))
		w.settle()
		w.wantRest("f1")
		if got := w.receipt("c1").Outcome; got != "still not mapped: "+errUnmended.Error() {
			w.t.Errorf("receipt %q", got)
		}
		mended = true
		w.send(w.command("c2", events.RedriveVerb, "f1", "ann"))
		w.settle()
		w.want("mapped", e.Case(), ledger.Planned, ledger.Closed)
		w.wantDone(both(e.Case())...)
		w.wantRest()
		if got := w.receipt("c2").Outcome; !slices.Contains([]string{"mapped: 1 event", "no dead letter has that id"}, got) {
			w.t.Errorf("receipt %q", got)
		}
	}})
}

// Wherever everything dies: what maps by a mended mapping becomes its case, and the letter stays for the rest alone.
func TestRedriveMapsAPartAnywhere(t *testing.T) {
	explore(t, scenario{"mapped in part", func(w *world) {
		e := w.happening("user.terminated", "1", "maria", w.clock, time.Time{})
		rest := json.RawMessage(`{"body":1,"cases":["given"]}`)
		w.remap = func(_ string, kept json.RawMessage, _ time.Time) ([]events.Event, json.RawMessage, error) {
			if string(kept) == string(rest) {
				return nil, nil, errUnmended
			}
			return []events.Event{e}, rest, errUnmended
		}
		w.send(events.Fault{ID: "f1", Source: "hr-relay", Error: "odd", Time: begin, Body: json.RawMessage(`{"body":1}`)})
		w.settle()
		w.send(w.command("c1", events.RedriveVerb, "f1", "ann"))
		w.settle()
		w.want("mapped in part", e.Case(), ledger.Planned, ledger.Closed)
		w.wantDone(both(e.Case())...)
		w.wantRest("f1")
		still := "still not mapped: " + errUnmended.Error()
		if got := w.receipt("c1").Outcome; !slices.Contains([]string{"mapped: 1 event; " + still, still}, got) {
			w.t.Errorf("receipt %q", got)
		}
	}})
}
