package stream_test

import (
	"fmt"
	"testing"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/stream/embedded"
)

// TestHistory: every event that is stored is handed over once, in order, whether its consumer is done with it or not;
// what could not be mapped is not, nor what is older than asked for.
func TestHistory(t *testing.T) {
	b := connect(t, start(t, embedded.Options{Sync: func() error { return nil }}))
	var want []string
	for i := range 150 {
		e := event(fmt.Sprintf("e%03d", i))
		if i%3 == 0 {
			e.Class = events.Urgent
		}
		if err := b.PublishEvents(t.Context(), []events.Event{e}); err != nil {
			t.Fatal(err)
		}
		want = append(want, e.ID)
		if i == 70 {
			if err := b.PublishFault(t.Context(), events.Fault{ID: "f1", Source: "hr-relay", Error: "no such event", Time: time.Now()}); err != nil {
				t.Fatal(err)
			}
		}
	}
	var got []string
	var times []time.Time
	take := func(data []byte, stored time.Time) error {
		e, err := events.Unmarshal(data)
		got, times = append(got, e.ID), append(times, stored)
		return err
	}
	if err := b.History(t.Context(), time.Time{}, take); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %d events, want %d: %v", len(got), len(want), got)
	}
	since := times[100]
	got, times = nil, nil
	if err := b.History(t.Context(), since, take); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(got) != fmt.Sprint(want[100:]) || !times[0].Equal(since) {
		t.Errorf("since the 100th: %d events from %v", len(got), got[:min(3, len(got))])
	}
	if err := b.History(t.Context(), time.Now().Add(time.Hour), func([]byte, time.Time) error { t.Error("an event of the future"); return nil }); err != nil {
		t.Error(err)
	}
}
