package stream_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/stream"
	"keyturn/internal/stream/embedded"
)

// early is how much before its time a message may come. The server fires by its own clock, which is ours here.
const early = 50 * time.Millisecond

func TestAScheduledEventComesWhenItIsDue(t *testing.T) {
	t.Parallel()
	bus := connect(t, start(t, embedded.Options{}))
	e := event("1")
	e.EffectiveAt = time.Now().Add(1300 * time.Millisecond)
	if err := bus.Schedule(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	m := take(t, bus, stream.DueOf(events.Normal), 1, nil)[0]
	if d := time.Until(e.EffectiveAt); d > early {
		t.Errorf("came %s early", d)
	}
	back, err := events.Unmarshal(m.Data)
	if err != nil || back.Case() != e.Case() {
		t.Errorf("got %+v, %v", back, err)
	}
	none(t, bus, stream.DueOf(events.Normal), 100*time.Millisecond)
}

func TestAScheduleIsReplacedAndCancelled(t *testing.T) {
	t.Parallel()
	bus := connect(t, start(t, embedded.Options{}))
	replaced, cancelled := event("replaced"), event("cancelled")
	replaced.EffectiveAt = time.Now().Add(time.Hour)
	cancelled.EffectiveAt = time.Now().Add(500 * time.Millisecond)
	for _, e := range []events.Event{replaced, cancelled} {
		if err := bus.Schedule(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // the second finds nothing, and that is no error
		if err := bus.Unschedule(t.Context(), cancelled.Case()); err != nil {
			t.Fatal(err)
		}
	}
	replaced.EffectiveAt = time.Now().Add(1500 * time.Millisecond)
	if err := bus.Schedule(t.Context(), replaced); err != nil {
		t.Fatal(err)
	}
	m := take(t, bus, stream.DueOf(events.Normal), 1, nil)[0]
	if back, err := events.Unmarshal(m.Data); err != nil || back.ID != "replaced" {
		t.Errorf("got %+v, %v", back, err)
	}
	none(t, bus, stream.DueOf(events.Normal), 100*time.Millisecond)
}

func TestWhatIsOverdueComesAtOnceAlsoAfterARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	srv := start(t, embedded.Options{Dir: dir})
	bus := connect(t, srv)
	e := event("1")
	e.EffectiveAt = time.Now().Add(time.Second)
	if err := bus.Schedule(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	_ = bus.Close(t.Context())
	if err := srv.Kill(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Until(e.EffectiveAt)) // while nobody is there
	bus = connect(t, start(t, embedded.Options{Dir: dir}))
	take(t, bus, stream.DueOf(events.Normal), 1, nil)
	none(t, bus, stream.DueOf(events.Normal), 100*time.Millisecond)
}

// Dates that are years ahead, up to the last that an event may have, wait through a restart.
func TestWhatIsYearsAheadWaits(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	srv := start(t, embedded.Options{Dir: dir})
	bus := connect(t, srv)
	far := []time.Time{time.Now().AddDate(1, 1, 0), time.Now().AddDate(30, 0, 0), time.Date(events.LastYear, 12, 31, 23, 59, 59, 999999999, time.UTC)}
	for i, at := range far {
		e := event(fmt.Sprint(i))
		e.EffectiveAt = at
		if err := bus.Schedule(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	none(t, bus, stream.DueOf(events.Normal), 1200*time.Millisecond) // more than one look of the server's
	_ = bus.Close(t.Context())
	if err := srv.Kill(); err != nil {
		t.Fatal(err)
	}
	bus = connect(t, start(t, embedded.Options{Dir: dir}))
	sooner := event("1")
	sooner.EffectiveAt = time.Now().Add(500 * time.Millisecond)
	if err := bus.Schedule(t.Context(), sooner); err != nil {
		t.Fatal(err)
	}
	m := take(t, bus, stream.DueOf(events.Normal), 1, nil)[0]
	if back, err := events.Unmarshal(m.Data); err != nil || back.ID != "1" {
		t.Errorf("came: %+v, %v", back, err)
	}
	none(t, bus, stream.DueOf(events.Normal), 1200*time.Millisecond)
}

func TestALaterActionIsKeptByTheJanitor(t *testing.T) {
	srv := start(t, embedded.Options{})
	bus := connect(t, srv)
	c := stream.ActionsOf("okta-prod", events.Normal)
	for i := range 10 {
		if err := bus.PublishAction(t.Context(), action(fmt.Sprint("case", i))); err != nil {
			t.Fatal(err)
		}
	}
	// The first two wait for later, the next six are done, two are not asked for yet.
	n := 0
	take(t, bus, c, 8, func(context.Context, *stream.Message) events.Outcome {
		if n++; n <= 2 {
			return events.Outcome{Delay: time.Hour}
		}
		return events.Outcome{Verdict: events.Done}
	})
	until(t, "the acknowledgements", func() bool { return inHand(t, bus, c) == 0 })
	for range 2 {
		if err := bus.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := count(t, srv, "ACTIONS"); got != 4 {
		t.Errorf("%d messages left, want 2 later and 2 to do", got)
	}
	take(t, bus, c, 2, nil)
	none(t, bus, c, 50*time.Millisecond)
}

// A visit waits for its action, once whatever is asked for, through a restart; one that is overdue comes at once.
func TestAVisitComesWhenItIsDue(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	srv := start(t, embedded.Options{Dir: dir})
	bus := connect(t, srv)
	c := stream.ActionsOf("okta-prod", events.Normal)
	later := func(id string, at time.Time) {
		a := action(id)
		a.Visit = &events.Visit{At: at, Kind: events.VisitRecheck}
		for range 2 {
			if err := bus.PublishLater(t.Context(), a, at); err != nil {
				t.Fatal(err)
			}
		}
	}
	at := time.Now().Add(1200 * time.Millisecond).UTC()
	later("case1", time.Now().Add(time.Hour))
	later("case1", at)
	later("case2", time.Now().Add(-time.Hour))
	if err := bus.Barrier(t.Context()); err != nil {
		t.Fatal(err)
	}
	_ = bus.Close(t.Context())
	if err := srv.Kill(); err != nil {
		t.Fatal(err)
	}
	bus = connect(t, start(t, embedded.Options{Dir: dir}))
	var got []events.Action
	for _, m := range take(t, bus, c, 2, nil) {
		var a events.Action
		if err := json.Unmarshal(m.Data, &a); err != nil || a.Visit == nil || !m.Waited {
			t.Fatalf("%s: waited %t: %v", m.Data, m.Waited, err)
		}
		got = append(got, a)
	}
	if got[0].ID != action("case2").ID || got[1].ID != action("case1").ID || !got[1].Visit.At.Equal(at) || time.Until(at) > early {
		t.Errorf("came: %+v", got)
	}
	none(t, bus, c, 100*time.Millisecond)
}

func TestADeadLetterIsKeptUntilAPersonActs(t *testing.T) {
	bus := connect(t, start(t, embedded.Options{}))
	letters := []events.DeadLetter{
		{ID: action("case1").ID, Kind: events.DeadAction, Connection: "okta-prod", Cause: "permanent", Status: 404},
		{ID: "case2", Kind: events.DeadConflict, Source: "hr"},
		{ID: "f1", Kind: events.DeadFault, Source: "hr", Cause: "mapping"},
		{ID: "f2", Kind: events.DeadFault, Source: "hr", Cause: "mapping"},
	}
	for range 2 {
		for _, d := range letters {
			if err := bus.Bury(t.Context(), d); err != nil {
				t.Fatal(err)
			}
		}
	}
	list := func() (ids []string) {
		err := bus.DeadLetters(t.Context(), func(d events.DeadLetter) error { ids = append(ids, d.ID); return nil })
		if err != nil {
			t.Fatal(err)
		}
		return ids
	}
	if got := list(); len(got) != len(letters) {
		t.Errorf("got %v", got)
	}
	for i, want := range letters {
		got, err := bus.DeadLetter(t.Context(), want.ID)
		a, _ := json.Marshal(got)
		b, _ := json.Marshal(want)
		if err != nil || string(a) != string(b) {
			t.Errorf("got %s, %v, want %s", a, err, b)
		}
		for range 2 {
			if err := bus.Unbury(t.Context(), want.ID); err != nil {
				t.Fatal(err)
			}
		}
		if got := list(); len(got) != len(letters)-i-1 {
			t.Errorf("after %s: %v", want.ID, got)
		}
	}
	if err := bus.Bury(t.Context(), events.DeadLetter{ID: "1", Kind: "lost"}); err == nil {
		t.Error("buried a kind that is none")
	}
}

// TestOneDeathsLetterGoes: a redrive of one death takes its letter and no other, also when the action dies again between
// the look at the letter and its removal.
func TestOneDeathsLetterGoes(t *testing.T) {
	first := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	letter := events.DeadLetter{ID: "a-1", Kind: events.DeadAction, Connection: "okta-prod", Time: first}
	again := letter
	again.Time = first.Add(time.Nanosecond)
	var bus *stream.Bus
	var meanwhile []events.DeadLetter
	bus = connect(t, start(t, embedded.Options{}), func(o *stream.Options) {
		o.Fault = func(ctx context.Context, op stream.Op, _ string, persisted bool) error {
			if op != stream.OpPurge || persisted || len(meanwhile) == 0 {
				return nil
			}
			d := meanwhile[0]
			meanwhile = meanwhile[1:]
			return bus.Bury(ctx, d)
		}
	})
	bury := func(d events.DeadLetter) {
		if err := bus.Bury(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	stands := func(what string, err error, want time.Time) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		got, err := bus.DeadLetter(t.Context(), letter.ID)
		if want.IsZero() && !errors.Is(err, stream.ErrNotFound) || !want.IsZero() && (err != nil || !got.Time.Equal(want)) {
			t.Errorf("%s: letter of %s, %v", what, got.Time, err)
		}
	}
	stands("none is there", bus.Exhume(t.Context(), letter.ID, first), time.Time{})
	bury(letter)
	meanwhile = []events.DeadLetter{again}
	stands("it dies again meanwhile", bus.Exhume(t.Context(), letter.ID, first), again.Time)
	stands("a repeat", bus.Exhume(t.Context(), letter.ID, first), again.Time)
	bury(letter)
	meanwhile = []events.DeadLetter{again}
	stands("unburied meanwhile", bus.Unbury(t.Context(), letter.ID), again.Time)
	stands("the second death", bus.Exhume(t.Context(), letter.ID, again.Time), time.Time{})
}

// TestLaterIsToldByTheBrokersClock: an action that a worker puts off comes back when it said, whatever time it is there.
func TestLaterIsToldByTheBrokersClock(t *testing.T) {
	srv := start(t, embedded.Options{})
	for _, off := range []time.Duration{24 * time.Hour, -24 * time.Hour} {
		bus := connect(t, srv, func(o *stream.Options) { o.Clock = func() time.Time { return time.Now().Add(off) } })
		if err := bus.CheckTopology(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := bus.ClockOff(); (got - off).Abs() > time.Minute {
			t.Errorf("off by %s, want %s", got, off)
		}
		a := action("case" + fmt.Sprint(off > 0))
		if err := bus.PublishAction(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		want := time.Now().Add(2 * time.Hour)
		take(t, bus, stream.ActionsOf(a.Connection, a.Class), 1, func(context.Context, *stream.Message) events.Outcome {
			return events.Outcome{Delay: 2 * time.Hour}
		})
		s, err := client(t, "", within(srv)...).Stream(t.Context(), "ACTIONS")
		if err != nil {
			t.Fatal(err)
		}
		m, err := s.GetLastMsgForSubject(t.Context(), "later.>")
		if err != nil {
			t.Fatal(err)
		}
		at, err := time.Parse("@at "+time.RFC3339Nano, m.Header.Get("Nats-Schedule"))
		if err != nil || at.Sub(want).Abs() > time.Minute {
			t.Errorf("a clock that is off by %s: comes back at %s, want %s; %v", off, at, want, err)
		}
	}
}
