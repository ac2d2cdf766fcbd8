package planner_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/stream"
)

// broker is what the streams hold besides the ledger.
type broker struct {
	actions   []events.Action
	seen      map[string]bool // message ids of actions
	scheduled map[string]events.Event
	letters   map[string]events.DeadLetter
	visits    map[string]events.Action // looks to come, by action
}

func (b broker) clone() broker {
	return broker{slices.Clone(b.actions), maps.Clone(b.seen), maps.Clone(b.scheduled), maps.Clone(b.letters), maps.Clone(b.visits)}
}

// mode is what strikes a write.
type mode int

const (
	none    mode = iota
	before       // dies before it
	behind       // dies after it
	cut          // power is lost after it
	cutOnly      // power is lost after it, and only the ledger was not on disk
	cutRest      // power is lost after it, and all but the ledger was not on disk
	lost         // it is stored, and its answer is lost
	refused      // it is not stored, and its writer lives
)

var modes = []mode{before, behind, cut, cutOnly, cutRest, lost, refused}

// crash is what a death panics with.
type crash struct{}

var errBroker = errors.New("broker away")

// strikeBefore and strikeAfter enclose every write of a planner.
func (w *world) strikeBefore(name string) error {
	if !w.armed {
		return nil
	}
	if meet := w.meet; meet != nil && w.step == w.meetAt {
		w.meet, w.armed = nil, false
		meet()
		w.armed = true
	}
	w.fault = w.faults[w.step]
	w.step++
	w.steps = append(w.steps, name)
	switch w.fault {
	case before:
		panic(crash{})
	case refused:
		return errBroker
	}
	return nil
}

func (w *world) strikeAfter() error {
	if !w.armed {
		return nil
	}
	switch w.fault {
	case behind:
		panic(crash{})
	case cut, cutOnly, cutRest:
		if w.fault != cutRest {
			w.log.PowerCut()
		}
		if w.fault != cutOnly {
			w.now = w.disk.clone()
		}
		panic(crash{})
	case lost:
		return errBroker
	}
	return nil
}

// write is a write to anything but the ledger.
func (w *world) write(name string, do func()) error {
	if err := w.strikeBefore(name); err != nil {
		return err
	}
	w.mu.Lock()
	do()
	w.mu.Unlock()
	return w.strikeAfter()
}

func (w *world) PublishAction(_ context.Context, a events.Action) error {
	return w.write("publish "+a.ID, func() {
		id := fmt.Sprintf("%s.r%d", a.ID, a.Redrive)
		if w.now.seen[id] {
			return
		}
		w.now.seen[id] = true
		w.now.actions = append(w.now.actions, a)
	})
}

func (w *world) PublishLater(_ context.Context, a events.Action, _ time.Time) error {
	return w.write("later "+a.ID, func() { w.now.visits[a.ID] = a })
}

func (w *world) Barrier(context.Context) error {
	return w.write("barrier", func() {
		w.log.Barrier()
		w.disk = w.now.clone()
	})
}

func (w *world) Schedule(_ context.Context, e events.Event) error {
	return w.write("schedule "+e.Case(), func() { w.now.scheduled[e.Case()] = e })
}

func (w *world) Unschedule(_ context.Context, caseID string) error {
	return w.write("unschedule "+caseID, func() { delete(w.now.scheduled, caseID) })
}

func (w *world) Bury(_ context.Context, d events.DeadLetter) error {
	return w.write("bury "+d.ID, func() { w.now.letters[d.ID] = d })
}

func (w *world) Unbury(_ context.Context, id string) error {
	return w.write("unbury "+id, func() { delete(w.now.letters, id) })
}

func (w *world) Exhume(_ context.Context, id string, died time.Time) error {
	return w.write("exhume "+id, func() {
		if w.now.letters[id].Time.Equal(died) {
			delete(w.now.letters, id)
		}
	})
}

func (w *world) DeadLetter(_ context.Context, id string) (events.DeadLetter, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	d, ok := w.now.letters[id]
	if !ok {
		return d, stream.ErrNotFound
	}
	return d, nil
}
