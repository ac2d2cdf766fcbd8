package stream_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/stream"
	"keyturn/internal/stream/embedded"
)

// TestQueuesTellWhatWaits: never delivered, in hand, given back, and away until later; what is done counts nowhere, and a
// look to come at it apart.
func TestQueuesTellWhatWaits(t *testing.T) {
	bus := connect(t, start(t, embedded.Options{}))
	c := stream.ActionsOf("okta-prod", events.Normal)
	if err := bus.Enlist(t.Context(), "okta-prod"); err != nil {
		t.Fatal(err)
	}
	began := time.Now().Add(-time.Second)
	for i := range 10 {
		if err := bus.PublishAction(t.Context(), action(fmt.Sprint("case", i))); err != nil {
			t.Fatal(err)
		}
	}
	outcomes := []events.Outcome{{Delay: time.Hour}, {Delay: 2 * time.Hour}, {Verdict: events.Done}, {Delay: 30 * time.Second}}
	n := 0
	take(t, bus, c, len(outcomes), func(context.Context, *stream.Message) events.Outcome {
		n++
		return outcomes[n-1]
	})
	for i := range 3 { // two of actions that are done, one of an action that waits as well
		a := action(fmt.Sprint("case", []int{0, 2, 20}[i]))
		a.Visit = &events.Visit{At: time.Now().Add(7 * 24 * time.Hour), Kind: events.VisitRecheck}
		if err := bus.PublishLater(t.Context(), a, a.Visit.At); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "the acknowledgements", func() bool { return inHand(t, bus, c) == 1 })
	queues, err := bus.Queues(t.Context(), "okta-prod")
	if err != nil || len(queues) != 3 {
		t.Fatalf("%v, %v", queues, err)
	}
	for i, class := range events.Classes() {
		want := stream.Queue{Connection: "okta-prod", Class: class}
		if class == events.Normal {
			want.Waiting, want.Taken, want.Later, want.Visits, want.Oldest = 6, 1, 2, 3, queues[i].Oldest
			if want.Oldest.Before(began) || want.Oldest.After(time.Now().Add(time.Second)) {
				t.Errorf("oldest from %s", want.Oldest)
			}
		}
		if queues[i] != want {
			t.Errorf("%+v, want %+v", queues[i], want)
		}
	}
	if others, err := bus.Queues(t.Context(), "asa-prod"); err != nil || len(others) != 0 {
		t.Errorf("of a connection that is not there: %v, %v", others, err)
	}
	all, err := bus.Queues(t.Context())
	if err != nil || len(all) != 3 {
		t.Errorf("all: %v, %v", all, err)
	}
}

// TestQueuesWithoutStreams: an operator's tool may be there before any worker was.
func TestQueuesWithoutStreams(t *testing.T) {
	srv := start(t, embedded.Options{})
	bus, err := stream.Connect(t.Context(), srv.Options())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = bus.Close(context.Background()) }()
	if queues, err := bus.Queues(t.Context()); err != nil || queues != nil {
		t.Errorf("%v, %v", queues, err)
	}
}

// TestOldestTellsWhatWaitsLongest: the first event that a planner has not settled, among those of other classes.
func TestOldestTellsWhatWaitsLongest(t *testing.T) {
	bus := connect(t, start(t, embedded.Options{}))
	c := stream.EventsOf(events.Normal)
	var stored []time.Time
	publish := func(id string, class events.Class) {
		e := event(id)
		e.Class = class
		if err := bus.PublishEvents(t.Context(), []events.Event{e}); err != nil {
			t.Fatal(err)
		}
		stored = append(stored, time.Now())
	}
	check := func(when string, from, to time.Time) {
		t.Helper()
		lags, err := bus.Lag(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(lags, func(l stream.Lag) bool { return l.Stream+"/"+l.Consumer == c.String() })
		at, err := bus.Oldest(t.Context(), lags[i])
		if err != nil || at.Before(from) || at.After(to) {
			t.Errorf("%s: the oldest is of %s, want it between %s and %s: %v", when, at, from, to, err)
		}
	}
	began := time.Now()
	check("empty", time.Time{}, time.Time{})
	publish("1", events.Urgent)
	publish("2", events.Normal)
	publish("3", events.Normal)
	publish("4", events.Bulk)
	check("nothing taken", stored[0], stored[1])
	n := 0
	take(t, bus, c, 2, func(context.Context, *stream.Message) events.Outcome {
		if n++; n == 1 {
			return events.Outcome{Delay: 30 * time.Second}
		}
		return events.Outcome{Verdict: events.Done}
	})
	until(t, "the acknowledgement", func() bool { return inHand(t, bus, c) == 1 })
	check("the first one given back", began, stored[1])
}
