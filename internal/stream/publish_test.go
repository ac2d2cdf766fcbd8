package stream_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/prometheus/client_golang/prometheus"

	"keyturn/internal/events"
	"keyturn/internal/stream"
	"keyturn/internal/stream/embedded"
)

func TestAFullStoreRefusesAndLosesNothing(t *testing.T) {
	srv := start(t, embedded.Options{})
	bus := connect(t, srv, func(o *stream.Options) { o.EventBytes = 64 << 10 })
	var stored int
	var err error
	for i := range 1000 {
		if err = bus.PublishEvents(t.Context(), []events.Event{event(fmt.Sprint(i))}); err != nil {
			break
		}
		stored++
	}
	if !errors.Is(err, stream.ErrUnavailable) || stream.RetryAfter(err) < time.Minute {
		t.Fatalf("after %d events: %v, retry after %s", stored, err, stream.RetryAfter(err))
	}
	if err := bus.Ready(t.Context()); !errors.Is(err, stream.ErrUnavailable) || !strings.Contains(err.Error(), "full: ") {
		t.Errorf("full, and says of it: %v", err)
	}
	take(t, bus, stream.EventsOf(events.Normal), stored, nil)
	connect(t, srv, func(o *stream.Options) { o.EventBytes = 128 << 10 })
	if err := bus.PublishEvents(t.Context(), []events.Event{event("more")}); err != nil {
		t.Fatal(err)
	}
	if err := bus.Ready(t.Context()); err != nil {
		t.Errorf("with room again: %v", err)
	}
}

// TestEventsThatFillTheirRoomAreToldOfBeforeTheyHave: once, while there is time to give them more, and no more after that.
func TestEventsThatFillTheirRoomAreToldOfBeforeTheyHave(t *testing.T) {
	srv := start(t, embedded.Options{})
	var log bytes.Buffer
	gauges := prometheus.NewRegistry()
	bus := connect(t, srv, func(o *stream.Options) {
		o.EventBytes, o.Metrics, o.Log = 64<<10, gauges, slog.New(slog.NewTextHandler(&log, nil))
	})
	look := func(bus *stream.Bus) string {
		t.Helper()
		if err := bus.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		return bus.Filling()
	}
	stored := 0
	for said := look(bus); said == ""; said = look(bus) {
		if err := bus.PublishEvents(t.Context(), []events.Event{event(fmt.Sprint(stored))}); err != nil {
			t.Fatalf("full after %d events, and never told: %v", stored, err)
		}
		stored++
	}
	if said := look(bus); !strings.Contains(said, "fill 80 % of their room") || strings.Count(log.String(), "KEYTURN_STORE_MAX_BYTES") != 1 {
		t.Errorf("after %d events %q, and the log %s", stored, said, &log)
	}
	families, err := gauges.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if got := f.GetMetric()[0].GetGauge().GetValue(); f.GetName() == "keyturn_stream_events_filled_ratio" && (got < .8 || got > .9) {
			t.Errorf("metric %v", got)
		}
	}
	more := connect(t, srv, func(o *stream.Options) { o.EventBytes = 128 << 10 })
	for _, b := range []*stream.Bus{bus, more} {
		if said := look(b); said != "" {
			t.Errorf("with room again: %s", said)
		}
	}
}

func TestAnEventThatIsTooLargeIsNotStoredAndNeitherIsItsBatch(t *testing.T) {
	bus := connect(t, start(t, embedded.Options{}))
	big := event("big")
	data, err := json.Marshal(map[string]string{"reason": strings.Repeat("x", stream.MaxEvent)})
	if err != nil {
		t.Fatal(err)
	}
	big.Data = data
	err = bus.PublishEvents(t.Context(), []events.Event{event("1"), big})
	if !errors.Is(err, stream.ErrTooLarge) || errors.Is(err, stream.ErrUnavailable) {
		t.Fatal(err)
	}
	none(t, bus, stream.EventsOf(events.Normal), 100*time.Millisecond)
}

func TestAfterALostAcknowledgementTheResendIsTheSameEvent(t *testing.T) {
	var lose atomic.Bool
	lose.Store(true)
	lost := errors.New("acknowledgement lost")
	bus := connect(t, start(t, embedded.Options{}), func(o *stream.Options) {
		o.Fault = func(_ context.Context, op stream.Op, _ string, persisted bool) error {
			if op == stream.OpEvent && persisted && lose.Swap(false) {
				return lost
			}
			return nil
		}
	})
	batch := []events.Event{event("1"), event("2")}
	if err := bus.PublishEvents(t.Context(), batch); !errors.Is(err, lost) || !errors.Is(err, stream.ErrUnavailable) {
		t.Fatal(err)
	}
	if err := bus.PublishEvents(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	take(t, bus, stream.EventsOf(events.Normal), 2, nil)
	none(t, bus, stream.EventsOf(events.Normal), 100*time.Millisecond)
}

func TestAServerThatIsAwayIsUnavailableAndComesBack(t *testing.T) {
	dir := t.TempDir()
	srv := start(t, embedded.Options{Dir: dir})
	bus := connect(t, srv)
	if err := srv.Close(); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	err := bus.PublishEvents(t.Context(), []events.Event{event("1")})
	if !errors.Is(err, stream.ErrUnavailable) || stream.RetryAfter(err) <= 0 {
		t.Fatalf("got %v", err)
	}
	if d := time.Since(begun); d > 5*time.Second {
		t.Errorf("said so after %s", d)
	}
	if err := bus.Ready(t.Context()); !errors.Is(err, stream.ErrUnavailable) {
		t.Errorf("ready: %v", err)
	}
}

func TestATcpConnectionReconnectsAndConsumesOn(t *testing.T) {
	dir := t.TempDir()
	srv := start(t, embedded.Options{Dir: dir, Listen: true, Durability: stream.Always})
	opts, err := embedded.Find(dir)
	if err != nil {
		t.Fatal(err)
	}
	proxy := newProxy(t, opts.URL)
	opts.URL = proxy.url()
	bus, err := stream.Connect(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	defer bus.Close(context.Background())
	if err := bus.CreateTopology(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := make(chan string, 10)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		done <- bus.Consume(ctx, stream.EventsOf(events.Normal), 2, func(_ context.Context, m *stream.Message) events.Outcome {
			e, _ := events.Unmarshal(m.Data)
			got <- e.ID
			return events.Outcome{Verdict: events.Done}
		})
	}()
	for i := range 3 {
		id := fmt.Sprint(i)
		until(t, "a publish of event "+id, func() bool {
			return bus.PublishEvents(t.Context(), []events.Event{event(id)}) == nil
		})
		if have := <-got; have != id {
			t.Errorf("got event %s, want %s", have, id)
		}
		proxy.cut()
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	_ = srv
}

func TestAServerThatRestartsIsFoundAgain(t *testing.T) {
	dir := t.TempDir()
	port := server.RANDOM_PORT
	run := func() *server.Server {
		return external(t, func(o *server.Options) { o.StoreDir, o.Port, o.SyncAlways = dir, port, true })
	}
	s := run()
	port = s.Addr().(*net.TCPAddr).Port
	bus, err := stream.Connect(t.Context(), stream.Options{URL: s.ClientURL(), AssertDurable: true})
	if err != nil {
		t.Fatal(err)
	}
	defer bus.Close(context.Background())
	if err := bus.CreateTopology(t.Context()); err != nil {
		t.Fatal(err)
	}
	p, err := bus.Pull(t.Context(), stream.EventsOf(events.Normal))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for i := range 2 {
		id := fmt.Sprint(i)
		until(t, "a publish of event "+id, func() bool {
			return bus.PublishEvents(t.Context(), []events.Event{event(id)}) == nil
		})
		m, err := p.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		bus.Handle(t.Context(), m, func(context.Context, *stream.Message) events.Outcome {
			return events.Outcome{Verdict: events.Done}
		})
		if i > 0 {
			break
		}
		s.Shutdown()
		s.WaitForShutdown()
		if err := bus.PublishEvents(t.Context(), []events.Event{event("away")}); !errors.Is(err, stream.ErrUnavailable) {
			t.Errorf("while it was away: %v", err)
		}
		s = run()
	}
}

func TestFaultsAndCommandsTravel(t *testing.T) {
	bus := connect(t, start(t, embedded.Options{}))
	for range 2 {
		if err := bus.PublishFault(t.Context(), events.Fault{ID: "f1", Source: "hr", Error: "no user"}); err != nil {
			t.Fatal(err)
		}
		if err := bus.PublishCommand(t.Context(), events.Command{ID: "c1", Verb: events.Approve, Target: "case1"}); err != nil {
			t.Fatal(err)
		}
	}
	if m := take(t, bus, stream.Faults(), 1, nil)[0]; m.Subject != "events.fault.hr" {
		t.Error(m.Subject)
	}
	if m := take(t, bus, stream.Commands(), 1, nil)[0]; m.Subject != "commands.approve.c1" {
		t.Error(m.Subject)
	}
	none(t, bus, stream.Faults(), 50*time.Millisecond)
	none(t, bus, stream.Commands(), 50*time.Millisecond)
}

func TestARedrivenActionGoesOutAgain(t *testing.T) {
	bus := connect(t, start(t, embedded.Options{}))
	a := action("case1")
	for _, redrive := range []int{0, 0, 1, 1, 2} {
		a.Redrive = redrive
		if err := bus.PublishAction(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	got := take(t, bus, stream.ActionsOf("okta-prod", events.Normal), 3, nil)
	for i, m := range got {
		var back events.Action
		if err := json.Unmarshal(m.Data, &back); err != nil || back.Redrive != i || back.ID != a.ID {
			t.Errorf("message %d: %+v, %v", i, back, err)
		}
	}
	none(t, bus, stream.ActionsOf("okta-prod", events.Normal), 50*time.Millisecond)
}

func TestAfterAnUncleanStopADuplicateIsStoredAgain(t *testing.T) {
	dir := t.TempDir()
	srv := start(t, embedded.Options{Dir: dir})
	bus := connect(t, srv)
	e := event("1")
	if err := bus.PublishEvents(t.Context(), []events.Event{e}); err != nil {
		t.Fatal(err)
	}
	_ = bus.Close(t.Context())
	if err := srv.Kill(); err != nil {
		t.Fatal(err)
	}
	srv = start(t, embedded.Options{Dir: dir})
	bus = connect(t, srv)
	for range 3 { // the resends of the new copy are duplicates again
		if err := bus.PublishEvents(t.Context(), []events.Event{e, event("2")}); err != nil {
			t.Fatal(err)
		}
	}
	take(t, bus, stream.EventsOf(events.Normal), 3, nil) // 1, its second copy, and 2
	none(t, bus, stream.EventsOf(events.Normal), 50*time.Millisecond)
	_ = bus.Close(t.Context())
	if err := srv.Close(); err != nil {
		t.Fatal(err)
	}
	bus = connect(t, start(t, embedded.Options{Dir: dir})) // after a clean stop a duplicate is one
	if err := bus.PublishEvents(t.Context(), []events.Event{e}); err != nil {
		t.Fatal(err)
	}
	none(t, bus, stream.EventsOf(events.Normal), 50*time.Millisecond)
}

func TestNamesThatAreNoTokensAreRefused(t *testing.T) {
	bus := connect(t, start(t, embedded.Options{}))
	bad := event("1")
	bad.Type = "dev.keyturn.user.*.v1"
	other := action("case1")
	other.Connection = "okta.prod"
	taken := action("case1")
	taken.Connection = "fault"
	for name, err := range map[string]error{
		"event type": bus.PublishEvents(t.Context(), []events.Event{bad}),
		"connection": bus.PublishAction(t.Context(), other),
		"taken":      bus.PublishAction(t.Context(), taken),
		"case":       bus.Unschedule(t.Context(), "a.>"),
		"verb":       bus.PublishCommand(t.Context(), events.Command{ID: "a b", Verb: events.Deny}),
		"source":     bus.PublishFault(t.Context(), events.Fault{ID: "1", Source: ""}),
		"letter":     bus.Unbury(t.Context(), "*"),
	} {
		if err == nil || errors.Is(err, stream.ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAFaultWithATooLargeBodyIsStoredWithoutIt(t *testing.T) {
	bus := connect(t, start(t, embedded.Options{}))
	body, err := json.Marshal(strings.Repeat("x", stream.MaxEvent))
	if err != nil {
		t.Fatal(err)
	}
	if err := bus.PublishFault(t.Context(), events.Fault{ID: "f1", Source: "hr", Error: "no user", Body: body}); err != nil {
		t.Fatal(err)
	}
	var f events.Fault
	if err := json.Unmarshal(take(t, bus, stream.Faults(), 1, nil)[0].Data, &f); err != nil || f.Error != "no user" || f.Body != nil {
		t.Errorf("got %s of %d bytes, %v", f.Error, len(f.Body), err)
	}
}

// TestTheLargestEventComesBackLater: one that the intake just took has grown when it comes back at a time, and is taken.
func TestTheLargestEventComesBackLater(t *testing.T) {
	bus := connect(t, start(t, embedded.Options{}))
	e := event("large")
	wire, err := events.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	e.Data = append(e.Data[:len(e.Data)-1:len(e.Data)-1], `,"x":"`+strings.Repeat("x", stream.MaxEvent-len(wire)-len(`,"x":""`))+`"}`...)
	if wire, err = events.Marshal(e); err != nil || len(wire) != stream.MaxEvent {
		t.Fatalf("%d bytes, %v", len(wire), err)
	}
	if err := bus.PublishEvents(t.Context(), []events.Event{e}); err != nil {
		t.Fatal(err)
	}
	e.EffectiveAt = time.Now().Add(time.Hour)
	if err := bus.Schedule(t.Context(), e); err != nil {
		t.Error(err)
	}
}

// TestALetterIsAlwaysBuried: whatever its size or its source, a person hears of it.
func TestALetterIsAlwaysBuried(t *testing.T) {
	bus := connect(t, start(t, embedded.Options{}))
	original, err := json.Marshal(strings.Repeat("x", 5<<20))
	if err != nil {
		t.Fatal(err)
	}
	for id, d := range map[string]events.DeadLetter{
		"large": {ID: "large", Kind: events.DeadFault, Source: "hr", Original: original},
		"whose": {ID: "whose", Kind: events.DeadFault, Original: json.RawMessage("{}")},
	} {
		if err := bus.Bury(t.Context(), d); err != nil {
			t.Errorf("%s: %v", id, err)
		}
		kept, err := bus.DeadLetter(t.Context(), id)
		if err != nil || (kept.Original == nil) != (id == "large") || (kept.Error == "") != (id != "large") {
			t.Errorf("%s: %v, %s, %d bytes", id, err, kept.Error, len(kept.Original))
		}
	}
}
