package stream_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"keyturn/internal/events"
	"keyturn/internal/stream"
	"keyturn/internal/stream/embedded"
)

// journal notes the writes of a bus in order.
type journal struct {
	mu   sync.Mutex
	list []string
}

// fault notes what was persisted.
func (j *journal) fault(_ context.Context, op stream.Op, _ string, persisted bool) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if persisted {
		j.list = append(j.list, string(op))
	}
	return nil
}

// since gives what was noted after the first n.
func (j *journal) since(n int) []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.list[n:])
}

// inHand is how many messages of c are delivered and not acknowledged.
func inHand(t testing.TB, bus *stream.Bus, c stream.Consumer) int {
	t.Helper()
	lags, err := bus.Lag(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(lags, func(l stream.Lag) bool { return l.Stream+"/"+l.Consumer == c.String() })
	if i < 0 {
		t.Fatalf("no consumer %s in %+v", c, lags)
	}
	return lags[i].InHand
}

func TestSettleFollowsItsTable(t *testing.T) {
	for _, c := range []struct {
		name    string
		outcome events.Outcome
		command bool // settle a command instead of an action
		writes  []string
		again   bool // comes again soon
	}{
		{"done", events.Outcome{Verdict: events.Done}, false, []string{"barrier", "ack"}, false},
		{"retry soon", events.Outcome{Delay: 20 * time.Millisecond}, false, []string{"nak"}, true},
		{"retry without a delay", events.Outcome{Err: errors.New("no delay")}, false, []string{"nak"}, true},
		{"retry in a minute", events.Outcome{Delay: time.Minute}, false, []string{"nak"}, false},
		{"retry later", events.Outcome{Delay: time.Hour}, false, []string{"later", "barrier", "ack"}, false},
		{"a command later", events.Outcome{Delay: time.Hour}, true, []string{"nak"}, false},
		{"abandon", events.Outcome{Verdict: events.Abandon}, false, nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var j journal
			bus := connect(t, start(t, embedded.Options{}), func(o *stream.Options) { o.Fault = j.fault })
			consumer := stream.ActionsOf("okta-prod", events.Normal)
			var err error
			if c.command {
				consumer, err = stream.Commands(), bus.PublishCommand(t.Context(), events.Command{ID: "1", Verb: events.Deny})
			} else {
				err = bus.PublishAction(t.Context(), action("case1"))
			}
			if err != nil {
				t.Fatal(err)
			}
			before := len(j.since(0))
			take(t, bus, consumer, 1, func(context.Context, *stream.Message) events.Outcome { return c.outcome })
			if got := j.since(before); !slices.Equal(got, c.writes) {
				t.Errorf("wrote %v, want %v", got, c.writes)
			}
			if c.again {
				if m := take(t, bus, consumer, 1, nil)[0]; m.Deliveries != 2 {
					t.Errorf("delivery %d, want 2", m.Deliveries)
				}
				return
			}
			none(t, bus, consumer, 200*time.Millisecond)
		})
	}
}

func TestAFailedBarrierLeavesTheMessage(t *testing.T) {
	var fail atomic.Bool
	broken := errors.New("broken")
	bus := connect(t, start(t, embedded.Options{}), func(o *stream.Options) {
		o.Fault = func(_ context.Context, op stream.Op, _ string, _ bool) error {
			if op == stream.OpBarrier && fail.Load() {
				return broken
			}
			if op == stream.OpAck && fail.Load() {
				t.Error("acknowledged without a barrier")
			}
			return nil
		}
	})
	if err := bus.PublishAction(t.Context(), action("case1")); err != nil {
		t.Fatal(err)
	}
	fail.Store(true)
	take(t, bus, stream.ActionsOf("okta-prod", events.Normal), 1, nil)
	if n := inHand(t, bus, stream.ActionsOf("okta-prod", events.Normal)); n != 1 {
		t.Errorf("%d in hand, want 1", n)
	}
}

func TestADeathInAHandlerLeavesTheMessage(t *testing.T) {
	var died []any
	bus := connect(t, start(t, embedded.Options{}), func(o *stream.Options) {
		o.Rescue = func(v any) { died = append(died, v) }
		o.Fault = func(_ context.Context, op stream.Op, _ string, persisted bool) error {
			if op == stream.OpAck && !persisted && len(died) == 1 {
				panic("in settle")
			}
			return nil
		}
	})
	for _, id := range []string{"1", "2"} {
		if err := bus.PublishAction(t.Context(), action(id)); err != nil {
			t.Fatal(err)
		}
	}
	take(t, bus, stream.ActionsOf("okta-prod", events.Normal), 2, func(_ context.Context, m *stream.Message) events.Outcome {
		if len(died) == 0 {
			panic("in the handler")
		}
		return events.Outcome{Verdict: events.Done}
	})
	if want := []any{"in the handler", "in settle"}; !slices.Equal(died, want) {
		t.Errorf("died %v, want %v", died, want)
	}
	if n := inHand(t, bus, stream.ActionsOf("okta-prod", events.Normal)); n != 2 {
		t.Errorf("%d in hand, want both", n)
	}
}

// TestAPanicStopsNothingElse: a message that meets a fault of ours comes again later, the others are worked off, and the
// stack is told, without what the message holds.
func TestAPanicStopsNothingElse(t *testing.T) {
	var log bytes.Buffer // one message is in hand at a time
	reg := prometheus.NewRegistry()
	bus := connect(t, start(t, embedded.Options{}), func(o *stream.Options) {
		o.Log, o.Metrics = slog.New(slog.NewJSONHandler(&log, nil)), reg
	})
	for _, id := range []string{"bad", "worse", "good"} {
		if err := bus.PublishAction(t.Context(), action(id)); err != nil {
			t.Fatal(err)
		}
	}
	var none []int
	take(t, bus, stream.ActionsOf("okta-prod", events.Normal), 3, func(_ context.Context, m *stream.Message) events.Outcome {
		switch {
		case bytes.Contains(m.Data, []byte("worse")):
			panic("maria@acme.example: " + string(m.Data))
		case bytes.Contains(m.Data, []byte("bad")):
			_ = none[len(m.Data)]
		}
		return events.Outcome{Verdict: events.Done}
	})
	queues, err := bus.Queues(t.Context(), "okta-prod")
	if err != nil || slices.IndexFunc(queues, func(q stream.Queue) bool { return q.Class == events.Normal && q.Later == 2 }) < 0 {
		t.Errorf("%+v (%v), want two that come again later", queues, err)
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "keyturn_stream_panics_total" && f.GetMetric()[0].GetCounter().GetValue() != 2 {
			t.Errorf("counted: %v", f)
		}
	}
	for part, want := range map[string]bool{"PANIC": true, "index out of range": true, "consume_test.go": true, "maria@acme.example": false} {
		if strings.Contains(log.String(), part) != want {
			t.Errorf("the log has %q: %t, want %t:\n%s", part, !want, want, log.String())
		}
	}
}

func TestConsumeRunsAtMostSoMany(t *testing.T) {
	bus := connect(t, start(t, embedded.Options{}))
	for i := range 40 {
		if err := bus.PublishAction(t.Context(), action(fmt.Sprint("case", i))); err != nil {
			t.Fatal(err)
		}
	}
	var now, most, done atomic.Int32
	ctx, cancel := context.WithCancel(t.Context())
	err := bus.Consume(ctx, stream.ActionsOf("okta-prod", events.Normal), 4, func(context.Context, *stream.Message) events.Outcome {
		most.Store(max(most.Load(), now.Add(1)))
		time.Sleep(time.Millisecond)
		now.Add(-1)
		if done.Add(1) == 40 {
			cancel()
		}
		return events.Outcome{Verdict: events.Done}
	})
	if err != nil || done.Load() < 40 || most.Load() > 4 {
		t.Errorf("%d done, %d at a time: %v", done.Load(), most.Load(), err)
	}
	none(t, bus, stream.ActionsOf("okta-prod", events.Normal), 50*time.Millisecond)
}

func TestConsumersOfOneStreamDoNotShareMessages(t *testing.T) {
	bus := connect(t, start(t, embedded.Options{}))
	for _, class := range events.Classes() {
		e := event("of " + string(class))
		e.Class = class
		if err := bus.PublishEvents(t.Context(), []events.Event{e}); err != nil {
			t.Fatal(err)
		}
		for _, connection := range []string{"okta-prod", "asa_prod"} {
			a := action(string(class) + connection)
			a.Class, a.Connection = class, connection
			if err := bus.PublishAction(t.Context(), a); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, class := range events.Classes() {
		for _, c := range []stream.Consumer{stream.EventsOf(class), stream.ActionsOf("okta-prod", class),
			stream.ActionsOf("asa_prod", class)} {
			take(t, bus, c, 1, nil)
			none(t, bus, c, 20*time.Millisecond)
		}
	}
	none(t, bus, stream.Faults(), 20*time.Millisecond)
	if err := bus.Consume(t.Context(), stream.ActionsOf("a.b", events.Normal), 1, nil); err == nil {
		t.Error("a consumer of a connection that is no token")
	}
	if _, err := bus.Pull(t.Context(), stream.EventsOf("soon")); err == nil {
		t.Error("a consumer of a class that is none")
	}
}

func TestAMessageThatArrivesUnaskedForIsGivenBack(t *testing.T) {
	bus := connect(t, start(t, embedded.Options{}))
	p, err := bus.Pull(t.Context(), stream.ActionsOf("okta-prod", events.Normal))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := p.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	if err := bus.PublishAction(t.Context(), action("case1")); err != nil {
		t.Fatal(err)
	}
	until(t, "the delivery", func() bool { return inHand(t, bus, stream.ActionsOf("okta-prod", events.Normal)) == 1 })
	p.Close()
	if m := take(t, bus, stream.ActionsOf("okta-prod", events.Normal), 1, nil)[0]; m.Deliveries != 2 {
		t.Errorf("delivery %d, want 2", m.Deliveries)
	}
}

func TestALongHandlerKeepsItsMessage(t *testing.T) {
	bus := connect(t, start(t, embedded.Options{}), short)
	if err := bus.PublishAction(t.Context(), action("case1")); err != nil {
		t.Fatal(err)
	}
	c := stream.ActionsOf("okta-prod", events.Normal)
	take(t, bus, c, 1, func(context.Context, *stream.Message) events.Outcome {
		none(t, bus, c, 3*shortWait)
		return events.Outcome{Verdict: events.Done}
	})
	none(t, bus, c, 2*shortWait)
}

func TestAnAbandonedMessageComesAgain(t *testing.T) {
	bus := connect(t, start(t, embedded.Options{}), short)
	if err := bus.PublishAction(t.Context(), action("case1")); err != nil {
		t.Fatal(err)
	}
	c := stream.ActionsOf("okta-prod", events.Normal)
	begun := time.Now()
	take(t, bus, c, 1, func(context.Context, *stream.Message) events.Outcome { return events.Outcome{Verdict: events.Abandon} })
	m := take(t, bus, c, 1, nil)[0]
	if took := time.Since(begun); m.Deliveries != 2 || took < shortWait {
		t.Errorf("delivery %d after %s", m.Deliveries, took)
	}
}

func TestAHolderThatLostItsLeaseLetsItsMessageGo(t *testing.T) {
	bus := connect(t, start(t, embedded.Options{}), short)
	if err := bus.PublishAction(t.Context(), action("case1")); err != nil {
		t.Fatal(err)
	}
	c := stream.ActionsOf("okta-prod", events.Normal)
	p, err := bus.Pull(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	m, err := p.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	held, lose := context.WithCancel(t.Context())
	bus.Handle(held, m, func(context.Context, *stream.Message) events.Outcome {
		lose()
		if m := take(t, bus, c, 1, nil)[0]; m.Deliveries != 2 { // while this handler still runs
			t.Errorf("delivery %d, want 2", m.Deliveries)
		}
		return events.Outcome{Verdict: events.Abandon}
	})
}

// shortWait is an ack wait for tests that wait for it.
const shortWait = 500 * time.Millisecond

func short(o *stream.Options) { o.AckWait = shortWait }

// quiet is a log that fails the test when a consumer was interrupted.
type quiet struct {
	slog.Handler
	t testing.TB
}

func (q quiet) Enabled(context.Context, slog.Level) bool { return true }

func (q quiet) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "consumer interrupted" {
		q.t.Error("consumer interrupted")
	}
	return nil
}

// A request that is answered before its sender is through with sending it must not be the last one.
func TestAPullerNeverStopsAsking(t *testing.T) {
	bus := connect(t, start(t, embedded.Options{}), func(o *stream.Options) {
		o.Log = slog.New(quiet{slog.DiscardHandler, t})
	})
	const n = 400 // within what may be in hand
	var wg sync.WaitGroup
	for i := range 8 {
		a := action("case")
		a.Connection = fmt.Sprintf("okta-%d", i)
		wg.Go(func() {
			for i := range n {
				a.ID = fmt.Sprint(i, a.Connection)
				if err := bus.PublishAction(t.Context(), a); err != nil {
					t.Error(err)
				}
			}
			p, err := bus.Pull(t.Context(), stream.ActionsOf(a.Connection, events.Normal))
			if err != nil {
				t.Error(err)
				return
			}
			defer p.Close()
			for range n {
				if _, err := p.Next(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// TestABurstIsGivenBack: who takes messages in bursts and stops gives back at once what it has not handed out.
func TestABurstIsGivenBack(t *testing.T) {
	bus := connect(t, start(t, embedded.Options{}))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	p, err := bus.Pull(ctx, stream.Records())
	if err != nil {
		t.Fatal(err)
	}
	const records = 10
	for i := range records {
		if _, err := bus.Log().Append(ctx, fmt.Sprintf("ledger.case%d.lifecycle", i), 0, []byte("{}")); err != nil {
			t.Fatal(err)
		}
	}
	first, err := p.Next(ctx)
	if err != nil {
		t.Fatal(err)
	}
	p.Close()
	seen := map[string]bool{first.Subject: true}
	for len(seen) < records {
		m, err := p.Next(ctx)
		if err != nil {
			t.Fatalf("only %d of %d came: %v", len(seen), records, err)
		}
		if m.Deliveries != 2 {
			t.Errorf("%s: delivery %d, want the one after it was given back", m.Subject, m.Deliveries)
		}
		seen[m.Subject] = true
	}
	p.Close()
}
