package stream_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"testing"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/stream"
	"keyturn/internal/stream/embedded"
)

// start runs a server over dir, and stops it with the test.
func start(t testing.TB, opts embedded.Options) *embedded.Server {
	t.Helper()
	if opts.Dir == "" {
		opts.Dir = t.TempDir()
	}
	srv, err := embedded.Start(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = srv.Close() })
	return srv
}

// connect makes a bus over srv with its streams, and closes it with the test. change may alter the options.
func connect(t testing.TB, srv *embedded.Server, change ...func(*stream.Options)) *stream.Bus {
	t.Helper()
	opts := srv.Options()
	opts.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	for _, c := range change {
		c(&opts)
	}
	bus, err := stream.Connect(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = bus.Close(context.Background()) })
	if err := bus.CreateTopology(t.Context()); err != nil {
		t.Fatal(err)
	}
	return bus
}

// event is a sample event with the given id.
func event(id string) events.Event {
	return events.Event{ID: id, Source: "https://hr.acme.example", Type: "dev.keyturn.user.terminated.v1",
		Subject: "user:maria@acme.example", Time: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC), Scope: "hr", Class: events.Normal,
		Data: json.RawMessage(`{"user":{"email":"maria@acme.example"}}`)}
}

// action is a sample action of the given case.
func action(caseID string) events.Action {
	return events.Action{ID: events.ActionID(caseID, "offboard", "suspend"), Case: caseID, Playbook: "offboard",
		Step: "suspend", Do: "okta.suspend_user", Connection: "okta-prod", Class: events.Normal, Target: "user:1"}
}

// take runs the consumer until n messages were settled, and returns them. h answers them; nil is Done.
func take(t testing.TB, bus *stream.Bus, c stream.Consumer, n int, h stream.Handler) []*stream.Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	p, err := bus.Pull(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if h == nil {
		h = func(context.Context, *stream.Message) events.Outcome { return events.Outcome{Verdict: events.Done} }
	}
	var got []*stream.Message
	for len(got) < n {
		m, err := p.Next(ctx)
		if err != nil {
			t.Fatalf("after %d of %d messages: %v", len(got), n, err)
		}
		bus.Handle(ctx, m, h)
		got = append(got, m)
	}
	return got
}

// none fails when the consumer has anything to give within the time.
func none(t testing.TB, bus *stream.Bus, c stream.Consumer, within time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	p, err := bus.Pull(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if m, err := p.Next(ctx); err == nil {
		t.Fatalf("%s gave %s", c, m.Subject)
	}
}

func TestAnEventGoesInAndComesOutOnce(t *testing.T) {
	bus := connect(t, start(t, embedded.Options{}))
	e := event("1")
	for range 3 {
		if err := bus.PublishEvents(t.Context(), []events.Event{e}); err != nil {
			t.Fatal(err)
		}
	}
	got := take(t, bus, stream.EventsOf(events.Normal), 1, nil)
	back, err := events.Unmarshal(got[0].Data)
	if err != nil {
		t.Fatal(err)
	}
	if back.Case() != e.Case() || back.ContentHash() != e.ContentHash() {
		t.Errorf("got %+v, want %+v", back, e)
	}
	if want := "events.normal.user.terminated"; got[0].Subject != want {
		t.Errorf("subject %s, want %s", got[0].Subject, want)
	}
	none(t, bus, stream.EventsOf(events.Normal), 100*time.Millisecond)
}

func TestOtherContentOfOneCaseIsNoDuplicate(t *testing.T) {
	bus := connect(t, start(t, embedded.Options{}))
	a, b := event("1"), event("1")
	b.Data = json.RawMessage(`{"user":{"email":"other@acme.example"}}`)
	if err := bus.PublishEvents(t.Context(), []events.Event{a, b, a}); err != nil {
		t.Fatal(err)
	}
	take(t, bus, stream.EventsOf(events.Normal), 2, nil)
	none(t, bus, stream.EventsOf(events.Normal), 100*time.Millisecond)
}
